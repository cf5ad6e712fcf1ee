//! Adding and editing a device: what it is, where it stands, and how it is reached; one form for each transport.

use std::collections::HashMap;

use axum::{
    extract::{Form, Path, Query, State},
    response::{IntoResponse, Response},
};
use farm::{
    devices::{self, DeviceForm},
    places,
    text::{Name, Slug},
};
use farm_model::{
    Device, DeviceId, DeviceKind, Link, Place, PlaceId, Quantity,
    device::{Parity, RegisterMap, RfidDialect, SerialLine},
    staff::Role,
};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Breadcrumb, Button, Choice, Field, Select, breadcrumbs},
    fmt,
    icons::Icon,
};

use super::{Ctx, Done, map_of, transport};
use crate::{
    access::{Needs, Routes},
    app::Web,
    auth::Me,
    border::{Hardware, Preset},
    error::{Error, Reason},
    words::{self, t as w},
};

pub(super) mod t {
    ui::texts! {
        how = "How is it reached?" / "কীভাবে যুক্ত?";
        short_hint = "Lower-case letters, digits and dashes" / "ছোট হাতের ইংরেজি অক্ষর, সংখ্যা ও ড্যাশ";
        no_place = "No place" / "জায়গা নেই";
        every = "Should be heard every" / "কত সময় পরপর সাড়া দেওয়ার কথা";
        every_hint = "Silence three times as long raises an alert; empty for none" / "তিন গুণ সময় চুপ থাকলে সতর্ক করা হবে; না চাইলে খালি রাখুন";
        seconds = "s" / "সেকেন্ড";
        port = "Port" / "পোর্ট";
        ports_here = "Ports here now:" / "এখন যে পোর্টগুলো আছে:";
        baud = "Speed (baud)" / "গতি (বড)";
        parity = "Parity" / "প্যারিটি";
        parity_none = "None" / "নেই";
        parity_even = "Even" / "জোড়";
        parity_odd = "Odd" / "বিজোড়";
        stop_bits = "Stop bits" / "স্টপ বিট";
        dialect = "What the reader speaks" / "রিডারের ভাষা";
        template = "A line template" / "লাইনের ছাঁচ";
        pattern = "Line template" / "লাইনের ছাঁচ";
        pattern_hint = "Only for a line template" / "শুধু লাইনের ছাঁচের জন্য";
        host = "Host or address" / "হোস্ট বা ঠিকানা";
        unit_address = "Unit address" / "ইউনিট নম্বর";
        preset = "Register map" / "রেজিস্টারের তালিকা";
        preset_none = "Empty: find the values afterwards" / "খালি: পরে মান খুঁজে নিন";
        preset_keep = "Keep the present one" / "এখন যা আছে তা-ই";
        poll = "Asked every" / "কত পরপর জিজ্ঞাসা";
        milliseconds = "ms" / "মিলিসেকেন্ড";
        rom = "Probe" / "প্রোব";
        probes_here = "Probes here now; hold one in your hand to see which it is:" / "এখন যে প্রোবগুলো আছে; কোনটি তা বুঝতে একটি হাতে ধরুন:";
        client = "User name it logs in with" / "যে নামে ঢোকে";
        dev_eui = "Device EUI" / "যন্ত্রের EUI";
        dev_eui_hint = "16 hexadecimal digits" / "১৬টি হেক্সাডেসিমাল অঙ্ক";
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    let manager = Needs::Role(Role::Manager);
    routes
        .get(manager, "/devices/new", new)
        .post(manager, "/devices", add)
        .get(manager, "/devices/{id}/edit", edit_page)
        .post(manager, "/devices/{id}", edit)
}

/// A link of each transport with nothing in it, for an empty form.
fn blank(transport: &str) -> Option<Link> {
    let line = SerialLine::default();
    Some(match transport {
        "serial" => Link::Serial {
            port: String::new(),
            line,
            dialect: RfidDialect::Wl134a,
        },
        "modbus_rtu" => Link::ModbusRtu {
            port: String::new(),
            line: SerialLine {
                parity: Parity::Even,
                ..line
            },
            unit: 1,
            map: RegisterMap::default(),
        },
        "modbus_tcp" => Link::ModbusTcp {
            host: String::new(),
            port: 502,
            unit: 1,
            map: RegisterMap::default(),
        },
        "one_wire" => Link::OneWire { rom: String::new() },
        "mqtt" => Link::Mqtt { client: None },
        "chirp_stack" => Link::ChirpStack {
            dev_eui: String::new(),
            fields: Vec::new(),
        },
        "http" => Link::Http,
        _ => return None,
    })
}

const TRANSPORTS: [&str; 7] = [
    "serial",
    "modbus_rtu",
    "modbus_tcp",
    "one_wire",
    "mqtt",
    "chirp_stack",
    "http",
];

fn key(link: &Link) -> &'static str {
    match link {
        Link::Serial { .. } => "serial",
        Link::ModbusRtu { .. } => "modbus_rtu",
        Link::ModbusTcp { .. } => "modbus_tcp",
        Link::OneWire { .. } => "one_wire",
        Link::Mqtt { .. } => "mqtt",
        Link::ChirpStack { .. } => "chirp_stack",
        Link::Http => "http",
    }
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    transport: Option<String>,
}

