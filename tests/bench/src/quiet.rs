//! `edge.quiet`: how often the alarm for a drop in yield is false: told of a visit of a cow who is well.
//!
//! The virtual farm's cows over three months, each with her lactation curve and the scatter of real milkings; none is ill.

use std::collections::HashMap;

use farm::{
    settings::Settings,
    yields::{Past, baseline},
};
use virtual_farm::{
    provision::history,
    sim::{Pace, Setup, schedule::Schedule},
};

use crate::figure::{Figure, note};

const COWS: u32 = 300;
const DAYS: u32 = 90;
const START_MS: i64 = 1_795_129_200_000;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let setup = Setup {
        seed: 1,
        cows: COWS,
        start: START_MS,
        schedule: Schedule::default(),
        pace: Pace::Scheduled,
    };
    let percent = Settings::default().yield_drop_percent;
    let mut cows: HashMap<(String, u8), Vec<Past>> = HashMap::new();
    let (mut judged, mut told) = (0u32, 0u32);
    for milking in history(&setup, DAYS).milkings {
        let past = cows
            .entry((milking.animal, milking.session.number))
            .or_default();
        if let Some(baseline) = baseline(past, None) {
            judged += 1;
            told += u32::from(baseline.drop(milking.yield_ml, percent).is_some());
        }
        past.insert(
            0,
            Past {
                dim: None,
                yield_ml: milking.yield_ml,
            },
        );
        past.truncate(30);
    }
    note(format_args!(
        "edge.quiet: {told} of {judged} visits of well cows were told as drops"
    ));
    Ok(vec![Figure::new(
        "edge.quiet",
        f64::from(told) / f64::from(judged) * 1000.0,
        "false alarms per 1000 visits",
    )])
}
