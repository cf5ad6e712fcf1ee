//! The link that was typed, with what is wrong at its field.

use std::ops::RangeInclusive;

use farm_model::{
    Link,
    device::{Parity, RegisterMap, RfidDialect, SerialLine},
};
use ui::Lang;

use super::{HOST, PORT, ROM, ZIGBEE, parity_key, t};
use crate::{
    border::Preset,
    pages::{
        devices::map_of,
        typed::{self, Typed},
    },
};

/// The link that was typed, of the transport of `like`, which also keeps what the form does not show.
pub(in super::super) fn read(
    lang: Lang,
    typed: &mut Typed,
    like: &Link,
    presets: &[Preset],
) -> Option<Link> {
    Some(match like {
        Link::Serial { .. } => {
            let (port, dialect) = (port_of(lang, typed), dialect_of(lang, typed));
            Link::Serial {
                line: line_of(lang, typed)?,
                port: port?,
                dialect: dialect?,
            }
        }
        Link::ModbusRtu { .. } => {
            let (port, line) = (port_of(lang, typed), line_of(lang, typed));
            let unit = within(lang, typed, "unit", 1..=247, t::bad_slave(lang));
            Link::ModbusRtu {
                map: map_from(lang, typed, like, presets)?,
                port: port?,
                line: line?,
                unit: unit?,
            }
        }
        Link::ModbusTcp { .. } => {
            let host = host_of(lang, typed);
            let port = within(lang, typed, "tcp_port", 1..=65_535, t::bad_tcp_port(lang));
            let unit = within(lang, typed, "unit", 0..=255, t::bad_unit(lang));
            Link::ModbusTcp {
                map: map_from(lang, typed, like, presets)?,
                host: host?,
                port: port?,
                unit: unit?,
            }
        }
        Link::OneWire { .. } => Link::OneWire {
            rom: rom_of(lang, typed)?,
        },
        Link::Mqtt { .. } => Link::Mqtt {
            client: Some(typed.text("client").to_owned()).filter(|c| !c.is_empty()),
        },
        Link::ChirpStack { fields, .. } => Link::ChirpStack {
            dev_eui: eui_of(lang, typed)?,
            fields: fields.clone(),
        },
        Link::Zigbee { .. } => Link::Zigbee {
            name: zigbee_of(lang, typed)?,
        },
        Link::Node { .. } => {
            let (port, line) = (port_of(lang, typed), line_of(lang, typed));
            Link::Node {
                port: port?,
                line: line?,
            }
        }
        Link::Input { .. } => {
            if typed.text("node").is_empty() {
                typed.wrong("node", t::which_node(lang));
            }
            Link::Input {
                channel: within(lang, typed, "channel", 0..=254, t::bad_channel(lang))?,
                node: Some(typed.text("node").to_owned()).filter(|n| !n.is_empty())?,
            }
        }
        Link::Http => Link::Http,
    })
}

/// A whole number that must be there.
fn within<T: TryFrom<i64>>(
    lang: Lang,
    typed: &mut Typed,
    name: &'static str,
    range: RangeInclusive<i64>,
    why: &str,
) -> Option<T> {
    let number = typed.number(lang, name, 0).filter(|n| range.contains(n));
    let number = number.and_then(|n| T::try_from(n).ok());
    if number.is_none() {
        typed.wrong(name, why);
    }
    number
}

/// A text that must be there and be made as `fits` says.
fn made(
    typed: &mut Typed,
    name: &'static str,
    why: &str,
    fits: impl FnOnce(&str) -> bool,
) -> Option<String> {
    let text = typed.text(name).to_owned();
    if text.len() <= 255 && fits(&text) {
        return Some(text);
    }
    typed.wrong(name, why);
    None
}

fn port_of(lang: Lang, typed: &mut Typed) -> Option<String> {
    let why = t::bad_port(lang, PORT);
    made(typed, "port", &why, |port| {
        port.starts_with('/') && !port.contains(char::is_whitespace)
    })
}

fn host_of(lang: Lang, typed: &mut Typed) -> Option<String> {
    let why = t::bad_host(lang, HOST);
    made(typed, "host", &why, |host| {
        !host.is_empty() && !host.contains(['/', ' '])
    })
}

fn rom_of(lang: Lang, typed: &mut Typed) -> Option<String> {
    if typed.text("rom").is_empty() {
        typed.wrong("rom", t::which_probe(lang));
    }
    let why = t::bad_rom(lang, ROM);
    let rom = made(typed, "rom", &why, |rom| {
        let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
        rom.split_once('-').is_some_and(|(family, id)| {
            (family.len(), id.len()) == (2, 12) && hex(family) && hex(id)
        })
    })?;
    Some(rom.to_ascii_lowercase())
}

fn eui_of(lang: Lang, typed: &mut Typed) -> Option<String> {
    // Stickers print it in pairs.
    let plain = typed.text("dev_eui").replace([' ', ':', '-'], "");
    let fits = plain.len() == 16 && plain.bytes().all(|b| b.is_ascii_hexdigit());
    if !fits {
        typed.wrong("dev_eui", t::bad_dev_eui(lang));
    }
    fits.then(|| plain.to_ascii_lowercase())
}

fn zigbee_of(lang: Lang, typed: &mut Typed) -> Option<String> {
    let why = t::bad_zigbee_name(lang, ZIGBEE);
    made(typed, "zigbee_name", &why, |name| {
        !name.is_empty() && name.len() <= 128 && !name.contains(['+', '#'])
    })
}

fn line_of(lang: Lang, typed: &mut Typed) -> Option<SerialLine> {
    let baud = typed.choice(lang, "baud", |b| b.parse().ok());
    let parity = typed.choice(lang, "parity", |key| {
        [Parity::None, Parity::Even, Parity::Odd]
            .into_iter()
            .find(|p| parity_key(*p) == key)
    });
    let stop_bits = typed.choice(lang, "stop_bits", |n| {
        n.parse().ok().filter(|n| matches!(n, 1..=2))
    });
    Some(SerialLine {
        baud: baud?,
        parity: parity?,
        stop_bits: stop_bits?,
    })
}

fn dialect_of(lang: Lang, typed: &mut Typed) -> Option<RfidDialect> {
    let pattern = typed.text("pattern").to_owned();
    let dialect = typed.choice(lang, "dialect", |key| {
        Some(match key {
            "wl134a" => RfidDialect::Wl134a,
            "rdm6300" => RfidDialect::Rdm6300,
            "allflex" => RfidDialect::Allflex,
            "uhf_bb" => RfidDialect::UhfBb,
            "template" => RfidDialect::Template {
                pattern: pattern.clone(),
            },
            _ => return None,
        })
    });
    if matches!(dialect, Some(RfidDialect::Template { .. })) && !pattern.contains('{') {
        typed.wrong("pattern", t::bad_pattern(lang));
    }
    dialect
}

fn map_from(lang: Lang, typed: &mut Typed, like: &Link, presets: &[Preset]) -> Option<RegisterMap> {
    let mut map = match typed.text("preset") {
        "" => map_of(like).cloned().unwrap_or_default(),
        name => {
            let preset = presets.iter().find(|p| p.name == name);
            if preset.is_none() {
                typed.wrong("preset", typed::t::no_choice(lang));
            }
            preset?.map.clone()
        }
    };
    if !typed.text("poll").is_empty() {
        map.poll_ms = within(lang, typed, "poll", 50..=3_600_000, t::bad_poll(lang))?;
    }
    Some(map)
}
