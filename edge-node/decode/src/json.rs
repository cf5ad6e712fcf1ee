//! The flat JSON objects that sensors send, read strictly: a key that matters stands once, and its kind is kept.
//!
//! Keys that are not asked for are passed over without being stored, whatever they hold.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value as it was written.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Scalar {
    Null,
    Bool,
    Integer(i64),
    Number(f64),
    Text(String),
    /// An array or object.
    Compound,
}

/// Why a payload is not such an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    NotJson,
    NotAnObject,
    Duplicate,
    OutOfRange,
}

/// The values of `KEYS` in `payload`, in their order; `None` where a key is absent.
pub(crate) fn pick<const N: usize>(
    payload: &[u8],
    keys: [&'static str; N],
) -> Result<[Option<Scalar>; N], Fault> {
    let mut fault = None;
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let seed = Pick {
        keys,
        fault: &mut fault,
    };
    let picked = seed.deserialize(&mut reader).and_then(|picked| {
        reader.end()?;
        Ok(picked)
    });
    picked.map_err(|error| {
        // The parser has no kind for a number beyond what a float holds, only this text.
        let too_large = error.to_string().starts_with("number out of range");
        let other = if too_large {
            Fault::OutOfRange
        } else {
            Fault::NotJson
        };
        fault.unwrap_or(other)
    })
}

struct Pick<'a, const N: usize> {
    keys: [&'static str; N],
    fault: &'a mut Option<Fault>,
}

impl<'de, const N: usize> DeserializeSeed<'de> for Pick<'_, N> {
    type Value = [Option<Scalar>; N];

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Pick<'_, N> {
    type Value = [Option<Scalar>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut picked = [const { None }; N];
        while let Some(key) = map.next_key::<String>()? {
            let Some(i) = self.keys.iter().position(|k| **k == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value_seed(ScalarSeed)?;
            if picked[i].replace(value).is_some() {
                *self.fault = Some(Fault::Duplicate);
                return Err(A::Error::custom("duplicate key"));
            }
        }
        Ok(picked)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.not_an_object()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        self.not_an_object()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        self.not_an_object()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        self.not_an_object()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        self.not_an_object()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        self.not_an_object()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        self.not_an_object()
    }
}

impl<const N: usize> Pick<'_, N> {
    fn not_an_object<T, E: Error>(self) -> Result<T, E> {
        *self.fault = Some(Fault::NotAnObject);
        Err(E::custom("not an object"))
    }
}

struct ScalarSeed;

impl<'de> DeserializeSeed<'de> for ScalarSeed {
    type Value = Scalar;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Scalar, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScalarSeed {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(value).map_or(Scalar::Number(value as f64), Scalar::Integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Compound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Compound)
    }
}
