//! What `/metrics` shows of drivers, the MQTT door and the pipeline, beside what they count themselves.

use std::sync::Arc;

use edge_acquire::{DriverState, Drivers};
use edge_broker::Door;
use farm::{Farm, devices};

use crate::ingest::Pulse;

/// What each counter of the appliance counts, in the words that `/metrics` gives beside it.
const COUNTERS: &[(&str, &str)] = &[
    (
        "coap_requests_dropped_total",
        "Requests over CoAP that found the pipeline full; the node asks again.",
    ),
    (
        "coap_requests_refused_total",
        "Requests over CoAP that were refused.",
    ),
    (
        "driver_answers_total",
        "Good answers of a device to its driver.",
    ),
    (
        "driver_errors_total",
        "Failures of a device or its line, by reason.",
    ),
    (
        "firmware_bytes_sent_total",
        "Bytes of firmware sent to nodes.",
    ),
    (
        "hub_errors_total",
        "Exchanges with the hub that failed, by reason.",
    ),
    ("hub_exchanges_total", "Exchanges that the hub answered."),
    (
        "ingest_commits_total",
        "Groups of observations committed to disk.",
    ),
    (
        "ingest_observations_total",
        "Observations told, by what became of them.",
    ),
    (
        "ingest_rejects_total",
        "Messages that were not understood or refused, by reason.",
    ),
    (
        "ingest_retries_total",
        "Commits tried again because the disk did not take them.",
    ),
    ("ingest_visits_total", "Milking visits that ended."),
    ("job_failures_total", "Runs of a regular job that failed."),
    (
        "job_panics_total",
        "Jobs and drivers that died and were started again.",
    ),
    (
        "mqtt_accepted_total",
        "Messages accepted from MQTT clients.",
    ),
    (
        "mqtt_delivered_total",
        "Messages delivered to MQTT clients.",
    ),
    (
        "mqtt_joins_refused_total",
        "Requests to join, and connections to ask, that were too many.",
    ),
    ("mqtt_logins_total", "MQTT clients let in."),
    (
        "mqtt_refused_total",
        "Whom or what the MQTT door refused, by reason.",
    ),
    (
        "node_batches_lost_total",
        "Batches that a node could not keep until it was heard.",
    ),
    (
        "node_batches_total",
        "Batches of readings from nodes, by what became of them.",
    ),
    (
        "node_errands_undelivered_total",
        "Messages for a node that nobody could take.",
    ),
    (
        "node_letters_dropped_total",
        "Frames for a node that were dropped; it asks again.",
    ),
    (
        "node_readings_switched_off_total",
        "Readings of devices that are switched off.",
    ),
];

/// What each gauge of the appliance shows.
const GAUGES: &[(&str, &str)] = &[
    (
        "driver_running",
        "1 while the device's driver hears it, else 0.",
    ),
    ("hub_joined", "1 while the farm is sent to a hub, else 0."),
    (
        "hub_last_exchange_seconds",
        "How long ago the hub last answered.",
    ),
    (
        "hub_waiting",
        "Versions of records and facts that the hub does not hold yet.",
    ),
    (
        "ingest_stalled",
        "1 while observations wait and none is committed, else 0.",
    ),
    ("ingest_waiting", "Observations that wait for their commit."),
    ("mqtt_connections", "MQTT clients connected now."),
    ("mqtt_queued_bytes", "Bytes that wait for MQTT clients."),
    ("mqtt_retained", "Retained messages kept."),
    (
        "mqtt_sessions_away",
        "MQTT sessions kept for clients that are away.",
    ),
    ("mqtt_subscriptions", "Subscriptions of all MQTT sessions."),
];

/// Gives every figure its words; to be called once, after the recorder is installed.
pub(crate) fn describe() {
    for (name, words) in COUNTERS {
        metrics::describe_counter!(*name, *words);
    }
    for (name, words) in GAUGES {
        metrics::describe_gauge!(*name, *words);
    }
}

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