async fn new(ctx: Ctx, Query(wanted): Query<Wanted>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let link = wanted.transport.as_deref().and_then(blank);
    let form = match &link {
        Some(link) => {
            let places = ctx.web.farm.read(places::list).await?;
            let fields = Fields::gather(&*ctx.web.hardware, link).await;
            device_form(lang, "/devices", None, link, &places, &fields)
        }
        None => html! {
            ul.tile-grid {
                @for transport_key in TRANSPORTS {
                    @if let Some(link) = blank(transport_key) {
                        li { a.tile href={ "/devices/new?transport=" (transport_key) } {
                            (Icon::Device) span.tile-text { strong { (transport(lang, &link)) } }
                        } }
                    }
                }
            }
        },
    };
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::devices(lang).into(), href: "/devices".into() }]))
        h1 { (super::t::add(lang)) }
        @if let Some(link) = &link { p { (transport(lang, link)) } } @else { p { (t::how(lang)) } }
        (form)
    };
    Ok(ctx
        .page(super::t::add(lang), &[])
        .body(body)
        .render()
        .into_response())
}

async fn edit_page(ctx: Ctx, Path(id): Path<DeviceId>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let (device, places) = ctx
        .web
        .farm
        .read(move |conn| Ok::<_, farm::StoreError>((devices::get(conn, id)?, places::list(conn)?)))
        .await?;
    let device = device.ok_or(Reason::NotFound)?;
    let fields = Fields::gather(&*ctx.web.hardware, &device.link).await;
    let action = format!("/devices/{id}");
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: device.name.clone(), href: action.clone() }]))
        h1 { (device.name) }
        (device_form(lang, &action, Some(&device), &device.link, &places, &fields))
    };
    Ok(ctx
        .page(&device.name, &[])
        .body(body)
        .render()
        .into_response())
}

/// What of the machine a transport's form shows.
struct Fields {
    ports: Vec<String>,
    probes: Vec<crate::border::Probe>,
    presets: Vec<Preset>,
}

impl Fields {
    async fn gather(hardware: &dyn Hardware, link: &Link) -> Self {
        let ports = match link {
            Link::Serial { .. } | Link::ModbusRtu { .. } => hardware.serial_ports().await,
            _ => Vec::new(),
        };
        let probes = match link {
            Link::OneWire { .. } => hardware.probes().await,
            _ => Vec::new(),
        };
        Self {
            ports: ports
                .into_iter()
                .map(|p| match p.description {
                    Some(what) => format!("{} ({what})", p.path),
                    None => p.path,
                })
                .collect(),
            probes,
            presets: hardware.presets(),
        }
    }
}

