//! Lines over time or numbers: several series, a band, a target, a reference curve.

use std::fmt::Write as _;

use maud::{Markup, Render, html};

use super::{
    DataTable, figure,
    frame::{Frame, Reading, percent, unit},
    legend, nothing,
    scale::{Detail, Scale, X, x_label},
};
use crate::{Lang, fmt, t};

/// A named line: places and values, in order; a value that is missing or not finite is a gap.
#[derive(Clone, Debug)]
pub struct Series {
    name: String,
    points: Vec<(f64, Option<f64>)>,
}

impl Series {
    /// A line of this name.
    pub fn new(name: impl Into<String>, points: Vec<(f64, Option<f64>)>) -> Self {
        Self {
            name: name.into(),
            points: points
                .into_iter()
                .filter(|(x, _)| x.is_finite())
                .map(|(x, y)| (x, y.filter(|y| y.is_finite())))
                .collect(),
        }
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().filter_map(|(_, y)| *y)
    }

    fn at(&self, x: f64) -> Option<f64> {
        let i = self.points.partition_point(|(px, _)| *px < x);
        self.points.get(i).filter(|(px, _)| *px == x)?.1
    }
}

/// A named area between two values: lowest and highest of an hour, or what is normal.
#[derive(Clone, Debug)]
pub struct Band {
    name: String,
    points: Vec<(f64, f64, f64)>,
}

impl Band {
    /// An area of this name through places, low and high values; what is not finite is left out.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points: points
                .into_iter()
                .filter(|(x, low, high)| x.is_finite() && low.is_finite() && high.is_finite())
                .collect(),
        }
    }
}

/// A line chart.
#[derive(Clone, Debug)]
pub struct LineChart {
    lang: Lang,
    title: String,
    unit: String,
    x: X,
    x_name: String,
    places: u8,
    series: Vec<Series>,
    reference: Option<Series>,
    band: Option<Band>,
    target: Option<(String, f64)>,
    from_zero: bool,
}

impl LineChart {
    /// An empty chart: its title, the unit of its values, what the axis measures and its name in the table.
    pub fn new(
        lang: Lang,
        title: impl Into<String>,
        unit: impl Into<String>,
        x: X,
        x_name: impl Into<String>,
    ) -> Self {
        Self {
            lang,
            title: title.into(),
            unit: unit.into(),
            x,
            x_name: x_name.into(),
            places: 1,
            series: Vec::new(),
            reference: None,
            band: None,
            target: None,
            from_zero: false,
        }
    }

    /// Adds a line.
    #[must_use]
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// A curve to compare with, drawn lightly: a lactation curve, last year.
    #[must_use]
    pub fn reference(mut self, series: Series) -> Self {
        self.reference = Some(series);
        self
    }

    /// An area behind the lines.
    #[must_use]
    pub fn band(mut self, band: Band) -> Self {
        self.band = Some(band);
        self
    }

    /// A level to reach or keep under.
    #[must_use]
    pub fn target(mut self, name: impl Into<String>, value: f64) -> Self {
        self.target = value.is_finite().then(|| (name.into(), value));
        self
    }

    /// Begins the vertical axis at zero: for amounts.
    #[must_use]
    pub fn from_zero(mut self) -> Self {
        self.from_zero = true;
        self
    }

    /// Decimal places of values in tooltips and the table, and the finest of the axis; 1 when not said.
    #[must_use]
    pub fn places(mut self, places: u8) -> Self {
        self.places = places;
        self
    }

    fn scales(&self) -> Option<(Scale, Scale)> {
        let lines = || self.series.iter().chain(&self.reference);
        let band = || self.band.iter().flat_map(|b| &b.points);
        let drawn = |s: &Series| s.points.iter().filter(|(_, y)| y.is_some()).count();
        if lines().map(drawn).sum::<usize>() + band().count() == 0 {
            return None;
        }
        let x = Scale::tight(
            lines()
                .flat_map(|s| s.points.iter().map(|(x, _)| *x))
                .chain(band().map(|(x, _, _)| *x)),
            4,
            self.x,
        )?;
        let y = Scale::nice(
            lines()
                .flat_map(Series::values)
                .chain(band().flat_map(|(_, low, high)| [*low, *high]))
                .chain(self.target.iter().map(|(_, v)| *v))
                .chain(self.from_zero.then_some(0.0)),
            4,
            self.places,
        )?;
        Some((x, y))
    }

