//! The history of one series as CSV: what its chart shows, with the times as ISO 8601 and numbers as machines read them.

use axum::{
    body::Body,
    extract::{Path, Query},
    response::Response,
};
use farm::{
    devices,
    readings::{self, Point},
};
use farm_model::{Device, DeviceId, Milli, Quantity};
use jiff::tz::TimeZone;
use ui::Lang;

use super::{Ctx, Wanted, t};
use crate::{
    error::{Error, Reason},
    pages::csv,
    words::{self, t as w},
};

/// Every point of the span that the page shows, oldest first.
pub(super) async fn export(
    ctx: Ctx,
    Path((device, quantity)): Path<(DeviceId, Quantity)>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    let to = ctx.now.wall.plus(1);
    let from = to.plus(-wanted.span.millis());
    let (found, points) = ctx
        .web
        .farm
        .read(move |conn| {
            let resolution = readings::resolution_for(to.since(from));
            Ok::<_, farm::StoreError>((
                devices::get(conn, device)?,
                readings::history(conn, device, quantity, from, to, resolution)?,
            ))
        })
        .await?;
    let device = found.ok_or(Reason::NotFound)?;
    let table = table(ctx.lang, &device, quantity, &points, &ctx.tz());
    let name = format!(
        "{}-{}-{}.csv",
        device.slug,
        quantity.key(),
        wanted.span.key()
    );
    Ok(csv::file(&name, Body::from(table)))
}

fn table(
    lang: Lang,
    device: &Device,
    quantity: Quantity,
    points: &[Point],
    tz: &TimeZone,
) -> String {
    let mut out = csv::MARK.to_owned();
    csv::row(
        &mut out,
        [
            w::time(lang),
            t::device(lang),
            t::quantity(lang),
            t::value(lang),
            t::lowest(lang),
            t::highest(lang),
            t::unit(lang),
            t::good(lang),
            t::left_out(lang),
        ],
    );
    let number = |value: Option<Milli>| value.map(|v| v.to_string()).unwrap_or_default();
    for point in points {
        let at = point.at.timestamp().to_zoned(tz.clone());
        csv::row(
            &mut out,
            [
                at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
                device.name.clone(),
                words::quantity(lang, quantity).to_owned(),
                number(point.value),
                number(point.min),
                number(point.max),
                words::unit(lang, quantity).to_owned(),
                point.n.to_string(),
                point.bad.to_string(),
            ],
        );
    }
    out
}
