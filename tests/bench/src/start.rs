//! `edge.start`: from the start of the process to the first page, with a farm of 90 days on disk.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::{
    demo::{DAYS, Demo},
    figure::{Figure, Times, note},
    http,
};

const STARTS: usize = 20;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let mut edge = Demo::start(60.0, DAYS)?.leave();
    edge.stop();
    let mut times = Times::default();
    for _ in 0..STARTS {
        let started = Instant::now();
        edge.spawn();
        let status = loop {
            match http::get(edge.web, "/login", "") {
                Ok(answer) => break answer.status,
                // Nobody listens yet.
                Err(_) if started.elapsed() < Duration::from_secs(10) => {
                    std::thread::sleep(Duration::from_micros(500));
                }
                Err(error) => return Err(error.into()),
            }
        };
        times.add(started.elapsed());
        ensure!(status == 200, "the first page was answered with {status}");
        edge.stop();
    }
    note(format_args!(
        "edge.start: median {:.0} ms, worst {:.0} ms of {STARTS}",
        times.quantile_ms(0.5),
        times.quantile_ms(1.0)
    ));
    Ok(vec![
        Figure::new("edge.start", times.quantile_ms(1.0), "ms, worst of 20").goal(300.0),
    ])
}