    /// The stretched part: band, target, reference, lines.
    fn plot(&self, x: &Scale, y: &Scale) -> Markup {
        html! {
            @if let Some(band) = &self.band { path.band d=(band_path(band, x, y)) {} }
            @if let Some((_, value)) = &self.target {
                @let at = unit(1.0 - y.place(*value));
                path.target d={ "M0 " (at) "H1000" } {}
            }
            @if let Some(reference) = &self.reference { path.reference d=(line_path(reference, x, y)) {} }
            @for (i, series) in self.series.iter().enumerate() {
                path.line.(class(i)) d=(line_path(series, x, y)) {}
            }
        }
    }

    /// The newest value of each line, and points that stand alone between gaps.
    fn marks(&self, x: &Scale, y: &Scale) -> Markup {
        html! {
            @for (i, series) in self.series.iter().enumerate() {
                @for (px, py) in lone_points(series) {
                    circle.dot.(class(i)) cx=(percent(x.place(px))) cy=(percent(1.0 - y.place(py))) r="2.5" {}
                }
                @if let Some((px, Some(py))) = series.points.iter().rfind(|(_, y)| y.is_some()) {
                    circle.last.(class(i)) cx=(percent(x.place(*px))) cy=(percent(1.0 - y.place(*py))) r="4" {}
                }
            }
        }
    }

    fn legend(&self) -> Markup {
        let lines = self
            .series
            .iter()
            .enumerate()
            .map(|(i, s)| (format!("line {}", class(i)), s.name.as_str()));
        let reference = self
            .reference
            .iter()
            .map(|s| ("reference".to_owned(), s.name.as_str()));
        let band = self
            .band
            .iter()
            .map(|b| ("band".to_owned(), b.name.as_str()));
        let target = self
            .target
            .iter()
            .map(|(n, _)| ("target".to_owned(), n.as_str()));
        legend(lines.chain(reference).chain(band).chain(target))
    }

    fn value(&self, value: f64) -> String {
        fmt::float(self.lang, value, self.places)
    }

    /// What the chart says to who cannot see it.
    fn summary(&self) -> String {
        let lines = self.series.iter().filter_map(|s| {
            let last = s.values().last()?;
            let low = s.values().fold(f64::INFINITY, f64::min);
            let high = s.values().fold(f64::NEG_INFINITY, f64::max);
            let [last, low, high] = [last, low, high].map(|v| self.value(v));
            Some(t::chart_summary(
                self.lang, &s.name, last, &self.unit, low, high,
            ))
        });
        lines.collect::<Vec<_>>().join(" ")
    }

    fn xs(&self) -> Vec<f64> {
        let mut xs: Vec<f64> = self
            .series
            .iter()
            .flat_map(|s| s.points.iter().map(|(x, _)| *x))
            .collect();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        xs
    }

    fn table(&self, scale: &Scale) -> DataTable {
        let lines: Vec<&Series> = self.series.iter().chain(&self.reference).collect();
        let name = |s: &&Series| format!("{} ({})", s.name, self.unit);
        DataTable {
            caption: self.title.clone(),
            head: std::iter::once(self.x_name.clone())
                .chain(lines.iter().map(name))
                .collect(),
            rows: self
                .xs()
                .into_iter()
                .map(|x| {
                    let cell = |s: &&Series| s.at(x).map_or_else(|| "–".into(), |v| self.value(v));
                    let label = x_label(self.lang, self.x, scale, x, Detail::Full);
                    (label, lines.iter().map(cell).collect())
                })
                .collect(),
        }
    }

    /// At most [`MAX_READINGS`] tooltips; more would be narrower than a pointer.
    fn readings(&self, x: &Scale) -> Vec<Reading> {
        let xs = self.xs();
        let every = xs.len().div_ceil(MAX_READINGS).max(1);
        xs.iter()
            .step_by(every)
            .map(|&at| {
                let mut text = x_label(self.lang, self.x, x, at, Detail::Full);
                for series in self.series.iter().chain(&self.reference) {
                    if let Some(value) = series.at(at) {
                        let value = self.value(value);
                        write!(text, "\n{}: {value} {}", series.name, self.unit)
                            .expect("a string takes all");
                    }
                }
                Reading {
                    at: x.place(at),
                    text,
                }
            })
            .collect()
    }
}

const MAX_READINGS: usize = 160;

