//! One tank over time: temperature beside its limit, level, and the account of the last days.

use axum::{
    extract::{Path, Query},
    response::{IntoResponse, Response},
};
use farm::{
    devices, places,
    production::{self, Milk},
    readings::{self, Point, Summary},
};
use farm_model::{Device, Place, PlaceId, PlaceKind, Quantity, staff::Role};
use jiff::{ToSpan, civil::Date, tz::TimeZone};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Breadcrumb, Button, EmptyState, Row, breadcrumbs, page_head, section},
    fmt,
    icons::Icon,
};

use super::{account_row, account_table, limits};
use crate::{
    access::{Needs, Routes},
    address::to,
    error::{Error, Reason},
    pages::{
        Ctx,
        sensors::{self, Span},
    },
    words::t as w,
};

pub(crate) mod t {
    ui::texts! {
        edit = "Size and limits" / "আকার ও সীমা";
        highest_allowed = "Highest allowed" / "সর্বোচ্চ সীমা";
        account = "Milk of the last 14 days" / "গত ১৪ দিনের দুধ";
        no_probe = "Nothing has measured this tank in this time" / "এই সময়ে কোনো যন্ত্র এই ট্যাংক মাপেনি";
        no_probe_text = "Choose a longer time, or put a probe here on the Devices page." / "আরও লম্বা সময় বেছে দেখুন, অথবা যন্ত্রপাতির পাতায় এখানে একটি প্রোব বসান।";
    }
}

/// Days of the account.
const DAYS: i64 = 14;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.get(Needs::Role(Role::Worker), "/tanks/{id}", page)
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    span: Span,
}

/// One series of the tank.
struct Measured {
    device: Device,
    quantity: Quantity,
    points: Vec<Point>,
    sum: Summary,
}

struct View {
    place: Option<Place>,
    series: Vec<Measured>,
    days: Vec<(Date, Milk)>,
}

async fn view(ctx: &Ctx, id: PlaceId, span: Span) -> Result<View, Error> {
    let to = ctx.now.wall.plus(1);
    let from = to.plus(-span.millis());
    let today = ctx.today();
    let view = ctx
        .web
        .farm
        .read(move |conn| {
            let resolution = readings::resolution_for(to.since(from));
            let mut series = Vec::new();
            for device in devices::list(conn)?
                .into_iter()
                .filter(|d| d.place == Some(id))
            {
                for quantity in [Quantity::Temperature, Quantity::Level] {
                    let points =
                        readings::history(conn, device.id, quantity, from, to, resolution)?;
                    let sum = readings::summary(conn, device.id, quantity, from, to)?;
                    if !points.is_empty() {
                        series.push(Measured {
                            device: device.clone(),
                            quantity,
                            points,
                            sum,
                        });
                    }
                }
            }
            // What spoils milk comes first.
            series.sort_by_key(|s| s.quantity != Quantity::Temperature);
            let first = today.checked_sub(DAYS.days()).unwrap_or(today);
            let days = production::trend(conn, first, today)?;
            Ok::<_, farm::StoreError>(View {
                place: places::get(conn, id)?,
                series,
                days,
            })
        })
        .await?;
    Ok(view)
}

async fn page(
    ctx: Ctx,
    Path(id): Path<PlaceId>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    let lang = ctx.lang;
    let View {
        place,
        series,
        days,
    } = view(&ctx, id, wanted.span).await?;
    let place = place
        .filter(|p| p.kind == PlaceKind::Tank)
        .ok_or(Reason::NotFound)?;
    let edit = html! {
        @if ctx.me.may(Role::Manager) {
            (Button::secondary(t::edit(lang)).icon(Icon::Settings).href(to!("/tanks/{id}/edit")))
        }
    };
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::tanks(lang).into(), href: to!("/tanks") }]))
        (page_head(&place.name, &limits(lang, &place), &edit))
        (wanted.span.tabs(lang, &to!("/tanks/{id}")))
        @if series.is_empty() {
            (EmptyState::new(Icon::Sensor, t::no_probe(lang), t::no_probe_text(lang)))
        }
        @for one in &series {
            section.section {
                (chart(lang, one, &place, &ctx.tz()))
                @if one.quantity == Quantity::Temperature { (sensors::figures(lang, one.quantity, &one.sum)) }
                p.hint { (one.device.name) }
            }
        }
        (section(t::account(lang), &account(lang, &days, ctx.today())))
    };
    Ok(ctx
        .page(&place.name, &[])
        .wide()
        .body(body)
        .render()
        .into_response())
}

fn chart(lang: Lang, measured: &Measured, place: &Place, tz: &TimeZone) -> Markup {
    let quantity = measured.quantity;
    let mut chart = sensors::chart(lang, quantity, &measured.points, tz);
    if quantity == Quantity::Temperature
        && let Some(max) = place.details.max_temperature
    {
        chart = chart.target(t::highest_allowed(lang), max.to_f64());
    }
    if quantity == Quantity::Level {
        chart = chart.from_zero();
    }
    html! { (chart) }
}

fn account(lang: Lang, days: &[(Date, Milk)], today: Date) -> Markup {
    let rows: Vec<Row> = days
        .iter()
        .rev()
        .map(|(date, milk)| account_row(lang, html! { (fmt::day(lang, *date, today)) }, milk))
        .collect();
    html! { (account_table(
        lang,
        t::account(lang),
        w::date(lang),
        rows
    )) }
}
