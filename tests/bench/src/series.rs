//! `edge.series`: one day of one sensor out of a year of five-minute values of 50 sensors, as the API answers it.

use anyhow::ensure;
use farm::devices;
use farm_model::Quantity;

use crate::{
    figure::{Figure, Times, note},
    history::{self, DAY_MS, NOW_MS},
    site::Site,
};

const ASKED: usize = 1_000;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let path = history::sensed()?;
    let times = tokio::runtime::Runtime::new()?.block_on(async {
        let site = Site::open(&path, NOW_MS).await?;
        let sensors = site.farm.read(devices::list).await?;
        let mut times = Times::default();
        for n in 0..ASKED {
            let device = &sensors[n * 17 % sensors.len()].slug;
            let from = NOW_MS - (n as i64 * 53 % 363 + 2) * DAY_MS;
            let path = format!(
                "/api/v1/readings?device={device}&quantity={}&from={from}&to={}",
                Quantity::Temperature.key(),
                from + DAY_MS
            );
            let got = site.get(&path).await?;
            let status = got.status;
            ensure!(status.is_success(), "{path} was answered with {status}");
            times.add(got.time);
        }
        anyhow::Ok(times)
    })?;
    note(format_args!(
        "edge.series: median {:.2} ms, worst {:.2} ms",
        times.quantile_ms(0.5),
        times.quantile_ms(1.0)
    ));
    Ok(vec![
        Figure::new("edge.series", times.quantile_ms(0.99), "ms, p99").goal(20.0),
    ])
}
