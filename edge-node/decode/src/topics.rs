//! The farm's own MQTT topics: flat JSON objects that any node can send.
//!
//! | topic | payload |
//! | --- | --- |
//! | `farm/milk/{animal}/{session}` | `{"quantity": 12.4}` litres, `fat` and `snf` in percent |
//! | `farm/environment/{location}/{temp, humidity, …}` | `{"value": 27.5}` |
//! | `farm/tank/{tank}/{level, temp, distance, …}` | `{"value": 63.2}` |
//! | `farm/stall/{number}/tag` | `{"tag": "050123456789012"}` |
//! | `farm/device/{slug}/{quantity}` | `{"value": 1.25}` |
//!
//! Each may carry `timestamp` (RFC 3339 text, or Unix seconds or milliseconds), `id` (the sender's own identity of the
//! message, by which a redelivery is known) and `unit`. `quantity` and `value` are the same key. Other keys are passed
//! over. Invariant: what cannot be read without guessing is rejected with a reason, never read as 0.

use farm_model::{
    observation::{Body, Flaw},
    place::Stall,
    quantity::{Milli, Quantity},
    tag::Tag,
    time::UnixMillis,
};

use crate::json::{Fault, Scalar, pick};

/// Longest payload.
pub const MAX_PAYLOAD: usize = 4096;

/// Longest name in a topic and longest `id`, in bytes.
pub const MAX_NAME: usize = 64;

/// The filters that match the topics read here.
pub const FILTERS: [&str; 5] = [
    "farm/milk/+/+",
    "farm/environment/+/+",
    "farm/tank/+/+",
    "farm/stall/+/tag",
    "farm/device/+/+",
];

/// What a topic speaks of.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// A milking: tag or number of the animal, and the session, as they were written.
    Milk {
        /// Tag or animal number.
        animal: String,
        /// Session name or number.
        session: String,
    },
    /// The air of a room, shed or yard, by the place's slug.
    Environment(String),
    /// A tank, by the place's slug.
    Tank(String),
    /// The reader of a stall.
    Stall(Stall),
    /// A device, by its slug.
    Device(String),
}

/// What was published.
#[derive(Clone, PartialEq, Debug)]
pub struct TopicMessage {
    /// What it speaks of.
    pub target: Target,
    /// What it says.
    pub body: Body,
    /// When it happened, if the sender said so.
    pub at: Option<UnixMillis>,
    /// The sender's identity of the message, if it gave one.
    pub key: Option<String>,
}

macro_rules! reasons {
    ($($name:ident = $key:literal, $text:literal;)*) => {
        /// Why a publish was rejected.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
        pub enum TopicReject {
            $(#[doc = $text] #[error($text)] $name,)*
        }

        impl TopicReject {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name used in metrics, the quarantine and as a translation key.
            pub fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* }
            }
        }
    };
}

reasons! {
    UnknownTopic = "unknown_topic", "no such topic";
    BadName = "bad_name", "a name in the topic is empty, too long or not printable";
    TooLong = "too_long", "the payload is longer than 4,096 bytes";
    NotJson = "not_json", "the payload is not JSON";
    NotAnObject = "not_an_object", "the payload is not a JSON object";
    Duplicate = "duplicate_key", "a key stands twice";
    NoValue = "no_value", "there is no value";
    NotANumber = "not_a_number", "the value is not a number";
    NumberAsText = "number_as_text", "the number is written as text";
    OutOfRange = "out_of_range", "a number is larger or smaller than can be true";
    BadUnit = "bad_unit", "the unit does not belong to this quantity";
    BadTimestamp = "bad_timestamp", "the timestamp is neither RFC 3339 nor Unix seconds or milliseconds, or not of this century";
    BadId = "bad_id", "the id is neither a short text nor an integer";
    BadTag = "bad_tag", "the tag is not fifteen digits, epc: or em:, written as text";
}

impl From<Fault> for TopicReject {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotJson => Self::NotJson,
            Fault::NotAnObject => Self::NotAnObject,
            Fault::Duplicate => Self::Duplicate,
            Fault::OutOfRange => Self::OutOfRange,
        }
    }
}

