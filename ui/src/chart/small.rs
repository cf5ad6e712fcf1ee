//! Small pictures of one value or a short run: sparkline, gauge, tank.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::scale::Scale;

/// A run of values as a line of a word's size; gaps stay gaps. `label` says it in words.
pub fn sparkline(label: &str, values: &[Option<f64>]) -> Markup {
    let finite = |v: &Option<f64>| v.filter(|v| v.is_finite());
    let scale = Scale::nice(values.iter().filter_map(finite), 4, 6);
    let step = 100.0 / values.len().saturating_sub(1).max(1) as f64;
    let mut path = String::new();
    let mut last = None;
    if let Some(scale) = &scale {
        let mut pen = 'M';
        for (i, value) in values.iter().enumerate() {
            if let Some(value) = finite(value) {
                let (x, y) = (i as f64 * step, 28.0 - scale.place(value) * 24.0);
                write!(path, "{pen}{x:.1} {y:.1}").expect("a string takes all");
                last = Some((x, y));
            }
            pen = if finite(value).is_some() { 'L' } else { 'M' };
        }
    }
    html! {
        svg.spark role="img" aria-label=(label) {
            title { (label) }
            svg viewBox="0 0 100 32" width="100%" height="100%" preserveAspectRatio="none" { path d=(path) {} }
            @if let Some((x, y)) = last {
                circle cx={ (format!("{x:.1}")) "%" } cy={ (format!("{:.1}", y / 0.32)) "%" } r="3" {}
            }
        }
    }
}

/// A value on a half ring from 0 to 1,000 thousandths; `text` and `unit` stand in it.
pub fn gauge(label: &str, of_1000: u16, text: &str, unit: &str) -> Markup {
    let share = f64::from(of_1000.min(1000)) / 10.0;
    html! {
        svg.gauge viewBox="0 0 120 76" role="img" aria-label={ (label) ": " (text) " " (unit) } {
            path.ring-track d="M12 64a48 48 0 0 1 96 0" pathLength="100" {}
            path.ring-part.s0 d="M12 64a48 48 0 0 1 96 0" pathLength="100" stroke-dasharray={ (share) " 200" } {}
            text.ring-value x="60" y="56" { (text) }
            text.ring-unit x="60" y="72" { (unit) }
        }
    }
}

/// How a tank's content is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TankLook {
    /// As it should be.
    Good,
    /// Look at it soon.
    Warn,
    /// Act now.
    Bad,
    /// The level is not known.
    Unknown,
}

impl TankLook {
    fn key(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}

/// A tank filled to `of_1000` thousandths. `label` says it in words.
pub fn tank(label: &str, of_1000: u16, look: TankLook) -> Markup {
    let fill = f64::from(of_1000.min(1000)) / 1000.0 * 64.0;
    let top = 82.0 - fill;
    html! {
        svg.tank.(look.key()) viewBox="0 0 160 104" role="img" aria-label=(label) {
            title { (label) }
            path.tank-legs d="M38 84v14M122 84v14" {}
            path.tank-lid d="M66 17V8h28v9" {}
            rect.tank-wall x="8" y="17" width="144" height="67" rx="30" {}
            svg x="9" y="18" width="142" height="65" viewBox="9 18 142 65" {
                // the content takes the tank's own shape: a thick line through a rounded rectangle, cut at the level
                svg x="9" y=(top) width="142" height=(fill + 1.0) viewBox={ "9 " (top) " 142 " (fill + 1.0) } {
                    rect.tank-milk x="11" y="20" width="138" height="61" rx="27" {}
                }
                @if look == TankLook::Unknown { path.tank-unknown d="M40 50h80" {} }
            }
            path.tank-marks d="M142 34h-8M142 50h-12M142 66h-8" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pictures_bear_any_values() {
        for values in [
            &[][..],
            &[None],
            &[Some(1.0)],
            &[Some(2.0), Some(2.0)],
            &[Some(f64::NAN), Some(-1.0), None, Some(3.0)],
        ] {
            let html = sparkline("run", values).into_string();
            assert!(!html.contains("NaN") && !html.contains("inf"), "{values:?}");
        }
        assert!(
            gauge("fill", 5000, "5", "L")
                .into_string()
                .contains("\"100 200\"")
        );
        assert!(
            tank("full", 5000, TankLook::Good)
                .into_string()
                .contains("y=\"18\"")
        );
    }
}
