//! How well this machine's wall clock is known.
//!
//! A Pi has no clock battery. Until the kernel reports that something synchronised it, dates are a guess, and whatever must
//! fail closed treats them so. Asked once a minute, off the async runtime.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use farm_model::{Clock, ClockQuality, SystemClock, time::ScaledClock};
use tokio_util::sync::CancellationToken;

use crate::config::{ClockConfig, ClockTrust};

/// The clock that the configuration asks for, and the machine clock behind it if its quality is to be watched.
pub fn build(config: &ClockConfig, boot: u32) -> (Arc<dyn Clock>, Option<Arc<SystemClock>>) {
    if let Some((start, rate)) = config.simulated() {
        return (Arc::new(ScaledClock::new(start, rate, boot)), None);
    }
    let clock = Arc::new(SystemClock::new(boot, quality(config.trust)));
    (
        clock.clone(),
        (config.trust == ClockTrust::Ntp).then_some(clock),
    )
}

/// How well the wall clock is known at this moment.
pub fn quality(trust: ClockTrust) -> ClockQuality {
    match trust {
        ClockTrust::System => ClockQuality::Synced,
        ClockTrust::Ntp if synchronised() => ClockQuality::Synced,
        ClockTrust::Ntp => ClockQuality::Unknown,
    }
}

/// Keeps `clock`'s quality true until cancelled.
pub async fn watch(clock: Arc<SystemClock>, stop: CancellationToken) {
    let mut known = None;
    while stop
        .run_until_cancelled(tokio::time::sleep(Duration::from_secs(
            if known.is_none() { 0 } else { 60 },
        )))
        .await
        .is_some()
    {
        let Ok(now) = tokio::task::spawn_blocking(|| quality(ClockTrust::Ntp)).await else {
            continue;
        };
        if known.replace(now) != Some(now) {
            clock.set_quality(now);
            tracing::info!(quality = ?now, "clock quality changed");
        }
    }
}

/// Whether the kernel's clock is synchronised: systemd-timesyncd says so by a file, every other daemon through `timedatectl`,
/// which reads the kernel's `STA_UNSYNC` flag.
fn synchronised() -> bool {
    Path::new("/run/systemd/timesync/synchronized").exists()
        || Command::new("timedatectl")
            .args(["show", "--property=NTPSynchronized", "--value"])
            .output()
            .is_ok_and(|out| out.stdout.trim_ascii() == b"yes")
}