/// Reads what was published on `topic`.
///
/// # Errors
/// Why it cannot be read.
pub fn decode(topic: &str, payload: &[u8]) -> Result<TopicMessage, TopicReject> {
    let (target, quantity) = route(topic)?;
    if payload.len() > MAX_PAYLOAD {
        return Err(TopicReject::TooLong);
    }
    let keys = [
        "quantity",
        "value",
        "timestamp",
        "id",
        "unit",
        "fat",
        "snf",
        "tag",
    ];
    let [amount, value, timestamp, id, unit, fat, snf, tag] = pick(payload, keys)?;
    if amount.is_some() && value.is_some() {
        return Err(TopicReject::Duplicate);
    }
    let value = amount.or(value);
    let body = match (&target, quantity) {
        (Target::Milk { animal, session }, _) => Body::Milked {
            animal: animal.clone(),
            session: session.clone(),
            yield_ml: needed(value, unit, Quantity::VisitYield)?.0,
            fat: percent(fat, Quantity::Fat)?,
            snf: percent(snf, Quantity::Snf)?,
        },
        (_, Some(quantity)) => measured(value, unit, quantity)?,
        (_, None) => Body::Identified {
            tag: read_tag(tag)?,
        },
    };
    Ok(TopicMessage {
        target,
        body,
        at: read_timestamp(timestamp)?,
        key: read_id(id)?,
    })
}

/// Whom a topic speaks of, and which quantity it names.
fn route(topic: &str) -> Result<(Target, Option<Quantity>), TopicReject> {
    let mut parts = topic.split('/');
    let mut next = || parts.next().ok_or(TopicReject::UnknownTopic);
    let (root, family, name, last) = (next()?, next()?, next()?, next()?);
    if root != "farm" || parts.next().is_some() {
        return Err(TopicReject::UnknownTopic);
    }
    match family {
        "milk" => Ok((
            Target::Milk {
                animal: checked(name)?,
                session: checked(last)?,
            },
            None,
        )),
        "environment" => Ok((Target::Environment(checked(name)?), Some(named(last)?))),
        "tank" => Ok((Target::Tank(checked(name)?), Some(named(last)?))),
        "device" => Ok((Target::Device(checked(name)?), Some(named(last)?))),
        "stall" if last == "tag" => match name.parse() {
            Ok(number @ 1..) if name.bytes().all(|b| b.is_ascii_digit()) => {
                Ok((Target::Stall(Stall(number)), None))
            }
            _ => Err(TopicReject::BadName),
        },
        _ => Err(TopicReject::UnknownTopic),
    }
}

fn checked(name: &str) -> Result<String, TopicReject> {
    let fits = (1..=MAX_NAME).contains(&name.len());
    if fits && !name.chars().any(|c| c.is_control() || "+#".contains(c)) {
        Ok(name.to_owned())
    } else {
        Err(TopicReject::BadName)
    }
}

fn named(quantity: &str) -> Result<Quantity, TopicReject> {
    match quantity {
        "temp" => Ok(Quantity::Temperature),
        key => key.parse().map_err(|_| TopicReject::UnknownTopic),
    }
}

/// A number in thousandths, `None` for an explicit null.
fn number(scalar: &Scalar) -> Result<Option<f64>, TopicReject> {
    match scalar {
        Scalar::Null => Ok(None),
        Scalar::Integer(n) => Ok(Some(*n as f64)),
        Scalar::Number(n) => Ok(Some(*n)),
        Scalar::Text(text) if text.trim().parse().is_ok_and(f64::is_finite) => {
            Err(TopicReject::NumberAsText)
        }
        Scalar::Text(_) | Scalar::Bool | Scalar::Compound => Err(TopicReject::NotANumber),
    }
}

/// A value that a sensor may say it does not have: null is missing.
fn measured(
    value: Option<Scalar>,
    unit: Option<Scalar>,
    quantity: Quantity,
) -> Result<Body, TopicReject> {
    let to_unit = conversion(unit, quantity)?;
    let Some(number) = number(&value.ok_or(TopicReject::NoValue)?)? else {
        return Ok(Body::missing(quantity, Flaw::NotANumber));
    };
    let value = Milli::from_f64(to_unit(number)).ok_or(TopicReject::OutOfRange)?;
    Ok(Body::measured(quantity, value))
}

/// A value without which the message is nothing, within what physics allows.
fn needed(
    value: Option<Scalar>,
    unit: Option<Scalar>,
    quantity: Quantity,
) -> Result<Milli, TopicReject> {
    let to_unit = conversion(unit, quantity)?;
    let number = number(&value.ok_or(TopicReject::NoValue)?)?.ok_or(TopicReject::NoValue)?;
    Milli::from_f64(to_unit(number))
        .filter(|value| quantity.allows(*value))
        .ok_or(TopicReject::OutOfRange)
}

