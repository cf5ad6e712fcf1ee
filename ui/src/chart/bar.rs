//! Bars beside each other or on top of each other.

use std::fmt::Write as _;

use maud::{Markup, Render, html};

use super::{
    DataTable, figure,
    frame::{Frame, Reading, unit},
    legend,
    line::class,
    nothing,
    scale::Scale,
};
use crate::{Lang, fmt, t};

/// A bar chart: categories along the axis, one or several values each. Several values are stacked.
#[derive(Clone, Debug)]
pub struct BarChart {
    lang: Lang,
    title: String,
    unit: String,
    x_name: String,
    series: Vec<String>,
    bars: Vec<(String, Vec<Option<f64>>)>,
    places: u8,
}

impl BarChart {
    /// An empty chart: its title, the unit of its values, what the categories are.
    pub fn new(
        lang: Lang,
        title: impl Into<String>,
        unit: impl Into<String>,
        x_name: impl Into<String>,
    ) -> Self {
        Self {
            lang,
            title: title.into(),
            unit: unit.into(),
            x_name: x_name.into(),
            series: Vec::new(),
            bars: Vec::new(),
            places: 0,
        }
    }

    /// What each value of a bar is, from the axis upwards.
    #[must_use]
    pub fn series(mut self, names: &[&str]) -> Self {
        self.series = names.iter().map(|n| (*n).to_owned()).collect();
        self
    }

    /// Adds a bar; a value that is missing or not finite is left out.
    #[must_use]
    pub fn bar(mut self, label: impl Into<String>, values: Vec<Option<f64>>) -> Self {
        let finite = values
            .into_iter()
            .map(|v| v.filter(|v| v.is_finite()))
            .collect();
        self.bars.push((label.into(), finite));
        self
    }

    /// Decimal places of values in tooltips and the table, and the finest of the axis; none when not said.
    #[must_use]
    pub fn places(mut self, places: u8) -> Self {
        self.places = places;
        self
    }

    fn value(&self, value: Option<f64>) -> String {
        value.map_or_else(|| "–".into(), |v| fmt::float(self.lang, v, self.places))
    }

    fn scale(&self) -> Option<Scale> {
        if self
            .bars
            .iter()
            .all(|(_, values)| values.iter().flatten().count() == 0)
        {
            return None;
        }
        let ends = self.bars.iter().flat_map(|(_, values)| {
            let sum = |up: bool| {
                values
                    .iter()
                    .flatten()
                    .filter(move |v| (**v >= 0.0) == up)
                    .sum::<f64>()
            };
            [sum(true), sum(false)]
        });
        Scale::nice(ends.chain([0.0]), 4, self.places)
    }

    fn plot(&self, y: &Scale) -> Markup {
        let slot = 1.0 / self.bars.len() as f64;
        html! {
            @for (i, (_, values)) in self.bars.iter().enumerate() {
                @for (s, from, to) in stack(values) {
                    @let (top, bottom) = (1.0 - y.place(from.max(to)), 1.0 - y.place(from.min(to)));
                    rect.bar.(class(s)) x=(unit((i as f64 + 0.18) * slot)) width=(unit(slot * 0.64))
                        y=(unit(top)) height=(unit(bottom - top)) {}
                }
            }
        }
    }

    fn readings(&self) -> Vec<Reading> {
        let slot = 1.0 / self.bars.len() as f64;
        let words = |(i, (label, values)): (usize, &(String, Vec<Option<f64>>))| {
            let mut text = label.clone();
            for (s, value) in values.iter().enumerate() {
                let name = self.series.get(s).map_or("", String::as_str);
                let colon = if name.is_empty() { "" } else { ": " };
                write!(text, "\n{name}{colon}{} {}", self.value(*value), self.unit)
                    .expect("a string takes all");
            }
            Reading {
                at: (i as f64 + 0.5) * slot,
                text,
            }
        };
        self.bars.iter().enumerate().map(words).collect()
    }

    /// As many labels as have room on a narrow phone.
    fn labels(&self) -> Vec<(f64, String)> {
        let every = self.bars.len().div_ceil(MAX_LABELS).max(1);
        let slot = 1.0 / self.bars.len() as f64;
        self.bars
            .iter()
            .enumerate()
            .step_by(every)
            .map(|(i, (label, _))| ((i as f64 + 0.5) * slot, label.clone()))
            .collect()
    }

