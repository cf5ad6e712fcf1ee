//! JSON payloads of the MQTT nodes.

use jiff::Timestamp;
use serde_json::{Value, json};

/// Payload of a farm topic: a value in whole units and when it was measured.
pub fn reading(value: f64, decimals: u32, at: Timestamp) -> String {
    json!({ "value": round(value, decimals), "timestamp": second(at) }).to_string()
}

/// What an activity collar counted since its previous uplink.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CollarReport {
    /// Steps.
    pub steps: i64,
    /// Minutes of rumination.
    pub rumination_min: i64,
    /// Battery, volts.
    pub battery_v: f64,
}

/// An uplink event of ChirpStack 4 in its JSON form, with the object that the device profile's codec made.
pub fn chirpstack_up(
    dev_eui: &str,
    name: &str,
    frame: u32,
    report: CollarReport,
    at: Timestamp,
) -> String {
    let CollarReport {
        steps,
        rumination_min,
        battery_v,
    } = report;
    let id = Value::from(format!(
        "{:0>8}-0000-4000-8000-{:012x}",
        &dev_eui[8..],
        frame
    ));
    json!({
        "deduplicationId": id,
        "time": at.to_string(),
        "deviceInfo": {
            "tenantName": "Farm",
            "applicationId": "00000000-0000-4000-8000-000000000001",
            "applicationName": "collars",
            "deviceProfileName": "activity-collar",
            "deviceName": name,
            "devEui": dev_eui,
        },
        "devAddr": &dev_eui[8..],
        "adr": true,
        "dr": 5,
        "fCnt": frame,
        "fPort": 2,
        "confirmed": false,
        "data": base64(&[(steps >> 8) as u8, steps as u8, rumination_min as u8, (battery_v * 10.0).round() as u8]),
        "object": { "steps": steps, "rumination": rumination_min, "battery": round(battery_v, 2) },
        "rxInfo": [{ "gatewayId": "0016c001f1500812", "rssi": -71 - (frame % 23) as i32, "snr": 8.5 }],
        "txInfo": { "frequency": 923_200_000 },
    })
    .to_string()
}

fn round(value: f64, decimals: u32) -> f64 {
    let scale = 10f64.powi(decimals as i32);
    (value * scale).round() / scale
}

fn second(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second())
        .unwrap_or(at)
        .to_string()
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let bits =
                chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
            (0..4).map(move |i| match i <= chunk.len() {
                true => char::from(DIGITS[(bits >> (18 - 6 * i)) as usize & 63]),
                false => '=',
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_read_as_intended() {
        let at = Timestamp::from_millisecond(1_795_132_800_250).unwrap();
        assert_eq!(
            reading(4.249, 1, at),
            r#"{"timestamp":"2026-11-20T00:00:00Z","value":4.2}"#
        );
        let report = CollarReport {
            steps: 300,
            rumination_min: 9,
            battery_v: 3.6,
        };
        let up: Value = serde_json::from_str(&chirpstack_up(
            "70b3d57ed0050001",
            "collar-101",
            7,
            report,
            at,
        ))
        .unwrap();
        assert_eq!(up["object"]["steps"], 300);
        assert_eq!(up["deviceInfo"]["devEui"], "70b3d57ed0050001");
        assert_eq!(up["deduplicationId"].as_str().map(str::len), Some(36));
        assert_eq!(up["data"], "ASwJJA==");
    }
}
