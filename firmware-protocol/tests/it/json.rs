//! Records as the plain fields of the vectors' files.

use firmware_protocol::{Reading, Record, Tag, What};
use serde_json::{Map, Value, json};

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().expect("a text").as_bytes();
    hex.chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Kind, name and fields.
pub(crate) fn record(record: &Record<'_>) -> Value {
    let (name, fields) = match record {
        Record::Held(r) => ("held", plain(r)),
        Record::Readings(r) => {
            let mut fields = plain(r.batch);
            fields["readings"] = r.iter().map(|r| reading(&r)).collect();
            ("readings", fields)
        }
        Record::Hello(r) => ("hello", plain(r)),
        Record::TimeRequest(r) => ("time_request", plain(r)),
        Record::ConfigReport(r) => ("config_report", plain(r)),
        Record::CommandResult(r) => ("command_result", plain(r)),
        Record::ChunkRequest(r) => ("chunk_request", plain(r)),
        Record::UpdateStatus(r) => ("update_status", plain(r)),
        Record::Ack(r) => ("ack", plain(r)),
        Record::TimeAnswer(r) => ("time_answer", plain(r)),
        Record::Config(r) => {
            let settings: Vec<_> = r
                .iter()
                .map(|(key, value)| json!([key.code(), value]))
                .collect();
            (
                "config",
                json!({ "version": r.version, "settings": settings }),
            )
        }
        Record::Command(r) => ("command", plain(r)),
        Record::Offer(r) => ("offer", plain(r)),
        Record::Chunk(r) => ("chunk", plain(r)),
        Record::Withdraw(r) => ("withdraw", plain(r)),
        Record::Unknown { contents, .. } => ("unknown", json!({ "contents": hex(contents) })),
    };
    json!({ "kind": record.kind(), "name": name, "fields": fields })
}

fn reading(reading: &Reading<'_>) -> Value {
    let mut fields = json!({
        "after_ms": reading.after_ms,
        "channel": reading.channel,
        "quality": reading.state.quality.code(),
        "flaw": reading.state.flaw.code(),
    });
    let (name, value) = match reading.what {
        What::Measured(measure, value) => {
            fields["measure"] = measure.code().into();
            ("value", value.into())
        }
        What::Tag(Tag::Iso { country, national }) => {
            ("iso", json!({ "country": country, "national": national }))
        }
        What::Tag(Tag::Epc(epc)) => ("epc", hex(epc).into()),
        What::Tag(Tag::Em4100(number)) => ("em4100", number.into()),
        What::Unknown { kind, contents } => (
            "unknown",
            json!({ "kind": kind, "contents": hex(contents) }),
        ),
    };
    fields[name] = value;
    fields
}

/// The struct's fields; bytes in hexadecimal.
fn plain(record: impl serde::Serialize) -> Value {
    let Value::Object(fields) = serde_json::to_value(record).unwrap() else {
        panic!("a record is a struct");
    };
    let fields: Map<_, _> = fields
        .into_iter()
        .map(|(name, value)| {
            let value = match flatten(&value) {
                Some(bytes) => hex(&bytes).into(),
                None => value,
            };
            (name, value)
        })
        .collect();
    fields.into()
}

fn flatten(value: &Value) -> Option<Vec<u8>> {
    let parts = value.as_array()?.iter();
    let parts: Vec<Vec<u8>> = parts
        .map(|part| {
            let byte = part.as_u64().and_then(|n| u8::try_from(n).ok());
            byte.map(|b| vec![b]).or_else(|| flatten(part))
        })
        .collect::<Option<_>>()?;
    Some(parts.concat())
}
