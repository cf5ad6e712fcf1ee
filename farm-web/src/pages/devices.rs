//! Devices: what there is, whether it is heard, what was refused and why; adding and editing one; the auto-decoder.

mod decoder;
mod form;

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use farm::{
    Farm,
    devices::{self, DeviceError, DeviceRow, Enabled},
    places::{self, PlaceError},
    readings::{self, Quarantined, RejectCount},
};
use farm_model::{
    Clock as _, Device, DeviceId, Link, PlaceId, UnixMillis, device::RegisterMap, staff::Role,
};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Badge, Breadcrumb, Button, EmptyState, breadcrumbs, facts, time_ago},
    fmt,
    icons::Icon,
    shell::Tone,
};

use super::{Ctx, context::Done};
use crate::{
    access::{Needs, Routes},
    app::Web,
    auth::Me,
    border::{DriverHealth, DriverState, Hardware},
    error::{Error, Reason},
    live::{Fragment, Topic},
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        add = "Add a device" / "যন্ত্র যোগ করুন";
        none = "No devices yet" / "এখনো কোনো যন্ত্র নেই";
        none_text = "Add the readers, meters and probes of the farm." / "খামারের রিডার, মিটার ও প্রোব যোগ করুন।";
        working = "Working" / "চলছে";
        starting = "Starting" / "চালু হচ্ছে";
        backing_off = "No answer" / "সাড়া নেই";
        no_port = "Port is gone" / "পোর্ট নেই";
        off = "Switched off" / "বন্ধ করা";
        quiet = "Not heard for long" / "অনেকক্ষণ সাড়া নেই";
        never_heard = "Never heard" / "কখনো সাড়া দেয়নি";
        heard = "Last heard" / "শেষ সাড়া";
        rejects(n) = "{n} message refused" | "{n} messages refused" / "{n}টি বার্তা বাতিল";
        switch_off = "Switch off" / "বন্ধ করুন";
        switch_on = "Switch on" / "চালু করুন";
        reached = "Reached by" / "সংযোগ";
        place = "Place" / "জায়গা";
        kind = "What it is" / "কী যন্ত্র";
        short_name = "Short name" / "ছোট নাম";
        values = "Values" / "মান";
        refused = "Refused messages" / "বাতিল বার্তা";
        refused_text = "Bytes that made no sense, newest first." / "যেসব বার্তা বোঝা যায়নি, নতুনটি আগে।";
        reason = "Reason" / "কারণ";
        bytes = "Bytes" / "বাইট";
        registers = "Registers" / "রেজিস্টার";
        no_registers = "Nothing is read yet. Let the decoder find it." / "এখনো কিছু পড়া হচ্ছে না। খুঁজে বের করতে দিন।";
        find_value = "Find a value" / "মান খুঁজে বের করুন";
        layout = "Layout" / "বিন্যাস";
        remove = "Remove" / "সরান";
        transport_serial = "Reader on a serial port" / "সিরিয়াল পোর্টে রিডার";
        transport_modbus_rtu = "Modbus on a serial bus" / "সিরিয়াল বাসে মডবাস";
        transport_modbus_tcp = "Modbus over the network" / "নেটওয়ার্কে মডবাস";
        transport_one_wire = "Temperature probe (1-wire)" / "তাপমাত্রার প্রোব (ওয়ান-ওয়্যার)";
        transport_mqtt = "MQTT" / "এমকিউটিটি (MQTT)";
        transport_chirpstack = "LoRaWAN (ChirpStack)" / "লোরাওয়ান (ChirpStack)";
        transport_http = "Program over HTTP" / "এইচটিটিপি প্রোগ্রাম";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    let manager = Needs::Role(Role::Manager);
    let routes = routes
        .get(manager, "/devices", page)
        .get(manager, "/devices/{id}", device_page)
        .post(manager, "/devices/{id}/on", switch_on)
        .post(manager, "/devices/{id}/off", switch_off);
    decoder::routes(form::routes(routes))
}

