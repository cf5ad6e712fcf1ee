//! Waiting for something to become true, with a deadline instead of a sleep of hopeful length.

use std::{
    future::Future,
    time::{Duration, Instant},
};

const BETWEEN: Duration = Duration::from_millis(10);

/// Asks `ready` until it gives a value.
///
/// # Panics
/// After `seconds`, naming what was waited for.
pub fn until<T>(what: &str, seconds: u64, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "waited {seconds} s in vain for {what}"
        );
        std::thread::sleep(BETWEEN);
    }
}

/// Asks `ready` until it gives a value.
///
/// # Panics
/// After `seconds`, naming what was waited for.
pub async fn until_async<T, F: Future<Output = Option<T>>>(
    what: &str,
    seconds: u64,
    mut ready: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(value) = ready().await {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "waited {seconds} s in vain for {what}"
        );
        tokio::time::sleep(BETWEEN).await;
    }
}
