//! Sensors: the newest value of each series with its age and quality, and the history of one.

mod export;

use std::collections::HashMap;

use axum::{
    extract::{Path, Query},
    response::{IntoResponse, Response},
};
use farm::{
    Farm, LiveValue, Origin,
    climate::HeatStress,
    devices, places,
    readings::{self, Point, Summary},
    samples,
};
use farm_model::{
    Clock as _, Device, DeviceId, DeviceKind, Place, Quality, Quantity, UnixMillis, staff::Role,
};
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    chart::{Band, LineChart, Series, X, local_ms},
    components::{
        self, Badge, Button, EmptyState, Stat, Tab, breadcrumbs, quality_chip, tabs, time_ago,
    },
    icons::Icon,
    shell::Tone,
};

use super::Ctx;
use crate::{
    access::{Needs, Routes},
    address::to,
    error::{Error, Reason},
    live::{Fragment, Topic},
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        no_values = "No values yet" / "এখনো কোনো মান আসেনি";
        no_values_text = "As soon as a device reports, it stands here." / "কোনো যন্ত্র মান পাঠালেই এখানে দেখা যাবে।";
        elsewhere = "Without a place" / "জায়গা ঠিক করা নেই";
        hours = "3 hours" / "৩ ঘণ্টা";
        day = "24 hours" / "২৪ ঘণ্টা";
        week = "7 days" / "৭ দিন";
        month = "30 days" / "৩০ দিন";
        year = "1 year" / "১ বছর";
        span = "Span" / "সময়কাল";
        lowest = "Lowest" / "সবচেয়ে কম";
        mean = "Average" / "গড়";
        highest = "Highest" / "সবচেয়ে বেশি";
        device = "Device" / "যন্ত্র";
        quantity = "Quantity" / "কী মাপা হয়েছে";
        value = "Value" / "মান";
        unit = "Unit" / "একক";
        good = "Good values" / "ঠিক মান কয়টি";
        left_out = "Left out" / "বাদ কয়টি";
        range = "Lowest to highest" / "কম থেকে বেশি";
        doubtful(n) = "{n} doubtful value left out" | "{n} doubtful values left out" / "{n}টি সন্দেহজনক মান বাদ";
    }
}

/// A value older than this is shown as old, if its device says nothing of its rhythm.
const STALE_MS: i64 = 15 * 60_000;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(Needs::Role(Role::Worker), "/sensors", page)
        .get(
            Needs::Role(Role::Worker),
            "/sensors/{device}/{quantity}",
            series,
        )
        .get(
            Needs::Role(Role::Worker),
            "/sensors/{device}/{quantity}/export.csv",
            export::export,
        )
}

/// The newest values with what they belong to.
pub(crate) struct View {
    pub(crate) values: Vec<LiveValue>,
    pub(crate) devices: Vec<Device>,
    pub(crate) places: Vec<Place>,
    pub(crate) now: UnixMillis,
}

/// Reads the newest values.
pub(crate) async fn view(farm: &Farm) -> Result<View, Error> {
    let (devices, places) = farm
        .read(|conn| Ok::<_, farm::StoreError>((devices::list(conn)?, places::list(conn)?)))
        .await?;
    Ok(View {
        values: farm.live().values(),
        devices,
        places,
        now: farm.clock().now().wall,
    })
}

/// The quality of a value now: good ones become old.
pub(crate) fn quality_now(
    value: &LiveValue,
    device: Option<&Device>,
    now: UnixMillis,
) -> components::Quality {
    let mut expected = device
        .and_then(Device::expected_s)
        .map_or(STALE_MS, |s| i64::from(s) * 3000);
    if value.origin == Origin::Elsewhere {
        let kind = device.map_or(DeviceKind::Sensor, |d| d.kind);
        expected = expected.max(samples::patience_ms(kind));
    }
    match value.quality {
        Quality::Bad => components::Quality::Bad,
        Quality::Missing => components::Quality::Missing,
        Quality::Stale => components::Quality::Stale,
        Quality::Good if value.age_ms(now) > expected => components::Quality::Stale,
        Quality::Good => components::Quality::Good,
    }
}

/// Every part that changes: a group for each place.
pub(crate) async fn fragments(farm: &Farm, lang: Lang) -> Result<Vec<Fragment>, Error> {
    let view = view(farm).await?;
    Ok(groups(lang, &view)
        .into_iter()
        .map(|(id, html)| Fragment::new(id, html))
        .collect())
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx.web.farm).await?;
    let body = html! {
        h1 { (w::sensors(lang)) }
        @if view.values.is_empty() {
            (EmptyState::new(Icon::Sensor, t::no_values(lang), t::no_values_text(lang)))
        }
        div.grid { @for (_, group) in groups(lang, &view) { (group) } }
    };
    let page = ctx
        .page(w::sensors(lang), &[Topic::Sensors])
        .wide()
        .body(body);
    Ok(page.render().into_response())
}

/// The values of one device.
struct Of<'a> {
    device: &'a Device,
    values: Vec<&'a LiveValue>,
}

