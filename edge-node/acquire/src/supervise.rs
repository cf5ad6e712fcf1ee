//! One driver dies alone: whatever ends a task, its panic included, is counted, and the task begins again.
//!
//! A driver is a future that is made anew for each life. It ends only by an error, a panic or a kill; each of them puts
//! its devices into back-off. A life that lasted longer than the longest wait clears the count of failures.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use farm_model::{Clock, DeviceId};
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Backoff,
    board::{Board, DriverState},
};

/// Why a driver's life ended; the key under which it is counted.
pub(crate) type Reason = &'static str;

/// What every life of a driver shares.
#[derive(Clone)]
pub(crate) struct Care {
    pub(crate) board: Board,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rule: Backoff,
    /// Devices that the driver serves at present.
    pub(crate) devices: Arc<Mutex<Vec<DeviceId>>>,
}

/// A supervised driver.
pub(crate) struct Supervised {
    stop: DropGuard,
    life: Arc<Mutex<Option<AbortHandle>>>,
    task: JoinHandle<()>,
}

impl Supervised {
    /// Starts a driver whose lives `make` makes.
    pub(crate) fn start<F, L>(name: String, care: Care, mut make: F) -> Self
    where
        F: FnMut() -> L + Send + 'static,
        L: Future<Output = Reason> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let life = Arc::new(Mutex::new(None));
        let task = tokio::spawn({
            let (stop, life) = (stop.clone(), Arc::clone(&life));
            async move {
                let mut failures = 0;
                while !stop.is_cancelled() {
                    let born = Instant::now();
                    let mut driver = tokio::spawn(make());
                    *lock(&life) = Some(driver.abort_handle());
                    let ended = tokio::select! {
                        ended = &mut driver => ended,
                        () = stop.cancelled() => {
                            driver.abort();
                            // Its port is closed when this returns, so that it can be opened again.
                            let _ = driver.await;
                            return;
                        }
                    };
                    let reason = reason(ended);
                    failures = if born.elapsed() > care.rule.cap {
                        1
                    } else {
                        failures + 1
                    };
                    tracing::warn!(
                        driver = name,
                        reason,
                        failures,
                        "driver ended and will start again"
                    );
                    care.rest(reason, failures, &stop).await;
                }
            }
        });
        Self {
            stop: stop.drop_guard(),
            life,
            task,
        }
    }

    /// Ends the present life; the next one begins after the back-off.
    pub(crate) fn kill(&self) {
        if let Some(life) = lock(&self.life).as_ref() {
            life.abort();
        }
    }

    /// Ends the driver for good; its port is closed when this returns.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

impl Care {
    async fn rest(&self, reason: Reason, failures: u32, stop: &CancellationToken) {
        let devices = lock(&self.devices).clone();
        let who = devices.first().map_or(0, |id| id.0.as_u128() as u64);
        let wait = self.rule.after(failures, who);
        let farm_wait = wait.as_secs_f64() * 1000.0 * self.clock.rate();
        let until = self.clock.now().wall.plus(farm_wait as i64);
        for device in devices {
            self.board.error(device, reason);
            self.board
                .state(device, DriverState::BackingOff { until, failures });
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }
}

fn reason(ended: Result<Reason, JoinError>) -> Reason {
    match ended {
        Ok(reason) => reason,
        Err(e) if e.is_panic() => "panic",
        Err(_) => "killed",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use farm_model::SystemClock;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_panic_an_error_and_a_kill_are_counted_and_followed_by_a_new_life() {
        let device = DeviceId::new();
        let board = Board::new();
        board.keep(&[device]);
        let care = Care {
            board: board.clone(),
            clock: Arc::new(SystemClock::new(1, farm_model::ClockQuality::Unknown)),
            rule: Backoff {
                first: Duration::from_millis(1),
                cap: Duration::from_millis(4),
            },
            devices: Arc::new(Mutex::new(vec![device])),
        };
        let (born, mut lives) = mpsc::unbounded_channel();
        let mut life = 0;
        let driver = Supervised::start("test".into(), care, move || {
            life += 1;
            let (life, born) = (life, born.clone());
            async move {
                born.send(life).unwrap();
                match life {
                    1 => panic!("a defect in a driver"),
                    2 => "io",
                    _ => std::future::pending().await,
                }
            }
        });
        for life in 1..=3 {
            assert_eq!(lives.recv().await, Some(life));
        }
        driver.kill();
        assert_eq!(lives.recv().await, Some(4));
        let status = board.list().remove(0);
        assert_eq!(
            status.errors.into_iter().collect::<Vec<_>>(),
            [("io", 1), ("killed", 1), ("panic", 1)]
        );
        driver.stop().await;
        assert_eq!(lives.recv().await, None, "nothing lives after stop");
    }
}