fn device_form(
    lang: Lang,
    action: &str,
    device: Option<&Device>,
    link: &Link,
    places: &[Place],
    fields: &Fields,
) -> Markup {
    let kinds = DeviceKind::ALL
        .iter()
        .map(|k| Choice::new(k.key(), words::device_kind(lang, *k)))
        .collect();
    let spots = std::iter::once(Choice::new("", t::no_place(lang)))
        .chain(
            places
                .iter()
                .map(|p| Choice::new(p.id.to_string(), &p.name)),
        )
        .collect();
    let kind = device.map_or(usual_kind(link), |d| d.kind);
    let place = device.and_then(|d| d.place).map(|id| id.to_string());
    let every = device.and_then(|d| d.expect_every_s);
    html! {
        form.form method="post" action=(action) {
            input type="hidden" name="transport" value=(key(link));
            (Field::text("name", w::name(lang)).value(device.map_or("", |d| d.name.as_str())).required())
            (Field::text("slug", super::t::short_name(lang)).hint(t::short_hint(lang)).placeholder("stall-3-meter")
                .value(device.map_or("", |d| d.slug.as_str())).required())
            (Select::new("kind", super::t::kind(lang), kinds).chosen(kind.key()))
            (Select::new("place", super::t::place(lang), spots).chosen(place.unwrap_or_default()))
            (link_fields(lang, link, fields))
            (Field::integer("every", t::every(lang)).hint(t::every_hint(lang)).unit(t::seconds(lang))
                .value(every.map(|s| fmt::int(lang, s.into())).unwrap_or_default()))
            div.actions { (Button::primary(ui::t::save(lang)).icon(Icon::Check)) }
        }
    }
}

fn usual_kind(link: &Link) -> DeviceKind {
    match link {
        Link::Serial { .. } => DeviceKind::RfidReader,
        Link::ModbusRtu { .. } | Link::ModbusTcp { .. } => DeviceKind::MilkMeter,
        Link::OneWire { .. } => DeviceKind::TemperatureProbe,
        _ => DeviceKind::Sensor,
    }
}

fn link_fields(lang: Lang, link: &Link, fields: &Fields) -> Markup {
    html! {
        @match link {
            Link::Serial { port, line, dialect } => {
                (port_field(lang, port, fields))
                (line_fields(lang, *line))
                (dialect_fields(lang, dialect))
            },
            Link::ModbusRtu { port, line, unit, map } => {
                (port_field(lang, port, fields))
                (line_fields(lang, *line))
                (modbus_fields(lang, *unit, map, fields))
            },
            Link::ModbusTcp { host, port, unit, map } => {
                (Field::text("host", t::host(lang)).value(host).required())
                (Field::integer("tcp_port", t::port(lang)).value(port.to_string()).required())
                (modbus_fields(lang, *unit, map, fields))
            },
            Link::OneWire { rom } => {
                (Field::text("rom", t::rom(lang)).value(rom).placeholder("28-0316a2795caf").required())
                @if !fields.probes.is_empty() {
                    p.hint { (t::probes_here(lang)) }
                    ul.readings { @for probe in &fields.probes { li.reading-row {
                        code { (probe.rom) }
                        @if let Some(v) = probe.temperature { strong.num { (words::value(lang, Quantity::Temperature, v)) } }
                    } } }
                }
            },
            Link::Mqtt { client } => {
                (Field::text("client", t::client(lang)).value(client.as_deref().unwrap_or("")))
            },
            Link::ChirpStack { dev_eui, .. } => {
                (Field::text("dev_eui", t::dev_eui(lang)).hint(t::dev_eui_hint(lang)).value(dev_eui).required())
            },
            Link::Http => {},
        }
    }
}

fn port_field(lang: Lang, port: &str, fields: &Fields) -> Markup {
    html! {
        (Field::text("port", t::port(lang)).value(port).placeholder("/dev/ttyUSB0").required())
        @if !fields.ports.is_empty() {
            p.hint { (t::ports_here(lang)) " " @for port in &fields.ports { code { (port) } " " } }
        }
    }
}

