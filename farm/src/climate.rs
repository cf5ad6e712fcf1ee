//! Heat stress: the temperature-humidity index (THI) and what it means for a cow.

use farm_model::Milli;

/// The index from air temperature (°C) and relative humidity (%), to a tenth: (1.8·T + 32) − (0.55 − 0.0055·RH) · (1.8·T − 26).
///
/// National Research Council, *A Guide to Environmental Research on Animals*, 1971, in the form that Zimbelman and others
/// (2009) use for dairy cows.
pub fn thi(temperature: Milli, humidity: Milli) -> Milli {
    let (t, rh) = (temperature.to_f64(), humidity.to_f64().clamp(0.0, 100.0));
    let thi = (1.8 * t + 32.0) - (0.55 - 0.0055 * rh) * (1.8 * t - 26.0);
    Milli((thi * 10.0).round() as i64 * 100)
}

/// How much heat troubles a dairy cow in milk.
///
/// Bands of Zimbelman and Collier (University of Arizona), *Heat hits cows sooner than we thought*, Hoard's Dairyman, 2011:
/// from 68 on she takes over 60 breaths a minute and begins to give less, from 72 over 75, from 80 over 85 and more cows
/// die, from 90 on up to 140, a fifth of the milk is lost and many die.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeatStress {
    /// Below 68.
    None,
    /// 68 to 71.
    Threshold,
    /// 72 to 79.
    Moderate,
    /// 80 to 89.
    Severe,
    /// 90 and above.
    Danger,
}

impl HeatStress {
    /// Every band, from cool to hot.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::Threshold,
        Self::Moderate,
        Self::Severe,
        Self::Danger,
    ];

    /// The stress at an index.
    pub fn of(thi: Milli) -> Self {
        let is_reached = |band: &&Self| thi >= band.from();
        let reached = Self::ALL.iter().rev().find(is_reached);
        reached.copied().unwrap_or(Self::None)
    }

    /// The index at which the band begins.
    pub fn from(self) -> Milli {
        Milli(match self {
            Self::None => i64::MIN,
            Self::Threshold => 68_000,
            Self::Moderate => 72_000,
            Self::Severe => 80_000,
            Self::Danger => 90_000,
        })
    }

    /// The name used in JSON and translation keys.
    pub fn key(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Threshold => "threshold",
            Self::Moderate => "moderate",
            Self::Severe => "severe",
            Self::Danger => "danger",
        }
    }

    /// The band called `key`.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|band| band.key() == key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_index_rises_with_heat_and_damp() {
        for (celsius, humidity, index, stress) in [
            (20_000, 50_000, 65_300, HeatStress::None),
            (22_222, 50_000, 68_100, HeatStress::Threshold),
            (25_000, 55_000, 72_300, HeatStress::Moderate),
            (30_000, 70_000, 81_400, HeatStress::Severe),
            (35_000, 100_000, 95_000, HeatStress::Danger),
        ] {
            let thi = thi(Milli(celsius), Milli(humidity));
            assert_eq!((thi, HeatStress::of(thi)), (Milli(index), stress));
        }
    }

    proptest! {
        /// Above the temperature at which damp matters, more heat and more damp never make it easier for her.
        #[test]
        fn heat_and_damp_never_help(t in 14_500_i64..60_000, rh in 0_i64..100_000, more in 0_i64..5_000) {
            let here = thi(Milli(t), Milli(rh));
            prop_assert!(thi(Milli(t + more), Milli(rh)) >= here);
            prop_assert!(thi(Milli(t), Milli((rh + more).min(100_000))) >= here);
            prop_assert!(HeatStress::of(thi(Milli(t + more), Milli(rh))) >= HeatStress::of(here));
        }
    }
}
