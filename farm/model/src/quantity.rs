//! What is measured, in which unit, and which values physics allows.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A number in thousandths of its quantity's unit: 4.25 °C is `Milli(4250)`.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Milli(pub i64);

impl Milli {
    /// The nearest thousandth; `None` for NaN, infinities and what an `i64` cannot hold.
    pub fn from_f64(value: f64) -> Option<Self> {
        let milli = (value * 1000.0).round();
        (milli.is_finite() && milli.abs() < 9.0e15).then_some(Self(milli as i64))
    }

    /// As a floating-point number of whole units, for drawing and display only.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl fmt::Display for Milli {
    /// Decimal notation without trailing zeros: `4.25`, `-0.5`, `12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, frac) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        let sign = if self.0 < 0 { "-" } else { "" };
        if frac == 0 {
            write!(f, "{sign}{whole}")
        } else {
            write!(
                f,
                "{sign}{whole}.{}",
                format!("{frac:03}").trim_end_matches('0')
            )
        }
    }
}

macro_rules! quantities {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $key:literal, $unit:literal, $min:literal ..= $max:literal;)*) => {
        /// A measured quantity. Its code is what the store keeps and never changes meaning.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum Quantity { $($(#[$doc])* $name = $code,)* }

        impl Quantity {
            /// Every quantity, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name used in configuration, JSON and the store's text forms.
            pub fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* }
            }

            /// The unit of whole numbers, as printed beside a value.
            pub fn unit(self) -> &'static str {
                match self { $(Self::$name => $unit,)* }
            }

            /// Inclusive bounds of what can be true on a farm, in whole units; values outside are kept, flagged.
            pub fn physical_range(self) -> (f64, f64) {
                match self { $(Self::$name => ($min as f64, $max as f64),)* }
            }

            /// The quantity stored under `code`.
            pub fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

quantities! {
    /// Air, milk or tank temperature.
    Temperature = 1, "temperature", "°C", -40..=110;
    /// Relative humidity.
    Humidity = 2, "humidity", "%", 0..=100;
    /// Fill level of a tank.
    Level = 3, "level", "%", 0..=100;
    /// Distance from an ultrasonic sensor to the surface.
    Distance = 4, "distance", "mm", 0..=10000;
    /// Milk flow.
    MilkFlow = 5, "milk_flow", "L/min", 0..=15;
    /// Running total of a milk meter; it may roll over or restart.
    MilkTotal = 6, "milk_total", "L", 0..=100000000;
    /// Milk of the visit under way, as the meter counts it.
    VisitYield = 7, "visit_yield", "L", 0..=80;
    /// Number of visits the meter has counted.
    VisitCount = 8, "visit_count", "", 0..=100000000;
    /// Milk of the visit before this one, as the meter kept it.
    LastYield = 9, "last_yield", "L", 0..=80;
    /// Electrical conductivity at 25 °C.
    Conductivity = 10, "conductivity", "mS/cm", 0..=20;
    /// Milk fat.
    Fat = 11, "fat", "%", 0..=15;
    /// Solids not fat.
    Snf = 12, "snf", "%", 0..=15;
    /// Milk protein.
    Protein = 13, "protein", "%", 0..=10;
    /// Gas pressure over ambient.
    Pressure = 14, "pressure", "kPa", -100..=1000;
    /// Gas flow.
    GasFlow = 15, "gas_flow", "m³/h", 0..=1000;
    /// Methane.
    Methane = 16, "methane", "%", 0..=100;
    /// Carbon dioxide.
    CarbonDioxide = 17, "carbon_dioxide", "%", 0..=100;
    /// Steps since the previous uplink of an activity collar.
    Steps = 18, "steps", "", 0..=20000;
    /// Minutes of rumination since the previous uplink.
    Rumination = 19, "rumination", "min", 0..=120;
    /// Battery voltage.
    Battery = 20, "battery", "V", 0..=60;
    /// Body weight.
    Weight = 21, "weight", "kg", 0..=2000;
    /// Radio signal strength.
    SignalStrength = 22, "signal_strength", "dBm", -160..=20;
    /// Vacuum of the milking line under ambient.
    Vacuum = 23, "vacuum", "kPa", 0..=100;
    /// Electrical power.
    Power = 24, "power", "kW", -10000..=10000;
    /// Electrical energy.
    Energy = 25, "energy", "kWh", 0..=100000000;
    /// Pulses counted by a pulse output.
    Pulses = 26, "pulses", "", 0..=4294967295_u32;
    /// Temperature-humidity index of the air: how much heat troubles a cow.
    Thi = 27, "thi", "", -60..=240;
}

impl Quantity {
    /// Whether `value` is one that physics allows.
    pub fn allows(self, value: Milli) -> bool {
        let (min, max) = self.physical_range();
        (min..=max).contains(&value.to_f64())
    }

    /// Whether the values are counts that only grow until they restart, so that averages mean nothing.
    pub fn is_counter(self) -> bool {
        matches!(
            self,
            Self::MilkTotal | Self::VisitCount | Self::Energy | Self::Pulses
        )
    }
}

impl FromStr for Quantity {
    type Err = UnknownQuantity;

    fn from_str(s: &str) -> Result<Self, UnknownQuantity> {
        Self::ALL
            .iter()
            .copied()
            .find(|q| q.key() == s)
            .ok_or_else(|| UnknownQuantity(s.to_owned()))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// No quantity has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no quantity is called {0:?}")]
pub struct UnknownQuantity(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_codes_and_json_agree() {
        for q in Quantity::ALL {
            assert_eq!(Quantity::from_code(*q as i64), Some(*q));
            assert_eq!(q.key().parse(), Ok(*q));
            assert_eq!(serde_json::to_string(q).unwrap(), format!("{:?}", q.key()));
        }
    }

    #[test]
    fn thousandths_print_as_decimals() {
        for (milli, text) in [
            (4250, "4.25"),
            (-500, "-0.5"),
            (12_000, "12"),
            (1, "0.001"),
            (0, "0"),
        ] {
            assert_eq!(Milli(milli).to_string(), text);
        }
        assert_eq!(Milli::from_f64(f64::NAN), None);
        assert_eq!(Milli::from_f64(1e300), None);
        assert_eq!(Milli::from_f64(-10.125), Some(Milli(-10_125)));
    }
}