/// The devices that have values, each with its own, in the order of the devices.
fn by_device(view: &View) -> Vec<Of<'_>> {
    let mut values: HashMap<DeviceId, Vec<&LiveValue>> = HashMap::new();
    for value in &view.values {
        values.entry(value.device).or_default().push(value);
    }
    // Meters in stalls are the parlour's; a reader has no values.
    view.devices
        .iter()
        .filter(|d| d.enabled && d.kind != DeviceKind::MilkMeter)
        .filter_map(|device| {
            let values = values.remove(&device.id)?;
            Some(Of { device, values })
        })
        .collect()
}

/// One card for each place that has values, by its element id; then the collars, and what has no place.
fn groups(lang: Lang, view: &View) -> Vec<(String, Markup)> {
    let (placed, loose): (Vec<Of<'_>>, Vec<Of<'_>>) = by_device(view)
        .into_iter()
        .partition(|of| of.device.place.is_some());
    let (collars, others): (Vec<Of<'_>>, Vec<Of<'_>>) = loose
        .into_iter()
        .partition(|of| of.device.kind == DeviceKind::Collar);
    let mut groups = Vec::new();
    for place in &view.places {
        let here = || placed.iter().filter(|of| of.device.place == Some(place.id));
        if here().next().is_none() {
            continue;
        }
        let body = html! { @for of in here() { (series_of(lang, of, view.now)) } };
        let id = format!("place-{}-{}", place.kind.key(), place.slug);
        let card = components::Card::new(&place.name, body).id(&id);
        groups.push((id, html! { (card) }));
    }
    let collars_title = words::device_kind(lang, DeviceKind::Collar);
    for (id, title, devices) in [
        ("place-none", t::elsewhere(lang), others),
        ("place-collars", collars_title, collars),
    ] {
        if devices.is_empty() {
            continue;
        }
        let body = html! { ul.sensor-lines { @for of in &devices { (line(lang, of, view.now)) } } };
        let card = components::Card::new(title, body).id(id);
        groups.push((id.to_owned(), html! { (card) }));
    }
    groups
}

/// A device's name and a row for each of its series.
fn series_of(lang: Lang, of: &Of<'_>, now: UnixMillis) -> Markup {
    html! {
        h3.sensor-name { (of.device.name) }
        ul.readings {
            @for value in &of.values { (reading(lang, value, Some(of.device), now)) }
        }
    }
}

/// A device in two lines: all its values, the worst of their qualities and the age of the newest.
fn line(lang: Lang, of: &Of<'_>, now: UnixMillis) -> Markup {
    let worst = of
        .values
        .iter()
        .map(|v| quality_now(v, Some(of.device), now))
        .max_by_key(|quality| doubt(*quality));
    let newest = of.values.iter().map(|v| v.at).max();
    html! {
        li.sensor-row {
            strong { (of.device.name) }
            @if let Some(quality) = worst { span.sensor-state { (quality_chip(lang, quality)) } }
            span.cluster.tight {
                @for value in &of.values {
                    a href=(href(value)) { (words::quantity(lang, value.quantity)) " " strong.num { (said(lang, value)) } }
                }
            }
            @if let Some(at) = newest { small.hint { (time_ago(lang, at.0, now.0)) } }
        }
    }
}

/// How far from good a quality is.
fn doubt(quality: components::Quality) -> u8 {
    match quality {
        components::Quality::Good => 0,
        components::Quality::Stale => 1,
        components::Quality::Missing => 2,
        components::Quality::Bad => 3,
    }
}

fn href(value: &LiveValue) -> String {
    to!("/sensors/{}/{}", value.device, value.quantity.key())
}

fn said(lang: Lang, value: &LiveValue) -> String {
    value
        .value
        .map_or_else(|| "–".to_owned(), |v| words::value(lang, value.quantity, v))
}

/// One series: what it measures and its value, below them how old it is and how good.
pub(crate) fn reading(
    lang: Lang,
    value: &LiveValue,
    device: Option<&Device>,
    now: UnixMillis,
) -> Markup {
    let quality = quality_now(value, device, now);
    html! {
        li.sensor-row {
            a.whole href=(href(value)) { (words::quantity(lang, value.quantity)) }
            strong.num { (said(lang, value)) }
            small.hint { (time_ago(lang, value.at.0, now.0)) }
            span.sensor-state {
                @if let Some(heat) = heat(lang, value) { (heat) }
                @if let Some(flaw) = value.flaw { (Badge::new(Tone::Neutral, words::flaw(lang, flaw))) }
                (quality_chip(lang, quality))
            }
        }
    }
}

/// What a heat index means, as long as it means something.
fn heat(lang: Lang, value: &LiveValue) -> Option<Badge> {
    if value.quantity != Quantity::Thi {
        return None;
    }
    let stress = HeatStress::of(value.value?);
    let tone = match stress {
        HeatStress::None => Tone::Good,
        HeatStress::Threshold => Tone::Info,
        HeatStress::Moderate => Tone::Warn,
        HeatStress::Severe | HeatStress::Danger => Tone::Bad,
    };
    Some(Badge::new(tone, words::heat_stress(lang, stress)))
}