impl Render for LineChart {
    fn render(&self) -> Markup {
        let Some((x, y)) = self.scales() else {
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
        let label = |tick: &f64| {
            (
                x.place(*tick),
                x_label(self.lang, self.x, &x, *tick, Detail::Tick),
            )
        };
        let frame = Frame {
            lang: self.lang,
            title: &self.title,
            summary: &self.summary(),
            unit: &self.unit,
            y: &y,
            x_labels: x.ticks.iter().map(label).collect(),
            plot: self.plot(&x, &y),
            marks: self.marks(&x, &y),
            readings: self.readings(&x),
        };
        figure(
            self.lang,
            &self.title,
            &self.legend(),
            &frame.draw(),
            &self.table(&x),
        )
    }
}

/// The class of the nth series: six looks, then again from the first.
pub(super) fn class(i: usize) -> String {
    format!("s{}", i % 6)
}

fn line_path(series: &Series, x: &Scale, y: &Scale) -> String {
    let mut path = String::new();
    let mut pen_down = false;
    for (px, py) in &series.points {
        if let Some(py) = py {
            let (px, py) = (unit(x.place(*px)), unit(1.0 - y.place(*py)));
            write!(path, "{}{px} {py}", if pen_down { 'L' } else { 'M' })
                .expect("a string takes all");
        }
        pen_down = py.is_some();
    }
    path
}

fn band_path(band: &Band, x: &Scale, y: &Scale) -> String {
    let low = band.points.iter().map(|(px, low, _)| (*px, *low));
    let high = band.points.iter().rev().map(|(px, _, high)| (*px, *high));
    let corner =
        |(px, py): (f64, f64)| format!("{} {}", unit(x.place(px)), unit(1.0 - y.place(py)));
    let corners: Vec<String> = low.chain(high).map(corner).collect();
    if corners.is_empty() {
        return String::new();
    }
    format!("M{}Z", corners.join("L"))
}

fn lone_points(series: &Series) -> Vec<(f64, f64)> {
    let points = &series.points;
    let there = |i: Option<usize>| {
        i.and_then(|i| points.get(i))
            .is_some_and(|(_, y)| y.is_some())
    };
    (0..points.len())
        .filter(|i| !there(i.checked_sub(1)) && !there(Some(i + 1)))
        .filter_map(|i| Some((points[i].0, points[i].1?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, Option<f64>)]) -> String {
        LineChart::new(Lang::En, "Yield", "L", X::Number, "Day")
            .series(Series::new("Lali", points.to_vec()))
            .render()
            .into_string()
    }

    fn paths(html: &str) -> Vec<&str> {
        html.split("class=\"line s0\" d=\"")
            .skip(1)
            .filter_map(|p| p.split('"').next())
            .collect()
    }

    #[test]
    fn a_gap_lifts_the_pen() {
        let html = chart(&[
            (0.0, Some(0.0)),
            (1.0, Some(4.0)),
            (2.0, None),
            (3.0, Some(8.0)),
            (4.0, Some(8.0)),
        ]);
        assert_eq!(paths(&html), ["M0 1000L250 500M750 0L1000 0"]);
    }

    #[test]
    fn what_is_not_a_number_is_a_gap_and_never_zero() {
        let html = chart(&[
            (0.0, Some(2.0)),
            (1.0, Some(f64::NAN)),
            (2.0, Some(4.0)),
            (f64::NAN, Some(9.0)),
        ]);
        assert!(!html.contains("NaN") && !html.contains("inf"));
        assert_eq!(paths(&html)[0].matches('M').count(), 2);
        assert!(html.contains("<th scope=\"row\">1</th><td class=\"num\">–</td>"));
    }

    #[test]
    fn degenerate_data_draws_or_says_that_there_is_none() {
        for nothing in [&[][..], &[(1.0, None)], &[(1.0, Some(f64::NAN))]] {
            assert!(chart(nothing).contains("No data in this period"));
        }
        for something in [
            &[(5.0, Some(3.0))][..],
            &[(0.0, Some(3.0)), (1.0, Some(3.0))],
            &[(0.0, Some(0.0)), (1.0, Some(0.0))],
            &[(0.0, Some(-3.0)), (1.0, Some(-9.0))],
        ] {
            let html = chart(something);
            assert!(
                html.contains("class=\"last s0\"") && !html.contains("NaN"),
                "{something:?}"
            );
        }
    }

    #[test]
    fn a_chart_speaks_to_who_cannot_see_it() {
        let html = chart(&[(0.0, Some(12.0)), (1.0, Some(9.5)), (2.0, Some(11.0))]);
        assert!(html.contains("role=\"img\""));
        assert!(html.contains("<desc>Lali: now 11.0 L, lowest 9.5, highest 12.0.</desc>"));
        assert_eq!(html.matches("<th scope=\"row\">").count(), 3);
    }

    #[test]
    fn many_points_keep_few_tooltips_and_the_whole_table() {
        let points: Vec<(f64, Option<f64>)> = (0..1000)
            .map(|i| (f64::from(i), Some(f64::from(i % 7))))
            .collect();
        let html = chart(&points);
        assert!(html.matches("class=\"reading\"").count() <= MAX_READINGS);
        assert_eq!(html.matches("<th scope=\"row\">").count(), 1000);
    }
}
