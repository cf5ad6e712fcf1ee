//! Heat stress: the temperature-humidity index of NRC (1971).

use farm_model::Milli;

/// Index from air temperature (°C) and relative humidity (%), both in thousandths:
/// (1.8·T + 32) − (0.55 − 0.0055·RH) · (1.8·T − 26). In tenths of a point.
pub fn thi_tenths(temperature: Milli, humidity: Milli) -> i64 {
    let (t, rh) = (temperature.to_f64(), humidity.to_f64().clamp(0.0, 100.0));
    let thi = (1.8 * t + 32.0) - (0.55 - 0.0055 * rh) * (1.8 * t - 26.0);
    (thi * 10.0).round() as i64
}

/// How much heat troubles a dairy cow (Zimbelman and others, 2009: milk falls from 68 on).
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
    /// The stress at an index in tenths.
    pub fn of(thi_tenths: i64) -> Self {
        match thi_tenths {
            ..680 => Self::None,
            680..720 => Self::Threshold,
            720..800 => Self::Moderate,
            800..900 => Self::Severe,
            _ => Self::Danger,
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_rises_with_heat_and_damp() {
        for (t, rh, thi, stress) in [
            (20_000, 50_000, 653, HeatStress::None),
            (30_000, 70_000, 814, HeatStress::Severe),
            (35_000, 100_000, 950, HeatStress::Danger),
        ] {
            let index = thi_tenths(Milli(t), Milli(rh));
            assert_eq!((index, HeatStress::of(index)), (thi, stress));
        }
    }
}