struct View {
    rows: Vec<DeviceRow>,
    places: HashMap<PlaceId, String>,
    drivers: HashMap<DeviceId, DriverState>,
    now: UnixMillis,
}

async fn view(farm: &Farm, hardware: &Arc<dyn Hardware>) -> Result<View, Error> {
    let newest = farm.live().values();
    let (rows, places) = farm
        .read(move |conn| {
            let rows = devices::overview(conn, &newest)?;
            Ok::<_, farm::StoreError>((rows, places::list(conn)?))
        })
        .await?;
    let drivers = hardware.drivers().await;
    Ok(View {
        rows,
        places: places.into_iter().map(|p| (p.id, p.name)).collect(),
        drivers: drivers.into_iter().map(|d| (d.device, d)).collect(),
        now: farm.clock().now().wall,
    })
}

/// The list.
pub(crate) async fn fragments(
    farm: &Farm,
    hardware: &Arc<dyn Hardware>,
    lang: Lang,
) -> Result<Vec<Fragment>, Error> {
    let view = view(farm, hardware).await?;
    Ok(vec![Fragment::new("device-list", list(lang, &view))])
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx.web.farm, &ctx.web.hardware).await?;
    let (refused, counts) = refused(&ctx.web.farm, None).await?;
    let body = html! {
        div.page-head {
            div { h1 { (w::devices(lang)) } }
            (Button::primary(t::add(lang)).icon(Icon::Plus).href("/devices/new"))
        }
        (list(lang, &view))
        (quarantine(lang, &refused, &counts, view.now))
    };
    let page = ctx
        .page(w::devices(lang), &[Topic::Devices])
        .wide()
        .body(body);
    Ok(page.render().into_response())
}

fn list(lang: Lang, view: &View) -> Markup {
    html! {
        div #device-list {
            @if view.rows.is_empty() {
                (EmptyState::new(Icon::Device, t::none(lang), t::none_text(lang)))
            }
            ul.grid { @for row in &view.rows { li.card { (row_body(lang, row, view)) } } }
        }
    }
}

fn row_body(lang: Lang, row: &DeviceRow, view: &View) -> Markup {
    let device = &row.device;
    let place = device.place.and_then(|id| view.places.get(&id));
    html! {
        header {
            h2 { a href={ "/devices/" (device.id) } { (device.name) } }
            (state(lang, row, view))
        }
        p { (words::device_kind(lang, device.kind)) @if let Some(place) = place { " · " (place) } }
        p.hint {
            (transport(lang, &device.link)) " · " (t::heard(lang)) " "
            @match row.heard_at {
                Some(at) => (time_ago(lang, at.0, view.now.0)),
                None => (w::never(lang)),
            }
        }
        @if row.rejects > 0 { p.hint { (Icon::Warning) (t::rejects(lang, row.rejects)) } }
    }
}

/// The driver's word if there is a driver, else what was heard.
fn state(lang: Lang, row: &DeviceRow, view: &View) -> Markup {
    let silent = row.device.expect_every_s.is_some_and(|s| {
        row.heard_at
            .is_none_or(|at| view.now.since(at) > i64::from(s) * 3000)
    });
    let driver = view.drivers.get(&row.device.id).map(|d| d.health);
    let (tone, text) = match (row.device.enabled, driver) {
        (false, _) => (Tone::Neutral, t::off(lang)),
        (true, Some(DriverHealth::NoPort)) => (Tone::Bad, t::no_port(lang)),
        (true, Some(DriverHealth::BackingOff)) => (Tone::Bad, t::backing_off(lang)),
        (true, Some(DriverHealth::Starting)) => (Tone::Info, t::starting(lang)),
        (true, _) if row.heard_at.is_none() => (Tone::Neutral, t::never_heard(lang)),
        (true, _) if silent => (Tone::Warn, t::quiet(lang)),
        (true, _) => (Tone::Good, t::working(lang)),
    };
    html! { (Badge::new(tone, text)) }
}

