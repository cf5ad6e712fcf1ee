//! Days and moments as programs write them, and what is said of those that cannot be read.

use std::str::FromStr;

use farm_model::UnixMillis;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, de};

/// How a day is written.
const DAY: &str = "a day such as 2026-11-20";
/// How a moment is written.
const MOMENT: &str = "a moment such as 2026-11-20T05:12:00+06:00, or milliseconds since 1970";

/// A day of the farm's calendar: `2026-11-20`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Day(pub(crate) Date);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Day;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(DAY)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Day, E> {
                text.parse()
                    .map(Day)
                    .map_err(|_| E::custom(format!("“{text}” is no day: write {DAY}")))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

/// A moment: RFC 3339 text, or milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(pub(crate) UnixMillis);

impl Moment {
    /// The moment, for something that happened then.
    ///
    /// # Errors
    /// When it can only come from a clock that was never set.
    pub(crate) fn of_this_century(self) -> Result<UnixMillis, &'static str> {
        Some(self.0)
            .filter(|at| at.is_of_this_century())
            .ok_or("not of this century: look at the sender's clock")
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(millis) = text.parse() {
            return Ok(Self(UnixMillis(millis)));
        }
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(UnixMillis(t.as_millisecond())))
            .map_err(|_| format!("“{text}” is no moment: write {MOMENT}"))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Moment;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(MOMENT)
            }

            fn visit_i64<E: de::Error>(self, millis: i64) -> Result<Moment, E> {
                Ok(Moment(UnixMillis(millis)))
            }

            fn visit_u64<E: de::Error>(self, millis: u64) -> Result<Moment, E> {
                i64::try_from(millis)
                    .map(|millis| Moment(UnixMillis(millis)))
                    .map_err(|_| E::custom(format!("{millis} is no moment: write {MOMENT}")))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Moment, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_both_forms() {
        for (text, millis) in [
            ("1763600000000", 1_763_600_000_000),
            ("\"2025-11-20T01:00:00Z\"", 1_763_600_400_000),
            ("\"2025-11-20T07:00:00+06:00\"", 1_763_600_400_000),
        ] {
            let moment: Moment = serde_json::from_str(text).unwrap();
            assert_eq!(moment.0, UnixMillis(millis), "{text}");
        }
        for text in ["\"yesterday\"", "1.5", "null", "18446744073709551615"] {
            assert!(serde_json::from_str::<Moment>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_in_our_own_words() {
        let day = |text| serde_json::from_str::<Day>(text).unwrap_err().to_string();
        assert!(
            day("\"20/11/2026\"")
                .starts_with("“20/11/2026” is no day: write a day such as 2026-11-20")
        );
        assert!(day("5").contains("expected a day such as 2026-11-20"));
        assert!(day("\"2026-02-30\"").contains("is no day"));
        let moment = |text| {
            serde_json::from_str::<Moment>(text)
                .unwrap_err()
                .to_string()
        };
        assert!(
            moment("\"yesterday\"").starts_with("“yesterday” is no moment: write a moment such as")
        );
        assert!(moment("18446744073709551615").contains("is no moment"));
    }
}
