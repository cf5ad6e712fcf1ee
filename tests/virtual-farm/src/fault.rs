//! Faults to order: `KIND[:ARGUMENT][@TIME][+DURATION]`.
//!
//! `TIME` is `now` (as when it is left out), a span after the order (`90s` or `+90s`), a local time of day `05:30` (the
//! next one), or an RFC 3339 time. A span is a number with `ms`, `s`, `m`, `h` or `d`; a bare number is seconds. Without
//! a duration the fault stays. All are in the farm's time.

use std::{fmt, str::FromStr};

use crate::sim::{
    BIOGAS_UNIT, STALLS,
    schedule::{DAY_MS, LOCAL_OFFSET_MS},
};

/// What can go wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `reader-noise[:STALL]`: random bytes between and within a reader's frames.
    ReaderNoise(Option<u16>),
    /// `crc-failures[:PERCENT]`: this share of frames (50 when not said) of readers and slaves has a flipped bit.
    CrcFailures(u8),
    /// `stuck-meter:STALL`: the meter's registers stay as they are.
    StuckMeter(u16),
    /// `dead-slave:UNIT`: the Modbus unit does not answer.
    DeadSlave(u8),
    /// `meter-restart:STALL`: the meter loses its counters once, at the time given.
    MeterRestart(u16),
    /// `flapping-probe[:NAME]`: 85 °C, bad checksums, empty files and all zeros take turns.
    FlappingProbe(Option<String>),
    /// `sick-cow:NUMBER`: her yield drops by 35 %, her milk's conductivity rises.
    SickCow(u32),
    /// `warm-tank:TANK`: the tank's cooling fails.
    WarmTank(u8),
    /// `missing-tag:NUMBER`: her tag cannot be read.
    MissingTag(u32),
    /// `swapped-tags:A,B`: each of the two wears the other's tag.
    SwappedTags(u32, u32),
    /// `two-tags[:STALL]`: a second cow's tag is read at the stall too.
    TwoTags(Option<u16>),
    /// `vanish-port:PORT`: the port `reader-1` … or `modbus` is unplugged.
    VanishPort(String),
    /// `milk-without-cow:STALL`: once, when the stall is next empty, milk flows with nobody there.
    MilkWithoutCow(u16),
}

impl FromStr for Kind {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        Self::of(name, argument).ok_or_else(|| match NAMES.contains(&name) {
            true => FaultError::Argument(text.to_owned()),
            false => FaultError::Kind(name.to_owned()),
        })
    }
}

const NAMES: [&str; 13] = [
    "reader-noise",
    "crc-failures",
    "stuck-meter",
    "dead-slave",
    "meter-restart",
    "flapping-probe",
    "sick-cow",
    "warm-tank",
    "missing-tag",
    "swapped-tags",
    "two-tags",
    "vanish-port",
    "milk-without-cow",
];

impl Kind {
    fn of(name: &str, argument: Option<&str>) -> Option<Self> {
        Some(match (name, argument) {
            ("reader-noise", None) => Self::ReaderNoise(None),
            ("reader-noise", Some(a)) => Self::ReaderNoise(Some(stall(a)?)),
            ("crc-failures", None) => Self::CrcFailures(50),
            ("crc-failures", Some(a)) => Self::CrcFailures(a.parse().ok().filter(|p| *p <= 100)?),
            ("stuck-meter", Some(a)) => Self::StuckMeter(stall(a)?),
            ("dead-slave", Some(a)) => Self::DeadSlave(a.parse().ok().filter(is_unit)?),
            ("meter-restart", Some(a)) => Self::MeterRestart(stall(a)?),
            ("flapping-probe", name) => Self::FlappingProbe(name.map(str::to_owned)),
            ("sick-cow", Some(a)) => Self::SickCow(a.parse().ok()?),
            ("warm-tank", Some(a)) => {
                Self::WarmTank(a.parse().ok().filter(|t| matches!(t, 1 | 2))?)
            }
            ("missing-tag", Some(a)) => Self::MissingTag(a.parse().ok()?),
            ("swapped-tags", Some(a)) => {
                let (a, b) = a.split_once(',')?;
                Self::SwappedTags(a.parse().ok()?, b.parse().ok()?)
            }
            ("two-tags", None) => Self::TwoTags(None),
            ("two-tags", Some(a)) => Self::TwoTags(Some(stall(a)?)),
            ("vanish-port", Some("modbus")) => Self::VanishPort("modbus".to_owned()),
            ("vanish-port", Some(a)) => {
                stall(a.strip_prefix("reader-")?)?;
                Self::VanishPort(a.to_owned())
            }
            ("milk-without-cow", Some(a)) => Self::MilkWithoutCow(stall(a)?),
            _ => return None,
        })
    }
}