/// How a device is reached.
pub(crate) fn transport(lang: Lang, link: &Link) -> &'static str {
    match link {
        Link::Serial { .. } => t::transport_serial(lang),
        Link::ModbusRtu { .. } => t::transport_modbus_rtu(lang),
        Link::ModbusTcp { .. } => t::transport_modbus_tcp(lang),
        Link::OneWire { .. } => t::transport_one_wire(lang),
        Link::Mqtt { .. } => t::transport_mqtt(lang),
        Link::ChirpStack { .. } => t::transport_chirpstack(lang),
        Link::Http => t::transport_http(lang),
    }
}

/// Where it is reached: port, host, identity.
fn endpoint(link: &Link) -> String {
    match link {
        Link::Serial { port, .. } => port.clone(),
        Link::ModbusRtu { port, unit, .. } => format!("{port} · {unit}"),
        Link::ModbusTcp {
            host, port, unit, ..
        } => format!("{host}:{port} · {unit}"),
        Link::OneWire { rom } => rom.clone(),
        Link::Mqtt { client } => client.clone().unwrap_or_default(),
        Link::ChirpStack { dev_eui, .. } => dev_eui.clone(),
        Link::Http => String::new(),
    }
}

/// The register map of a Modbus device.
fn map_of(link: &Link) -> Option<&RegisterMap> {
    match link {
        Link::ModbusRtu { map, .. } | Link::ModbusTcp { map, .. } => Some(map),
        _ => None,
    }
}

/// The register map of a Modbus device, to change.
fn map_of_mut(link: &mut Link) -> Option<&mut RegisterMap> {
    match link {
        Link::ModbusRtu { map, .. } | Link::ModbusTcp { map, .. } => Some(map),
        _ => None,
    }
}

async fn device_page(ctx: Ctx, Path(id): Path<DeviceId>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = view(&ctx.web.farm, &ctx.web.hardware).await?;
    let row = view
        .rows
        .iter()
        .find(|r| r.device.id == id)
        .ok_or(Reason::NotFound)?;
    let device = &row.device;
    let (refused, counts) = refused(&ctx.web.farm, Some(device.slug.clone())).await?;
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::devices(lang).into(), href: "/devices".into() }]))
        div.page-head {
            div { h1 { (device.name) } p { (state(lang, row, &view)) } }
            (Button::secondary(ui::t::edit(lang)).icon(Icon::Edit).href(format!("/devices/{id}/edit")))
            (switch(lang, device))
        }
        @if let Some(error) = view.drivers.get(&id).and_then(|d| d.error.as_ref()) { p.hint lang="en" { (error) } }
        (device_facts(lang, row, &view))
        @if let Some(map) = map_of(&device.link) { (decoder::registers(lang, device, map)) }
        (values(lang, &ctx, id))
        (quarantine(lang, &refused, &counts, view.now))
    };
    Ok(ctx
        .page(&device.name, &[])
        .wide()
        .body(body)
        .render()
        .into_response())
}

fn device_facts(lang: Lang, row: &DeviceRow, view: &View) -> Markup {
    let device = &row.device;
    let place = device.place.and_then(|id| view.places.get(&id));
    facts(&[
        (
            t::kind(lang),
            html! { (words::device_kind(lang, device.kind)) },
        ),
        (
            t::place(lang),
            html! { (place.map_or(w::none(lang), String::as_str)) },
        ),
        (
            t::reached(lang),
            html! { (transport(lang, &device.link)) br; code { (endpoint(&device.link)) } },
        ),
        (t::short_name(lang), html! { code { (device.slug) } }),
        (
            t::heard(lang),
            html! {
                @match row.heard_at {
                    Some(at) => (time_ago(lang, at.0, view.now.0)),
                    None => (w::never(lang)),
                }
            },
        ),
    ])
}

