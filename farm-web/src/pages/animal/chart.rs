//! What she gave each day, beside what she usually gives and the curve of her lactation.

use std::collections::HashMap;

use farm::{
    animals::AnimalPage,
    curve::{Curve, DAYS},
    yields::{self, Past},
};
use jiff::civil::Date;
use maud::{Markup, html};
use ui::{
    Lang,
    chart::{Band, LineChart, Series, X, local_ms},
};

use crate::words::t as w;

pub(crate) mod t {
    ui::texts! {
        title = "Milk a day" / "দিনে কত দুধ";
        given = "What she gave" / "যা দিয়েছে";
        usual = "Her usual range" / "তার স্বাভাবিক সীমা";
        own_curve = "Her lactation curve" / "তার দুধের স্বাভাবিক রেখা";
        usual_curve = "The breed's usual curve in her size" / "সাধারণ গরুর রেখা, তার মাপে";
        day_in_milk = "Day in milk" / "দুধের কততম দিন";
    }
}

/// Kilograms in a litre of milk.
const KG_PER_LITRE: f64 = 1.03;
/// Days of history that tell what is usual.
const LOOK_BACK: usize = 14;
/// Standard deviations on either side that are still usual.
const SIGMAS: f64 = 2.0;

/// One day's place on the axis, and what belongs there.
struct Day {
    x: f64,
    dim: Option<i64>,
    litres: Option<f64>,
    usual: Option<(f64, f64)>,
}

/// The chart. Today is not over, so it is left out.
pub(super) fn yields(lang: Lang, page: &AnimalPage, today: Date) -> Markup {
    let calved = page.state.calved;
    let days = days(page, calved, today);
    let (axis, axis_name) = match calved {
        Some(_) => (X::Number, t::day_in_milk(lang)),
        None => (X::Time, w::date(lang)),
    };
    let given = days.iter().map(|d| (d.x, d.litres)).collect();
    let usual = days
        .iter()
        .filter_map(|d| d.usual.map(|(low, high)| (d.x, low, high)))
        .collect();
    let mut chart = LineChart::new(lang, t::title(lang), ui::t::litre(lang), axis, axis_name)
        .from_zero()
        .band(Band::new(t::usual(lang), usual))
        .series(Series::new(t::given(lang), given));
    if let (Some(curve), Some(_)) = (&page.curve, calved) {
        let name = match curve {
            Curve::Fitted(_) => t::own_curve(lang),
            Curve::Scaled(_) => t::usual_curve(lang),
        };
        chart = chart.reference(Series::new(name, curve_points(curve, &days)));
    }
    html! { (chart) }
}

/// The curve from calving to three weeks beyond the newest day, so that one sees where it leads.
fn curve_points(curve: &Curve, days: &[Day]) -> Vec<(f64, Option<f64>)> {
    let last = days.iter().filter_map(|d| d.dim).max().unwrap_or(0) + 21;
    let wood = curve.wood();
    (*DAYS.start()..=last.min(*DAYS.end()))
        .map(|t| (t as f64, Some(wood.at(t as f64) / KG_PER_LITRE)))
        .collect()
}

fn days(page: &AnimalPage, calved: Option<Date>, today: Date) -> Vec<Day> {
    let given: HashMap<Date, i64> = page.days.iter().map(|d| (d.date, d.yield_ml)).collect();
    let Some(first) = page.days.first().map(|d| d.date) else {
        return Vec::new();
    };
    let mut past: Vec<Past> = Vec::new();
    let mut days = Vec::new();
    for date in first
        .series(jiff::ToSpan::days(1))
        .take_while(|d| *d < today)
    {
        let dim = calved.map(|c| i64::from((date - c).get_days()));
        let yield_ml = given.get(&date).copied();
        let recent: Vec<Past> = past.iter().rev().take(LOOK_BACK).copied().collect();
        let usual = yields::baseline(&recent, dim).map(|b| {
            let (middle, spread) = (b.expected_ml as f64 / 1000.0, b.spread_ml as f64 / 1000.0);
            // As the alarm does, never narrower than a meter's own error.
            let spread = spread.max(middle * 0.04);
            (
                (middle - SIGMAS * spread).max(0.0),
                middle + SIGMAS * spread,
            )
        });
        days.push(Day {
            x: dim.map_or_else(|| local_ms(date.at(12, 0, 0, 0)), |dim| dim as f64),
            dim,
            litres: yield_ml.map(|ml| ml as f64 / 1000.0),
            usual,
        });
        past.extend(yield_ml.map(|yield_ml| Past { dim, yield_ml }));
    }
    days
}