fn stall(text: &str) -> Option<u16> {
    text.parse().ok().filter(|n| (1..=STALLS).contains(n))
}

fn is_unit(unit: &u8) -> bool {
    (1..=STALLS).contains(&u16::from(*unit)) || *unit == BIOGAS_UNIT
}

/// A fault and the time it lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// From when, in the farm's milliseconds.
    pub from: i64,
    /// Until when; `None` when it stays.
    pub until: Option<i64>,
}

impl Fault {
    /// Reads an order given at `now`.
    ///
    /// # Errors
    /// When the kind, its argument or a time is not one described in this module.
    pub fn parse(text: &str, now: i64) -> Result<Self, FaultError> {
        let (order, duration) = match text.rsplit_once('+') {
            Some((order, span)) if !order.ends_with('@') && parse_span(span).is_ok() => {
                (order, Some(span))
            }
            _ => (text, None),
        };
        let (kind, time) = order.split_once('@').unwrap_or((order, "now"));
        let from = parse_time(time, now)?;
        let until = duration
            .map(parse_span)
            .transpose()?
            .map(|d| from.saturating_add(d));
        Ok(Self {
            kind: kind.parse()?,
            from,
            until,
        })
    }

    fn is_active(&self, at: i64) -> bool {
        at >= self.from && self.until.is_none_or(|until| at < until)
    }
}

fn parse_time(text: &str, now: i64) -> Result<i64, FaultError> {
    let bad = || FaultError::Time(text.to_owned());
    if text == "now" {
        return Ok(now);
    }
    if let Ok(span) = parse_span(text.strip_prefix('+').unwrap_or(text)) {
        return Ok(now.saturating_add(span));
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_millisecond());
    }
    let time: jiff::civil::Time = text.parse().map_err(|_| bad())?;
    let of_day =
        (i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second()))
            * 1000;
    let midnight = now - (now + LOCAL_OFFSET_MS).rem_euclid(DAY_MS);
    let today = midnight + of_day;
    Ok(if today < now { today + DAY_MS } else { today })
}

fn parse_span(text: &str) -> Result<i64, FaultError> {
    let bad = || FaultError::Time(text.to_owned());
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_MS,
        _ => return Err(bad()),
    };
    count
        .parse::<i64>()
        .ok()
        .and_then(|n| n.checked_mul(scale))
        .ok_or_else(bad)
}

/// The faults ordered so far.
#[derive(Clone, Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds an order.
    pub fn order(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Ends every fault.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Kinds that are in force at `at`.
    pub fn active(&self, at: i64) -> impl Iterator<Item = &Kind> {
        self.0
            .iter()
            .filter(move |f| f.is_active(at))
            .map(|f| &f.kind)
    }

    /// Whether `test` holds for a fault in force at `at`.
    pub fn any(&self, at: i64, test: impl Fn(&Kind) -> bool) -> bool {
        self.active(at).any(test)
    }

    /// Takes out the single events that are due.
    pub fn take_events(&mut self, at: i64) -> Vec<Kind> {
        self.take(|f| matches!(f.kind, Kind::MeterRestart(_)) && f.from <= at)
    }

    /// Takes out the first order of milk without a cow that is due at `stall`, an empty one.
    pub fn take_milk_without_cow(&mut self, stall: u16, at: i64) -> bool {
        let due = |f: &Fault| f.kind == Kind::MilkWithoutCow(stall) && f.from <= at;
        match self.0.iter().position(due) {
            Some(index) => {
                self.0.remove(index);
                true
            }
            None => false,
        }
    }

    fn take(&mut self, due: impl Fn(&Fault) -> bool) -> Vec<Kind> {
        self.0.extract_if(.., |f| due(f)).map(|f| f.kind).collect()
    }
}

/// Why an order is not understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FaultError {
    /// No fault is called so.
    Kind(String),
    /// The argument is missing or wrong.
    Argument(String),
    /// A time or duration is wrong.
    Time(String),
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(name) => {
                write!(f, "no fault is called {name:?}; ")?;
                match nearest(name) {
                    Some(near) => {
                        write!(f, "did you mean {near:?}? There are {}", NAMES.join(", "))
                    }
                    None => write!(f, "try {}", NAMES.join(", ")),
                }
            }
            Self::Argument(text) => write!(f, "{text:?} lacks its argument or has a wrong one"),
            Self::Time(text) => write!(
                f,
                "{text:?} is no time; write now, +90s, 05:30 or RFC 3339, then perhaps +10m"
            ),
        }
    }
}