fn percent(value: Option<Scalar>, quantity: Quantity) -> Result<Option<Milli>, TopicReject> {
    match value {
        None | Some(Scalar::Null) => Ok(None),
        value => needed(value, None, quantity).map(Some),
    }
}

/// How to turn a number in the unit given into one of the quantity's own.
fn conversion(unit: Option<Scalar>, quantity: Quantity) -> Result<fn(f64) -> f64, TopicReject> {
    let unit = match unit {
        None | Some(Scalar::Null) => return Ok(|n| n),
        Some(Scalar::Text(unit)) => unit,
        Some(_) => return Err(TopicReject::BadUnit),
    };
    let own = quantity.unit();
    Ok(match (own, unit.trim()) {
        (_, same) if same.eq_ignore_ascii_case(own) => |n| n,
        ("°C", "C" | "c" | "degC" | "celsius" | "Celsius") => |n| n,
        ("°C", "°F" | "F" | "degF" | "fahrenheit" | "Fahrenheit") => |n| (n - 32.0) / 1.8,
        ("%", "percent" | "%RH") => |n| n,
        ("L", "litre" | "litres" | "liter" | "liters") => |n| n,
        ("L", "ml" | "mL") => |n| n / 1000.0,
        ("mm", "cm") => |n| n * 10.0,
        ("mm", "m") => |n| n * 1000.0,
        ("V", "mV") => |n| n / 1000.0,
        ("kPa", "mbar" | "hPa") => |n| n / 10.0,
        ("kPa", "bar") => |n| n * 100.0,
        ("kW", "W") => |n| n / 1000.0,
        ("kWh", "Wh") => |n| n / 1000.0,
        ("m³/h", "m3/h") => |n| n,
        _ => return Err(TopicReject::BadUnit),
    })
}

fn read_tag(tag: Option<Scalar>) -> Result<Tag, TopicReject> {
    match tag.ok_or(TopicReject::NoValue)? {
        Scalar::Text(text) => text.parse().map_err(|_| TopicReject::BadTag),
        Scalar::Null => Err(TopicReject::NoValue),
        // A number has lost the zero that Bangladesh's identities begin with.
        _ => Err(TopicReject::BadTag),
    }
}

fn read_id(id: Option<Scalar>) -> Result<Option<String>, TopicReject> {
    match id {
        None | Some(Scalar::Null) => Ok(None),
        Some(Scalar::Integer(n)) => Ok(Some(n.to_string())),
        Some(Scalar::Text(id)) if (1..=MAX_NAME).contains(&id.len()) => Ok(Some(id)),
        Some(_) => Err(TopicReject::BadId),
    }
}

/// Unix numbers below this are seconds, from it on milliseconds: the year 5138, or March 1973.
const MILLIS_FROM: f64 = 1e11;

/// A moment as RFC 3339 text, or in Unix seconds or milliseconds.
pub(crate) fn read_timestamp(timestamp: Option<Scalar>) -> Result<Option<UnixMillis>, TopicReject> {
    let millis = match timestamp {
        None | Some(Scalar::Null) => return Ok(None),
        Some(Scalar::Text(text)) => return rfc3339(&text).map(Some),
        Some(Scalar::Integer(n)) => unix(n as f64),
        Some(Scalar::Number(n)) => unix(n),
        Some(Scalar::Bool | Scalar::Compound) => return Err(TopicReject::BadTimestamp),
    };
    of_this_century(millis).map(Some)
}

fn unix(n: f64) -> i64 {
    let millis = if n < MILLIS_FROM { n * 1000.0 } else { n };
    millis.round() as i64
}

/// A moment written as RFC 3339 text, if it is one of this century.
pub(crate) fn rfc3339(text: &str) -> Result<UnixMillis, TopicReject> {
    let short = text.len() <= MAX_NAME;
    let moment: Option<jiff::Timestamp> = short.then(|| text.parse().ok()).flatten();
    of_this_century(moment.ok_or(TopicReject::BadTimestamp)?.as_millisecond())
}

fn of_this_century(millis: i64) -> Result<UnixMillis, TopicReject> {
    Some(UnixMillis(millis))
        .filter(|at| at.is_of_this_century())
        .ok_or(TopicReject::BadTimestamp)
}