fn line_fields(lang: Lang, line: SerialLine) -> Markup {
    let parity = match line.parity {
        Parity::None => "none",
        Parity::Even => "even",
        Parity::Odd => "odd",
    };
    let parities = vec![
        Choice::new("none", t::parity_none(lang)),
        Choice::new("even", t::parity_even(lang)),
        Choice::new("odd", t::parity_odd(lang)),
    ];
    let speeds = [1200, 2400, 4800, 9600, 19200, 38400, 57600, 115_200];
    let speeds = speeds
        .iter()
        .map(|b| Choice::new(b.to_string(), fmt::digits(lang, &b.to_string())))
        .collect();
    html! {
        (Select::new("baud", t::baud(lang), speeds).chosen(line.baud.to_string()))
        (Select::new("parity", t::parity(lang), parities).chosen(parity))
        (Select::new("stop_bits", t::stop_bits(lang), ["1", "2"].map(|n| Choice::new(n, fmt::digits(lang, n))).to_vec())
            .chosen(line.stop_bits.to_string()))
    }
}

fn dialect_fields(lang: Lang, dialect: &RfidDialect) -> Markup {
    let (chosen, pattern) = match dialect {
        RfidDialect::Wl134a => ("wl134a", ""),
        RfidDialect::Rdm6300 => ("rdm6300", ""),
        RfidDialect::Allflex => ("allflex", ""),
        RfidDialect::Template { pattern } => ("template", pattern.as_str()),
        RfidDialect::UhfBb => ("uhf_bb", ""),
    };
    let choices = vec![
        Choice::new("wl134a", "WL-134A"),
        Choice::new("rdm6300", "RDM6300"),
        Choice::new("allflex", "Allflex"),
        Choice::new("uhf_bb", "UHF (BB … 7E)"),
        Choice::new("template", t::template(lang)),
    ];
    html! {
        (Select::new("dialect", t::dialect(lang), choices).chosen(chosen))
        (Field::text("pattern", t::pattern(lang)).hint(t::pattern_hint(lang)).placeholder("LA {c3} {n12}").value(pattern))
    }
}

fn modbus_fields(lang: Lang, unit: u8, map: &RegisterMap, fields: &Fields) -> Markup {
    let keep = if map.fields.is_empty() {
        t::preset_none(lang)
    } else {
        t::preset_keep(lang)
    };
    let presets = std::iter::once(Choice::new("", keep))
        .chain(
            fields
                .presets
                .iter()
                .map(|p| Choice::new(&p.name, &p.title)),
        )
        .collect();
    let poll = if map.poll_ms == 0 { 1000 } else { map.poll_ms };
    html! {
        (Field::integer("unit", t::unit_address(lang)).value(unit.to_string()).required())
        (Select::new("preset", t::preset(lang), presets))
        (Field::integer("poll", t::poll(lang)).unit(t::milliseconds(lang)).value(poll.to_string()))
    }
}

type Typed = HashMap<String, String>;

fn text<'a>(form: &'a Typed, key: &str) -> &'a str {
    form.get(key).map_or("", |v| v.trim())
}

fn number<T: TryFrom<i64>>(form: &Typed, key: &str) -> Result<T, Error> {
    fmt::parse_decimal(text(form, key), 0)
        .ok()
        .and_then(|n| T::try_from(n).ok())
        .ok_or_else(|| Error::invalid(format!("{key}: a whole number in range")))
}

fn required(form: &Typed, key: &str) -> Result<String, Error> {
    match text(form, key) {
        "" => Err(Error::invalid(format!("{key}: missing"))),
        typed => Ok(typed.to_owned()),
    }
}

/// The link that a form describes; `old` keeps what the form does not show.
fn link_of(form: &Typed, old: Option<&Link>, presets: &[Preset]) -> Result<Link, Error> {
    let transport = old.map_or_else(|| text(form, "transport").to_owned(), |l| key(l).to_owned());
    Ok(match transport.as_str() {
        "serial" => Link::Serial {
            port: required(form, "port")?,
            line: line_of(form)?,
            dialect: dialect_of(form)?,
        },
        "modbus_rtu" => Link::ModbusRtu {
            port: required(form, "port")?,
            line: line_of(form)?,
            unit: number(form, "unit")?,
            map: map_from(form, old, presets)?,
        },
        "modbus_tcp" => Link::ModbusTcp {
            host: required(form, "host")?,
            port: number(form, "tcp_port")?,
            unit: number(form, "unit")?,
            map: map_from(form, old, presets)?,
        },
        "one_wire" => Link::OneWire {
            rom: required(form, "rom")?,
        },
        "mqtt" => Link::Mqtt {
            client: Some(text(form, "client").to_owned()).filter(|c| !c.is_empty()),
        },
        "chirp_stack" => Link::ChirpStack {
            dev_eui: eui(form)?,
            fields: match old {
                Some(Link::ChirpStack { fields, .. }) => fields.clone(),
                _ => Vec::new(),
            },
        },
        "http" => Link::Http,
        other => {
            return Err(Error::invalid(format!(
                "transport: none is called {other:?}"
            )));
        }
    })
}