impl std::error::Error for FaultError {}

/// The kind whose name is most like `name`, if one is like it at all.
fn nearest(name: &str) -> Option<&'static str> {
    let alike = |candidate: &&str| strsim::jaro_winkler(name, candidate);
    NAMES
        .into_iter()
        .max_by(|a, b| alike(a).total_cmp(&alike(b)))
        .filter(|near| alike(near) > 0.75)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        let now = "2026-11-20T05:00:00+06:00"
            .parse::<jiff::Timestamp>()
            .unwrap()
            .as_millisecond();
        for (text, kind, from, until) in [
            ("stuck-meter:3@now+10m", Kind::StuckMeter(3), 0, Some(600)),
            ("crc-failures", Kind::CrcFailures(50), 0, None),
            (
                "reader-noise:2@+90s+1h",
                Kind::ReaderNoise(Some(2)),
                90,
                Some(3690),
            ),
            (
                "swapped-tags:101,104@+90s",
                Kind::SwappedTags(101, 104),
                90,
                None,
            ),
            (
                "sick-cow:107@05:30+2d",
                Kind::SickCow(107),
                1800,
                Some(1800 + 172_800),
            ),
            ("warm-tank:1@04:00+500ms", Kind::WarmTank(1), 82_800, None),
            ("warm-tank:1@60+600", Kind::WarmTank(1), 60, Some(660)),
            ("two-tags+30", Kind::TwoTags(None), 0, Some(30)),
            (
                "vanish-port:modbus@2026-11-20T05:01:00+06:00+5s",
                Kind::VanishPort("modbus".into()),
                60,
                Some(65),
            ),
        ] {
            let fault = Fault::parse(text, now).unwrap();
            let until = until.map_or(fault.until.filter(|_| text.ends_with("ms")), |u| {
                Some(now + u * 1000)
            });
            assert_eq!(
                fault,
                Fault {
                    kind,
                    from: now + from * 1000,
                    until
                },
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_says_why() {
        assert_eq!(
            Fault::parse("earthquake@now", 0),
            Err(FaultError::Kind("earthquake".into()))
        );
        assert_eq!(
            Fault::parse("stuck-meter@now", 0),
            Err(FaultError::Argument("stuck-meter".into()))
        );
        assert_eq!(
            Fault::parse("swapped-tags:1@now", 0),
            Err(FaultError::Argument("swapped-tags:1".into()))
        );
        for order in [
            "stuck-meter:9",
            "dead-slave:0",
            "warm-tank:3",
            "crc-failures:101",
            "vanish-port:reader-9",
            "two-tags:x",
        ] {
            assert_eq!(
                Fault::parse(order, 0),
                Err(FaultError::Argument(order.into()))
            );
        }
        assert_eq!(
            Fault::parse("sick-cow:1@later", 0),
            Err(FaultError::Time("later".into()))
        );
    }

    #[test]
    fn a_fault_lasts_as_long_as_it_was_ordered_to() {
        let mut faults = Faults::default();
        faults.order(Fault::parse("dead-slave:2@+1s+2s", 0).unwrap());
        let dead = |at| faults.any(at, |k| *k == Kind::DeadSlave(2));
        assert_eq!(
            [999, 1000, 2999, 3000].map(dead),
            [false, true, true, false]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_order_is_read_or_refused(kind in "[a-z-]{0,9}|sick-cow:[0-9]{1,12}", time in "[0-9+:TZ-]{0,20}|[0-9]{1,19}d", now in 0i64..4_000_000_000_000) {
            let _ = Fault::parse(&format!("{kind}@{time}"), now);
        }
    }

    #[test]
    fn a_slip_in_a_name_is_told_the_right_one() {
        let said = |text: &str| Fault::parse(text, 0).unwrap_err().to_string();
        for (typed, meant) in [
            ("warm-tnk:1", "warm-tank"),
            ("stuck_meter:3", "stuck-meter"),
            ("sickcow:101", "sick-cow"),
        ] {
            assert!(
                said(typed).contains(&format!("did you mean {meant:?}?")),
                "{}",
                said(typed)
            );
        }
        assert!(said("xyz").contains("try reader-noise"), "{}", said("xyz"));
    }
}
