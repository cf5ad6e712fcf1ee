//! The paper that line and bar charts share: grid, labels, stretched plot, readings under the pointer.

use maud::{Markup, html};

use super::scale::Scale;
use crate::Lang;

/// Width and height of the stretched plot's own units.
pub(super) const SIZE: f64 = 1000.0;

/// What stands under the pointer: where along the axis (0 to 1), and its words.
pub(super) struct Reading {
    pub(super) at: f64,
    pub(super) text: String,
}

/// A drawing in a frame.
pub(super) struct Frame<'a> {
    pub(super) lang: Lang,
    pub(super) title: &'a str,
    pub(super) summary: &'a str,
    pub(super) unit: &'a str,
    pub(super) y: &'a Scale,
    /// Places (0 to 1) and texts along the horizontal axis.
    pub(super) x_labels: Vec<(f64, String)>,
    /// What is stretched with the plot.
    pub(super) plot: Markup,
    /// What keeps its shape, at percentages.
    pub(super) marks: Markup,
    pub(super) readings: Vec<Reading>,
}

impl Frame<'_> {
    pub(super) fn draw(&self) -> Markup {
        html! {
            svg.plot-frame role="img" aria-label={ (self.title) ". " (self.summary) } {
                title { (self.title) }
                desc { (self.summary) }
                @for tick in &self.y.ticks {
                    @let y = percent(1.0 - self.y.place(*tick));
                    line.grid-line.zero[*tick == 0.0] x1="0" x2="100%" y1=(y) y2=(y) {}
                    text.y-label x="-8" y=(y) dy="0.35em" { (self.y.label(self.lang, *tick)) }
                }
                text.unit-label x="-8" y="-12" { (self.unit) }
                @for (at, label) in &self.x_labels {
                    text.x-label x=(percent(*at)) y="100%" dy="1.6em" { (label) }
                }
                svg.plot viewBox={ "0 0 " (SIZE) " " (SIZE) } width="100%" height="100%" preserveAspectRatio="none" {
                    (self.plot)
                }
                (self.marks)
                g.readings { @for (i, reading) in self.readings.iter().enumerate() { (self.reading(i, reading)) } }
            }
        }
    }

    /// A column that is nearer to this reading than to its neighbours, with the reading as its tooltip.
    fn reading(&self, i: usize, reading: &Reading) -> Markup {
        let edge = |j: Option<usize>, end: f64| {
            j.and_then(|j| self.readings.get(j))
                .map_or(end, |other| (other.at + reading.at) / 2.0)
        };
        let left = edge(i.checked_sub(1), 0.0).min(reading.at);
        let right = edge(i.checked_add(1), 1.0).max(reading.at);
        html! {
            rect.reading x=(percent(left)) width=(percent(right - left)) y="0" height="100%" data-at=(percent(reading.at)) {
                title { (reading.text) }
            }
        }
    }
}

/// A place of 0 to 1 as a percentage with two places.
pub(super) fn percent(place: f64) -> String {
    format!("{}%", (place * 10_000.0).round() / 100.0)
}

/// A place of 0 to 1 in the plot's own units with one place.
pub(super) fn unit(place: f64) -> f64 {
    (place * SIZE * 10.0).round() / 10.0
}
