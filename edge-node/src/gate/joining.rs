//! Devices that ask to join, as MQTT carries it. `docs/devices.md` says the same to authors of firmware.

use farm::joins::{Ask, Said};
use farm_model::hex;
use serde::Deserialize;

/// The user name of those who ask; they have no password.
pub(super) const USER: &str = "join";
/// Where the appliance tells its public key, retained.
pub(crate) const KEY: &str = "khamar/join/key";
/// Longest request, in bytes.
const MAX_ASK: usize = 512;
/// Longest serial number, and longest line that a device says of itself.
const MAX_LINE: usize = 64;

/// Where the device with this serial number asks.
pub(super) fn ask_topic(serial: &str) -> String {
    format!("khamar/join/ask/{serial}")
}

/// Where it is answered.
pub(crate) fn answer_topic(serial: &str) -> String {
    format!("khamar/join/answer/{serial}")
}

/// Whether `text` can be a serial number: ASCII letters, digits, `-`, `_` and `.`, at most 64.
pub(super) fn is_serial(text: &str) -> bool {
    (1..=MAX_LINE).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Why a request was not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum BadAsk {
    #[error("a request to join has at most 512 bytes")]
    TooLong,
    #[error("a request to join is a JSON object with kind, model, firmware, key and proof")]
    NotJson,
    #[error("kind, model and firmware are printable lines of at most 64 bytes")]
    BadLine,
    #[error("key and proof are 64 hexadecimal digits each")]
    BadKey,
}

/// Reads what the device with this serial number published.
pub(super) fn read(serial: &str, payload: &[u8]) -> Result<Ask, BadAsk> {
    #[derive(Deserialize)]
    struct Wire {
        kind: String,
        #[serde(default)]
        model: String,
        #[serde(default)]
        firmware: String,
        key: String,
        proof: String,
    }
    if payload.len() > MAX_ASK {
        return Err(BadAsk::TooLong);
    }
    let wire: Wire = serde_json::from_slice(payload).map_err(|_| BadAsk::NotJson)?;
    let fits = |line: &String| line.len() <= MAX_LINE && !line.chars().any(char::is_control);
    if ![&wire.kind, &wire.model, &wire.firmware]
        .into_iter()
        .all(fits)
    {
        return Err(BadAsk::BadLine);
    }
    Ok(Ask {
        serial: serial.to_owned(),
        public: hex::decode(&wire.key).ok_or(BadAsk::BadKey)?,
        proof: hex::decode(&wire.proof).ok_or(BadAsk::BadKey)?,
        said: Said {
            kind: wire.kind,
            model: wire.model,
            firmware: wire.firmware,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_or_refused_by_name() {
        let (key, proof) = ("0a".repeat(32), "F1".repeat(32));
        let whole = format!(
            r#"{{"kind":"milk_meter","model":"KM 1","firmware":"1.0","key":"{key}","proof":"{proof}","more":1}}"#
        );
        let ask = read("KM-1", whole.as_bytes()).unwrap();
        assert_eq!((ask.public, ask.proof), ([10; 32], [0xf1; 32]));
        assert_eq!(ask.said.text(), "milk_meter\nKM 1\n1.0");
        let long = whole.replace("KM 1", &"x".repeat(65));
        for (payload, expected) in [
            ("", BadAsk::NotJson),
            ("[]", BadAsk::NotJson),
            (r#"{"kind":"milk_meter"}"#, BadAsk::NotJson),
            (&whole.replace("KM 1", r"KM\n1"), BadAsk::BadLine),
            (&long, BadAsk::BadLine),
            (&whole.replace("0a0a", "0a"), BadAsk::BadKey),
            (&whole.replace("0a0a", "+a0a"), BadAsk::BadKey),
            (&whole.replace("F1F1", "éé"), BadAsk::BadKey),
            (&" ".repeat(513), BadAsk::TooLong),
        ] {
            assert_eq!(read("KM-1", payload.as_bytes()), Err(expected), "{payload}");
        }
    }

    #[test]
    fn serial_numbers_make_one_level_of_a_topic() {
        assert!(is_serial("KM-0042_a.b"));
        for text in ["", "a/b", "+", "#", "a b", "গ", &"x".repeat(65)] {
            assert!(!is_serial(text), "{text}");
        }
    }
}
