//! When a program ends: somebody orders it to.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// When to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At SIGTERM or SIGINT.
    Signal,
    /// At those, or when standard input closes.
    StdinCloses,
}

/// The ways in which somebody asks it to end.
#[derive(Debug)]
pub struct Asked {
    terminate: Signal,
    interrupt: Signal,
    until: Until,
}

impl Asked {
    /// From now on a signal is an order to end, not an end without order.
    ///
    /// # Errors
    /// When the system gives no signals.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn listen(until: Until) -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            until,
        })
    }

    /// Waits until somebody asks, or asked since this listens.
    pub async fn wait(mut self) {
        let closed = async {
            if self.until == Until::Signal {
                return std::future::pending().await;
            }
            let read = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            // Whether it ended or failed: there is nobody at the other end any more.
            let _ = tokio::task::spawn_blocking(read).await;
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = closed => {}
        }
    }
}