fn switch(lang: Lang, device: &Device) -> Markup {
    html! {
        @if device.enabled {
            form method="post" action={ "/devices/" (device.id) "/off" } { (Button::quiet(t::switch_off(lang))) }
        } @else {
            form method="post" action={ "/devices/" (device.id) "/on" } { (Button::primary(t::switch_on(lang))) }
        }
    }
}

fn values(lang: Lang, ctx: &Ctx, id: DeviceId) -> Markup {
    let mut values = ctx.web.farm.live().values();
    values.retain(|v| v.device == id);
    html! {
        @if !values.is_empty() {
            section.section {
                h2 { (t::values(lang)) }
                ul.readings { @for value in &values { (super::sensors::reading(lang, value, None, ctx.now.wall)) } }
            }
        }
    }
}

/// The newest messages refused and how many there were, of one device or of everybody: a topic of which nothing made
/// sense has no device.
async fn refused(
    farm: &Farm,
    source: Option<String>,
) -> Result<(Vec<Quarantined>, Vec<RejectCount>), Error> {
    let read = farm.read(move |conn| {
        let refused = readings::quarantined(conn, source.as_deref(), 50)?;
        let mut counts = readings::reject_counts(conn)?;
        counts.retain(|c| source.as_ref().is_none_or(|source| c.source == *source));
        Ok::<_, farm::StoreError>((refused, counts))
    });
    Ok(read.await?)
}

fn quarantine(
    lang: Lang,
    refused: &[Quarantined],
    counts: &[RejectCount],
    now: UnixMillis,
) -> Markup {
    html! {
        @if !counts.is_empty() {
            section.section {
                h2 { (t::refused(lang)) }
                p { (t::refused_text(lang)) }
                p.cluster {
                    @for count in counts {
                        (Badge::new(Tone::Warn, format!("{} × {}", fmt::int(lang, count.n), words::refusal(lang, &count.reason))))
                    }
                }
                ul.readings {
                    @for one in refused {
                        li.reading-row {
                            span { (time_ago(lang, one.at.0, now.0)) " · " (words::refusal(lang, &one.reason)) }
                            code.hex { (one.source) }
                            @if let Some(text) = printable(&one.raw) { code.hex tabindex="0" { (text) } }
                            code.hex tabindex="0" { (hex(&one.raw)) }
                        }
                    }
                }
            }
        }
    }
}

/// Bytes as text, when all of it can be shown.
fn printable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

/// Bytes in pairs of hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        if !text.is_empty() {
            text.push(' ');
        }
        let _ = write!(text, "{byte:02X}");
        text
    })
}

async fn switch_on(state: State<Web>, me: Me, path: Path<DeviceId>) -> Result<Response, Error> {
    set(state, &me, path, Enabled::Yes).await
}

async fn switch_off(state: State<Web>, me: Me, path: Path<DeviceId>) -> Result<Response, Error> {
    set(state, &me, path, Enabled::No).await
}

async fn set(
    State(web): State<Web>,
    me: &Me,
    Path(id): Path<DeviceId>,
    enabled: Enabled,
) -> Result<Response, Error> {
    web.farm
        .write(me.actor(), move |tx| devices::set_enabled(tx, id, enabled))
        .await?;
    Ok(Done::Saved.then(&format!("/devices/{id}")))
}

impl From<DeviceError> for Error {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Store(error) => error.into(),
            DeviceError::Unknown => Reason::NotFound.into(),
            DeviceError::SlugTaken(_) => Self::from(Reason::Conflict).detail(error.to_string()),
        }
    }
}

impl From<PlaceError> for Error {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Store(error) => error.into(),
            PlaceError::Unknown => Reason::NotFound.into(),
            PlaceError::SlugTaken(_) => Self::from(Reason::Conflict).detail(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn texts_are_right_in_both_languages() {
        for texts in [super::t::ALL, super::form::t::ALL, super::decoder::t::ALL] {
            assert_eq!(ui::i18n::faults(texts), Vec::<String>::new());
        }
    }
}
