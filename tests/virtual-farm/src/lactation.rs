//! Wood's lactation curve: daily milk `a·t^b·e^(-ct)` kilograms on day `t` after calving (Wood, 1967).

/// Density of whole milk, kilograms a litre.
pub const MILK_KG_PER_L: f64 = 1.03;

/// A lactation curve.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Wood {
    /// Scale.
    pub a: f64,
    /// Steepness of the rise; above 0.
    pub b: f64,
    /// Steepness of the decline; above 0.
    pub c: f64,
}

impl Wood {
    /// The curve that peaks with `peak_kg` a day on day `peak_day`, with rise `b`.
    pub fn with_peak(peak_kg: f64, peak_day: f64, b: f64) -> Self {
        let c = b / peak_day;
        Self {
            a: peak_kg / (peak_day.powf(b) * (-b).exp()),
            b,
            c,
        }
    }

    /// Kilograms on day `day` after calving; nothing before day 1.
    pub fn kg_on(&self, day: i64) -> f64 {
        if day < 1 {
            return 0.0;
        }
        let t = day as f64;
        self.a * t.powf(self.b) * (-self.c * t).exp()
    }

    /// The day of the peak.
    pub fn peak_day(&self) -> f64 {
        self.b / self.c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_curve_gives_the_published_figures() {
        // Czech Simmental, first parity, up to 305 days.
        let wood = Wood {
            a: 15.2317,
            b: 0.1029,
            c: 0.0015,
        };
        assert!((wood.peak_day() - 68.6).abs() < 0.01);
        let peak = wood.a * wood.peak_day().powf(wood.b) * (-wood.c * wood.peak_day()).exp();
        assert!((peak - 21.233).abs() < 0.001, "{peak}");
        let sum: f64 = (1..=305).map(|t| wood.kg_on(t)).sum();
        assert!((sum - 6022.42).abs() < 0.01, "{sum}");
        let persistency = -(wood.b + 1.0) * wood.c.ln();
        assert!((persistency - 7.1714).abs() < 0.001, "{persistency}");
    }

    #[test]
    fn a_curve_is_made_from_its_peak() {
        let wood = Wood::with_peak(14.0, 55.0, 0.15);
        assert!((wood.peak_day() - 55.0).abs() < 1e-9);
        assert!((wood.kg_on(55) - 14.0).abs() < 1e-9);
        assert_eq!(wood.kg_on(0), 0.0);
    }
}