    fn summary(&self) -> String {
        let totals: Vec<(&str, f64)> = self
            .bars
            .iter()
            .filter(|(_, v)| v.iter().any(Option::is_some))
            .map(|(label, v)| (label.as_str(), v.iter().flatten().sum()))
            .collect();
        let by_value = |a: &&(&str, f64), b: &&(&str, f64)| a.1.total_cmp(&b.1);
        match (
            totals.iter().min_by(by_value),
            totals.iter().max_by(by_value),
        ) {
            (Some(low), Some(high)) => {
                let [least, most] = [low.1, high.1].map(|v| self.value(Some(v)));
                t::bar_summary(self.lang, high.0, most, low.0, least, &self.unit)
            }
            _ => String::new(),
        }
    }

    fn table(&self) -> DataTable {
        let names = if self.series.is_empty() {
            vec![self.unit.clone()]
        } else {
            self.series.clone()
        };
        DataTable {
            caption: self.title.clone(),
            head: std::iter::once(self.x_name.clone()).chain(names).collect(),
            rows: self
                .bars
                .iter()
                .map(|(label, values)| {
                    (
                        label.clone(),
                        values.iter().map(|v| self.value(*v)).collect(),
                    )
                })
                .collect(),
        }
    }
}

const MAX_LABELS: usize = 5;

impl Render for BarChart {
    fn render(&self) -> Markup {
        let Some(y) = self.scale() else {
            let table = DataTable {
                caption: String::new(),
                head: Vec::new(),
                rows: Vec::new(),
            };
            return figure(
                self.lang,
                &self.title,
                &html! {},
                &nothing(self.lang),
                &table,
            );
        };
        let frame = Frame {
            lang: self.lang,
            title: &self.title,
            summary: &self.summary(),
            unit: &self.unit,
            y: &y,
            x_labels: self.labels(),
            plot: self.plot(&y),
            marks: html! {},
            readings: self.readings(),
        };
        let names = self.series.iter().enumerate();
        let legend = match self.series.len() {
            0 | 1 => html! {},
            _ => legend(names.map(|(i, n)| (format!("bar {}", class(i)), n.as_str()))),
        };
        figure(
            self.lang,
            &self.title,
            &legend,
            &frame.draw(),
            &self.table(),
        )
    }
}

/// Series, from and to of each part; parts below zero hang from the axis.
fn stack(values: &[Option<f64>]) -> Vec<(usize, f64, f64)> {
    let (mut up, mut down) = (0.0, 0.0);
    values
        .iter()
        .enumerate()
        .filter_map(|(s, value)| {
            let value = (*value)?;
            let base = if value >= 0.0 { &mut up } else { &mut down };
            let from = *base;
            *base += value;
            Some((s, from, *base))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_on_each_other_and_hang_below_zero() {
        assert_eq!(
            stack(&[Some(2.0), None, Some(3.0), Some(-1.0), Some(-2.0)]),
            [
                (0, 0.0, 2.0),
                (2, 2.0, 5.0),
                (3, 0.0, -1.0),
                (4, -1.0, -3.0)
            ]
        );
    }

    #[test]
    fn degenerate_bars_draw_or_say_that_there_is_nothing() {
        let chart = |bars: &[Option<f64>]| {
            let empty = BarChart::new(Lang::En, "Milk", "L", "Day");
            let chart = bars.iter().fold(empty, |c, v| c.bar("Mon", vec![*v]));
            chart.render().into_string()
        };
        for nothing in [&[][..], &[None], &[Some(f64::NAN)]] {
            assert!(
                chart(nothing).contains("No data in this period"),
                "{nothing:?}"
            );
        }
        for something in [
            &[Some(0.0)][..],
            &[Some(5.0), Some(5.0)],
            &[Some(-5.0), None],
        ] {
            let html = chart(something);
            assert!(
                html.contains("class=\"bar s0\"") && !html.contains("NaN"),
                "{something:?}"
            );
        }
    }
}