/// How far back a chart looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Span {
    /// Three hours.
    Hours,
    /// A day and night.
    #[default]
    Day,
    /// Seven days.
    Week,
    /// Thirty days.
    Month,
    /// A year.
    Year,
}

impl Span {
    const ALL: [Self; 5] = [Self::Hours, Self::Day, Self::Week, Self::Month, Self::Year];

    fn key(self) -> &'static str {
        match self {
            Self::Hours => "hours",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    fn name(self, lang: Lang) -> &'static str {
        match self {
            Self::Hours => t::hours(lang),
            Self::Day => t::day(lang),
            Self::Week => t::week(lang),
            Self::Month => t::month(lang),
            Self::Year => t::year(lang),
        }
    }

    /// Its length in milliseconds.
    pub(crate) fn millis(self) -> i64 {
        const HOUR: i64 = 3_600_000;
        match self {
            Self::Hours => 3 * HOUR,
            Self::Day => 24 * HOUR,
            Self::Week => 7 * 24 * HOUR,
            Self::Month => 30 * 24 * HOUR,
            Self::Year => 365 * 24 * HOUR,
        }
    }

    /// Links to the same page with each span.
    pub(crate) fn tabs(self, lang: Lang, path: &str) -> Markup {
        let items: Vec<Tab> = Self::ALL
            .iter()
            .map(|span| Tab {
                label: span.name(lang).to_owned(),
                href: format!("{path}?span={}", span.key()),
                current: *span == self,
            })
            .collect();
        tabs(t::span(lang), &items)
    }
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    span: Span,
}

async fn series(
    ctx: Ctx,
    Path((device, quantity)): Path<(DeviceId, Quantity)>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    let lang = ctx.lang;
    let to = ctx.now.wall.plus(1);
    let from = to.plus(-wanted.span.millis());
    let (found, points, sum) = ctx
        .web
        .farm
        .read(move |conn| {
            let resolution = readings::resolution_for(to.since(from));
            Ok::<_, farm::StoreError>((
                devices::get(conn, device)?,
                readings::history(conn, device, quantity, from, to, resolution)?,
                readings::summary(conn, device, quantity, from, to)?,
            ))
        })
        .await?;
    let found = found.ok_or(Reason::NotFound)?;
    let title = words::quantity(lang, quantity);
    let path = to!("/sensors/{device}/{}", quantity.key());
    let newest = ctx.web.farm.live().value(device, quantity);
    let body = html! {
        (breadcrumbs(lang, &[components::Breadcrumb { label: w::sensors(lang).into(), href: to!("/sensors") }]))
        div.page-head { div { h1 { (title) } p { (found.name) } } }
        @if let Some(value) = &newest { ul.readings { (reading(lang, value, Some(&found), ctx.now.wall)) } }
        (wanted.span.tabs(lang, &path))
        (chart(lang, quantity, &points, &ctx.tz()))
        @if !quantity.is_counter() { (figures(lang, quantity, &sum)) }
        @if !points.is_empty() {
            p { (Button::quiet(ui::t::export_csv(lang)).icon(Icon::Download).href(format!("{path}/export.csv?span={}", wanted.span.key()))) }
        }
    };
    Ok(ctx
        .page(title, &[])
        .wide()
        .body(body)
        .render()
        .into_response())
}

/// The history of a series as a chart, with the range of each period where there is one.
pub(crate) fn chart(lang: Lang, quantity: Quantity, points: &[Point], tz: &TimeZone) -> LineChart {
    let x = |at: UnixMillis| local_ms(at.timestamp().to_zoned(tz.clone()).datetime());
    let line = points
        .iter()
        .map(|p| (x(p.at), p.value.map(farm_model::Milli::to_f64)))
        .collect();
    let band: Vec<(f64, f64, f64)> = points
        .iter()
        .filter(|p| p.n > 1)
        .filter_map(|p| Some((x(p.at), p.min?.to_f64(), p.max?.to_f64())))
        .collect();
    let name = words::quantity(lang, quantity);
    let mut chart = LineChart::new(
        lang,
        name,
        words::unit(lang, quantity),
        X::Time,
        w::time(lang),
    )
    .places(words::places(quantity))
    .series(Series::new(name, line));
    if !band.is_empty() {
        chart = chart.band(Band::new(t::range(lang), band));
    }
    if quantity == Quantity::Thi {
        let stress = HeatStress::Moderate;
        chart = chart.target(words::heat_stress(lang, stress), stress.from().to_f64());
    }
    chart
}

/// Lowest, mean and highest, and how much was left out.
pub(crate) fn figures(lang: Lang, quantity: Quantity, sum: &Summary) -> Markup {
    let stat = |label: &str, value: Option<farm_model::Milli>| {
        let text = value.map_or_else(|| "–".to_owned(), |v| words::number(lang, quantity, v));
        Stat::new(label, text, words::unit(lang, quantity))
    };
    html! {
        div.stats {
            (stat(t::lowest(lang), sum.min))
            (stat(t::mean(lang), sum.mean))
            (stat(t::highest(lang), sum.max))
        }
        @if sum.bad > 0 { p.hint { (t::doubtful(lang, sum.bad)) } }
    }
}
