//! What a whole is made of, as a ring beside its list.

use maud::{Markup, html};

use super::line::class;
use crate::{Lang, fmt};

/// A part of a whole.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is.
    pub name: String,
    /// How much; what is not positive is not drawn.
    pub value: f64,
    /// How much, in words with unit.
    pub text: String,
}

/// A ring of the parts with `centre` (and `below` it, small) in the middle; shares are listed beside it.
pub fn donut(lang: Lang, title: &str, centre: &str, below: &str, parts: &[Part]) -> Markup {
    let shares = shares(parts);
    html! {
        figure.chart.donut {
            figcaption { (title) }
            div.donut-row {
                svg.ring viewBox="0 0 120 120" role="img" aria-label=(title) {
                    circle.ring-track cx="60" cy="60" r="48" pathLength="100" {}
                    @for (i, (from, share)) in shares.iter().enumerate() {
                        @if *share > 0.0 {
                            circle.ring-part.(class(i)) cx="60" cy="60" r="48" pathLength="100"
                                stroke-dasharray={ (round((share - GAP).max(0.4))) " 100" }
                                stroke-dashoffset=(round(-from)) transform="rotate(-90 60 60)" {
                                title { (parts[i].name) ": " (parts[i].text) }
                            }
                        }
                    }
                    text.ring-value x="60" y="60" dy="0.2em" { (centre) }
                    text.ring-unit x="60" y="60" dy="1.9em" { (below) }
                }
                ul.ring-list {
                    @for (i, part) in parts.iter().enumerate() {
                        li {
                            svg.swatch.bar.(class(i)) viewBox="0 0 12 12" aria-hidden="true" { rect width="12" height="12" rx="3" {} }
                            span { (part.name) }
                            strong { (part.text) }
                            small { (fmt::float(lang, shares[i].1, 0)) "%" }
                        }
                    }
                }
            }
        }
    }
}

/// Room between parts, in hundredths of the ring.
const GAP: f64 = 0.8;

/// Where each part begins and how large it is, in hundredths.
fn shares(parts: &[Part]) -> Vec<(f64, f64)> {
    let size = |p: &Part| {
        if p.value.is_finite() {
            p.value.max(0.0)
        } else {
            0.0
        }
    };
    let total: f64 = parts.iter().map(size).sum();
    let mut from = 0.0;
    parts
        .iter()
        .map(|part| {
            let share = if total > 0.0 {
                size(part) / total * 100.0
            } else {
                0.0
            };
            let begin = from;
            from += share;
            (begin, share)
        })
        .collect()
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_fill_the_ring_and_ignore_what_is_no_amount() {
        let part = |value| Part {
            name: String::new(),
            value,
            text: String::new(),
        };
        assert_eq!(shares(&[part(1.0), part(3.0)]), [(0.0, 25.0), (25.0, 75.0)]);
        assert_eq!(
            shares(&[part(f64::NAN), part(-2.0), part(4.0)])[2],
            (0.0, 100.0)
        );
        assert_eq!(shares(&[part(0.0)]), [(0.0, 0.0)]);
        assert!(shares(&[]).is_empty());
    }
}
