//! The lactation curve of Wood (1967): y(t) = a · t^b · e^(−c·t), daily yield in kilograms on day in milk t.
//!
//! Fitted by least squares on logarithms. A fit whose b or c is not positive has no peak and is not drawn: then a curve of
//! the usual shape takes the size of what the cow gave.

use serde::Serialize;

/// Days in milk that are fitted and drawn.
pub const DAYS: std::ops::RangeInclusive<i64> = 1..=305;
/// Days after calving whose milk is colostrum and is not fitted.
const COLOSTRUM_DAYS: i64 = 4;
/// Fewest days that can be fitted, and the fewest days they must span.
const ENOUGH: usize = 20;
const SPAN_DAYS: i64 = 40;

/// A curve.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Wood {
    /// Size: about the yield at the beginning, in kilograms.
    pub a: f64,
    /// Rise to the peak.
    pub b: f64,
    /// Fall after it, per day.
    pub c: f64,
}

impl Wood {
    /// The shape of a usual lactation: Czech Simmental, first parity, to 305 days (Animal Bioscience 34:949).
    pub const SHAPE: Self = Self {
        a: 15.2317,
        b: 0.1029,
        c: 0.0015,
    };

    /// Kilograms on day in milk `t`; day 0 counts as day 1.
    pub fn at(&self, t: f64) -> f64 {
        let t = t.max(1.0);
        self.a * t.powf(self.b) * (-self.c * t).exp()
    }

    /// Day of the highest yield.
    pub fn peak_day(&self) -> f64 {
        self.b / self.c
    }

    /// Highest yield of a day, in kilograms.
    pub fn peak(&self) -> f64 {
        self.at(self.peak_day())
    }

    /// Kilograms of days 1 to 305 together.
    pub fn total_305(&self) -> f64 {
        DAYS.map(|t| self.at(t as f64)).sum()
    }

    /// Persistency: −(b + 1) · ln c.
    pub fn persistency(&self) -> f64 {
        -(self.b + 1.0) * self.c.ln()
    }

    /// The curve through daily yields (day in milk, kilograms), if there are enough and it has a peak.
    pub fn fit(days: &[(i64, f64)]) -> Option<Self> {
        let usable = usable(days);
        let span = usable.iter().map(|d| d.0).max()? - usable.iter().map(|d| d.0).min()?;
        if usable.len() < ENOUGH || span < SPAN_DAYS {
            return None;
        }
        // ln y = ln a + b ln t − c t: normal equations of three unknowns.
        let mut m = [[0.0f64; 4]; 3];
        for (t, kg) in &usable {
            let t = *t as f64;
            let row = [1.0, t.ln(), -t];
            for i in 0..3 {
                for j in 0..3 {
                    m[i][j] += row[i] * row[j];
                }
                m[i][3] += row[i] * kg.ln();
            }
        }
        let [ln_a, b, c] = solve(m)?;
        let fit = Self {
            a: ln_a.exp(),
            b,
            c,
        };
        (fit.a.is_finite() && b > 0.0 && c > 0.0).then_some(fit)
    }

    /// A curve of the usual shape in the size of these daily yields; none without any.
    pub fn scaled(days: &[(i64, f64)]) -> Option<Self> {
        let usable = usable(days);
        let mut ratios: Vec<f64> = usable
            .iter()
            .map(|(t, kg)| kg / Self::SHAPE.at(*t as f64))
            .collect();
        ratios.sort_by(f64::total_cmp);
        let size = ratios.get(ratios.len().checked_sub(1)? / 2)?;
        Some(Self {
            a: Self::SHAPE.a * size,
            ..Self::SHAPE
        })
    }
}

/// A curve, and how it came about.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Curve {
    /// Her own.
    Fitted(Wood),
    /// The usual shape in her size: her own days are too few or have no peak.
    Scaled(Wood),
}

impl Curve {
    /// The best curve for these daily yields (day in milk, kilograms).
    pub fn of(days: &[(i64, f64)]) -> Option<Self> {
        Wood::fit(days)
            .map(Self::Fitted)
            .or_else(|| Wood::scaled(days).map(Self::Scaled))
    }

    /// The curve itself.
    pub fn wood(&self) -> Wood {
        match self {
            Self::Fitted(wood) | Self::Scaled(wood) => *wood,
        }
    }
}

fn usable(days: &[(i64, f64)]) -> Vec<(i64, f64)> {
    days.iter()
        .copied()
        .filter(|(t, kg)| *t > COLOSTRUM_DAYS && DAYS.contains(t) && *kg > 0.1)
        .collect()
}

/// Gaussian elimination with pivoting.
fn solve(mut m: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    for i in 0..3 {
        let pivot = (i..3).max_by(|a, b| m[*a][i].abs().total_cmp(&m[*b][i].abs()))?;
        m.swap(i, pivot);
        if m[i][i].abs() < 1e-9 {
            return None;
        }
        let pivot = m[i];
        for row in m.iter_mut().skip(i + 1) {
            let factor = row[i] / pivot[i];
            for (cell, p) in row.iter_mut().zip(pivot) {
                *cell -= factor * p;
            }
        }
    }
    let mut x = [0.0; 3];
    for i in (0..3).rev() {
        let known: f64 = (i + 1..3).map(|j| m[i][j] * x[j]).sum();
        x[i] = (m[i][3] - known) / m[i][i];
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64, within: f64) {
        assert!(
            (value - expected).abs() <= within,
            "{value} is not {expected} ± {within}"
        );
    }

    #[test]
    fn published_parameters_give_the_published_figures() {
        let simmental = Wood::SHAPE;
        near(simmental.peak_day(), 68.6, 0.05);
        near(simmental.peak(), 21.233, 0.001);
        near(simmental.total_305(), 6022.42, 0.01);
        near(simmental.persistency(), 7.1714, 0.0001);
        let long = Wood {
            a: 17.4329,
            b: 0.0603,
            c: 0.0010,
        };
        near(long.peak_day(), 60.3, 0.05);
        near(long.peak(), 21.015, 0.001);
    }

    #[test]
    fn a_fit_finds_the_curve_that_made_the_days() {
        let made = Wood {
            a: 12.0,
            b: 0.18,
            c: 0.003,
        };
        let days: Vec<_> = (5..200).map(|t| (t, made.at(t as f64))).collect();
        let fit = Wood::fit(&days).unwrap();
        near(fit.a, made.a, 1e-6);
        near(fit.b, made.b, 1e-8);
        near(fit.c, made.c, 1e-8);
    }

    #[test]
    fn a_curve_without_a_peak_falls_back_to_the_usual_shape() {
        let rising: Vec<_> = (5..100).map(|t| (t, 5.0 + t as f64 * 0.1)).collect();
        assert!(matches!(Curve::of(&rising), Some(Curve::Scaled(_))));
        let falling: Vec<_> = (5..100)
            .map(|t| (t, 40.0 * (t as f64).powf(-0.3)))
            .collect();
        let Some(Curve::Scaled(wood)) = Curve::of(&falling) else {
            panic!("no peak, yet fitted: {:?}", Curve::of(&falling));
        };
        assert!(wood.a > 0.0);
        assert_eq!(Curve::of(&[(10, 12.0)]).map(|c| c.wood().b), Some(0.1029));
        assert_eq!(Curve::of(&[]), None);
        assert_eq!(Curve::of(&[(2, 9.0), (400, 9.0)]), None);
    }
}