fn eui(form: &Typed) -> Result<String, Error> {
    let typed = text(form, "dev_eui").to_ascii_lowercase();
    let fits = typed.len() == 16 && typed.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then_some(typed)
        .ok_or_else(|| Error::invalid("dev_eui: 16 hexadecimal digits"))
}

fn line_of(form: &Typed) -> Result<SerialLine, Error> {
    Ok(SerialLine {
        baud: number(form, "baud")?,
        parity: match text(form, "parity") {
            "none" => Parity::None,
            "even" => Parity::Even,
            "odd" => Parity::Odd,
            _ => return Err(Error::invalid("parity: none, even or odd")),
        },
        stop_bits: number(form, "stop_bits")?,
    })
}

fn dialect_of(form: &Typed) -> Result<RfidDialect, Error> {
    Ok(match text(form, "dialect") {
        "wl134a" => RfidDialect::Wl134a,
        "rdm6300" => RfidDialect::Rdm6300,
        "allflex" => RfidDialect::Allflex,
        "uhf_bb" => RfidDialect::UhfBb,
        "template" => RfidDialect::Template {
            pattern: required(form, "pattern")?,
        },
        _ => return Err(Error::invalid("dialect: unknown")),
    })
}

fn map_from(form: &Typed, old: Option<&Link>, presets: &[Preset]) -> Result<RegisterMap, Error> {
    let mut map = match text(form, "preset") {
        "" => old.and_then(map_of).cloned().unwrap_or_default(),
        name => presets
            .iter()
            .find(|p| p.name == name)
            .map(|p| p.map.clone())
            .ok_or_else(|| Error::invalid("preset: unknown"))?,
    };
    if !text(form, "poll").is_empty() {
        map.poll_ms = number(form, "poll")?;
    }
    Ok(map)
}

fn form_of(form: &Typed, link: Link) -> Result<DeviceForm, Error> {
    let slug = Slug::new(text(form, "slug")).map_err(|e| Error::invalid(format!("slug: {e}")))?;
    let name = Name::new(text(form, "name")).map_err(|e| Error::invalid(format!("name: {e}")))?;
    let place: Option<PlaceId> = match text(form, "place") {
        "" => None,
        id => Some(id.parse().map_err(|_| Error::invalid("place: unknown"))?),
    };
    Ok(DeviceForm {
        slug,
        name,
        kind: DeviceKind::from_key(text(form, "kind"))
            .ok_or_else(|| Error::invalid("kind: unknown"))?,
        link,
        place,
        expect_every_s: match text(form, "every") {
            "" => None,
            _ => Some(number(form, "every")?),
        },
    })
}

async fn add(State(web): State<Web>, me: Me, Form(form): Form<Typed>) -> Result<Response, Error> {
    let link = link_of(&form, None, &web.hardware.presets())?;
    let device = form_of(&form, link)?;
    let id = web
        .farm
        .write(me.actor(), move |tx| devices::add(tx, &device))
        .await?;
    Ok(Done::Saved.then(&format!("/devices/{id}")))
}

async fn edit(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<DeviceId>,
    Form(form): Form<Typed>,
) -> Result<Response, Error> {
    let presets = web.hardware.presets();
    web.farm
        .write(me.actor(), move |tx| {
            let old = devices::get(tx.conn(), id)?.ok_or(Reason::NotFound)?;
            let link = link_of(&form, Some(&old.link), &presets)?;
            devices::edit(tx, id, &form_of(&form, link)?).map_err(Error::from)
        })
        .await?;
    Ok(Done::Saved.then(&format!("/devices/{id}")))
}
