//! What `/metrics` shows of drivers, the MQTT door and the pipeline, beside what they count themselves.

use std::sync::Arc;

use edge_acquire::{DriverState, Drivers};
use edge_broker::Door;
use farm::{Farm, devices};

use crate::ingest::Pulse;

/// Brings the figures up to date.
///
/// # Errors
/// When the store can't be read.
pub(crate) async fn show(
    farm: Farm,
    drivers: Arc<Drivers>,
    door: Arc<Door>,
    pulse: Pulse,
) -> anyhow::Result<()> {
    metrics::gauge!("ingest_stalled").set(f64::from(u8::from(pulse.is_stalled())));
    show_door(&door);
    let devices = farm.read(devices::list).await?;
    for status in drivers.status() {
        let Some(device) = devices.iter().find(|d| d.id == status.device) else {
            continue;
        };
        let slug = device.slug.clone();
        let runs = status.state == DriverState::Running;
        metrics::gauge!("driver_running", "device" => slug.clone()).set(f64::from(u8::from(runs)));
        metrics::counter!("driver_answers_total", "device" => slug.clone())
            .absolute(status.answers);
        for (reason, n) in status.errors {
            metrics::counter!("driver_errors_total", "device" => slug.clone(), "reason" => reason)
                .absolute(n);
        }
    }
    Ok(())
}

fn show_door(door: &Door) {
    let stats = door.stats();
    metrics::gauge!("mqtt_connections").set(stats.connections as f64);
    metrics::gauge!("mqtt_subscriptions").set(stats.subscriptions as f64);
    metrics::gauge!("mqtt_retained").set(stats.retained as f64);
    metrics::gauge!("mqtt_sessions_away").set(stats.away as f64);
    metrics::gauge!("mqtt_queued_bytes").set(stats.queued_bytes as f64);
    metrics::counter!("mqtt_joins_refused_total").increment(0);
    metrics::counter!("mqtt_logins_total").absolute(stats.logins);
    metrics::counter!("mqtt_accepted_total").absolute(stats.accepted);
    metrics::counter!("mqtt_delivered_total").absolute(stats.delivered);
    for (reason, n) in stats.refused {
        metrics::counter!("mqtt_refused_total", "reason" => reason.key()).absolute(n);
    }
}
