//! The fields of each transport, and what a link says written into them.

use farm_model::{
    Link, Quantity,
    device::{RegisterMap, SerialLine},
};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Choice, Field, Select, Tiles},
    fmt,
};

use super::{HOST, Machine, PORT, ROM, ZIGBEE, dialect_key, parity_key, t};
use crate::{pages::typed::Typed, words};

/// Writes what a link says into the form's fields.
pub(in super::super) fn fill(lang: Lang, typed: &mut Typed, link: &Link) {
    let number = |n: u32| fmt::digits(lang, &n.to_string());
    match link {
        Link::Serial {
            port,
            line,
            dialect,
        } => {
            typed.set("port", port);
            fill_line(typed, *line);
            let (name, pattern) = dialect_key(dialect);
            typed.set("dialect", name);
            typed.set("pattern", pattern);
        }
        Link::ModbusRtu {
            port,
            line,
            unit,
            map,
        } => {
            typed.set("port", port);
            fill_line(typed, *line);
            typed.set("unit", number((*unit).into()));
            typed.set("poll", number(poll(map)));
        }
        Link::ModbusTcp {
            host,
            port,
            unit,
            map,
        } => {
            typed.set("host", host);
            typed.set("tcp_port", number((*port).into()));
            typed.set("unit", number((*unit).into()));
            typed.set("poll", number(poll(map)));
        }
        Link::OneWire { rom } => typed.set("rom", rom),
        Link::Mqtt { client } => typed.set("client", client.as_deref().unwrap_or("")),
        Link::ChirpStack { dev_eui, .. } => typed.set("dev_eui", dev_eui),
        Link::Zigbee { name } => typed.set("zigbee_name", name),
        Link::Node { port, line } => {
            typed.set("port", port);
            fill_line(typed, *line);
        }
        Link::Input { node, channel } => {
            typed.set("node", node);
            typed.set("channel", number((*channel).into()));
        }
        Link::Http => {}
    }
}

fn fill_line(typed: &mut Typed, line: SerialLine) {
    typed.set("baud", line.baud.to_string());
    typed.set("parity", parity_key(line.parity));
    typed.set("stop_bits", line.stop_bits.to_string());
}

fn poll(map: &RegisterMap) -> u32 {
    if map.poll_ms == 0 { 1000 } else { map.poll_ms }
}

/// The fields of the transport of `link`.
pub(in super::super) fn fields(
    lang: Lang,
    typed: &Typed,
    link: &Link,
    machine: &Machine,
) -> Markup {
    let of = |name: &str, field: Field| typed.field(name, field);
    html! {
        @match link {
            Link::Serial { line, .. } => {
                (port_field(lang, typed, machine))
                (dialect_fields(lang, typed))
                (line_fields(lang, typed, *line))
            },
            Link::ModbusRtu { line, map, .. } => {
                (port_field(lang, typed, machine))
                (modbus_fields(lang, typed, map, machine))
                (line_fields(lang, typed, *line))
            },
            Link::ModbusTcp { map, .. } => {
                (of("host", Field::text("host", t::host(lang)).hint(t::host_hint(lang)).placeholder(HOST).required()))
                (of("tcp_port", Field::integer("tcp_port", t::tcp_port(lang)).required()))
                (modbus_fields(lang, typed, map, machine))
            },
            Link::OneWire { .. } => (probe_field(lang, typed, machine)),
            Link::Mqtt { .. } => {
                (of("client", Field::text("client", t::client(lang)).hint(t::client_hint(lang))))
            },
            Link::ChirpStack { .. } => {
                (of("dev_eui", Field::text("dev_eui", t::dev_eui(lang)).hint(t::dev_eui_hint(lang))
                    .placeholder("a84041000181c061").required()))
            },
            Link::Zigbee { .. } => {
                (of("zigbee_name", Field::text("zigbee_name", t::zigbee_name(lang)).hint(t::zigbee_name_hint(lang))
                    .placeholder(ZIGBEE).required()))
            },
            Link::Node { line, .. } => {
                (port_field(lang, typed, machine))
                (line_fields(lang, typed, *line))
            },
            Link::Input { .. } => {
                (node_field(lang, typed, machine))
                (of("channel", Field::integer("channel", t::channel(lang)).hint(t::channel_hint(lang)).required()))
            },
            Link::Http => {},
        }
    }
}

fn port_field(lang: Lang, typed: &Typed, machine: &Machine) -> Markup {
    let hint = if machine.ports.is_empty() {
        t::no_port_hint(lang)
    } else {
        t::port_hint(lang)
    };
    let field = Field::text("port", t::port(lang))
        .hint(hint)
        .placeholder(PORT)
        .suggest(machine.ports.clone())
        .required();
    html! { (typed.field("port", field)) }
}

fn node_field(lang: Lang, typed: &Typed, machine: &Machine) -> Markup {
    let mut choices: Vec<Choice> = machine
        .nodes
        .iter()
        .map(|(slug, name)| Choice::new(slug, name))
        .collect();
    let chosen = typed.text("node");
    if !chosen.is_empty() && machine.nodes.iter().all(|(slug, _)| slug != chosen) {
        choices.push(Choice::new(chosen, chosen));
    }
    let hint = if choices.is_empty() {
        t::no_node_hint(lang)
    } else {
        t::input_node_hint(lang)
    };
    let select = Select::new("node", t::input_node(lang), choices).hint(hint);
    html! { (typed.select("node", select)) }
}

fn probe_field(lang: Lang, typed: &Typed, machine: &Machine) -> Markup {
    if machine.probes.is_empty() {
        let field = Field::text("rom", t::rom(lang))
            .hint(t::rom_hint(lang))
            .placeholder(ROM)
            .required();
        return html! { (typed.field("rom", field)) };
    }
    let mut choices: Vec<Choice> = machine
        .probes
        .iter()
        .map(|probe| {
            let now = probe
                .temperature
                .map(|v| words::value(lang, Quantity::Temperature, v));
            let owner = machine.owners.get(&probe.rom);
            let said: Vec<String> = now
                .into_iter()
                .chain(owner.map(|name| t::used_by(lang, name)))
                .collect();
            Choice::new(&probe.rom, &probe.rom).hint(said.join(" · "))
        })
        .collect();
    let chosen = typed.text("rom");
    if !chosen.is_empty() && machine.probes.iter().all(|p| p.rom != chosen) {
        choices.push(Choice::new(chosen, chosen).hint(t::not_seen(lang)));
    }
    let tiles = Tiles::new("rom", t::probes_here(lang), choices);
    html! { (typed.tiles("rom", tiles)) }
}

fn line_fields(lang: Lang, typed: &Typed, line: SerialLine) -> Markup {
    let parities = vec![
        Choice::new("none", t::parity_none(lang)),
        Choice::new("even", t::parity_even(lang)),
        Choice::new("odd", t::parity_odd(lang)),
    ];
    let mut speeds = vec![1200, 2400, 4800, 9600, 19200, 38400, 57600, 115_200];
    if !speeds.contains(&line.baud) {
        speeds.push(line.baud);
    }
    let number = |n: u32| Choice::new(n.to_string(), fmt::digits(lang, &n.to_string()));
    let speeds = speeds.into_iter().map(number).collect();
    let stops = vec![number(1), number(2)];
    html! {
        div.row {
            (typed.select("baud", Select::new("baud", t::baud(lang), speeds)))
            (typed.select("parity", Select::new("parity", t::parity(lang), parities)))
            (typed.select("stop_bits", Select::new("stop_bits", t::stop_bits(lang), stops)))
        }
    }
}

fn dialect_fields(lang: Lang, typed: &Typed) -> Markup {
    let choices = vec![
        Choice::new("wl134a", "WL-134A"),
        Choice::new("rdm6300", "RDM6300"),
        Choice::new("allflex", "Allflex"),
        Choice::new("uhf_bb", "UHF (BB … 7E)"),
        Choice::new("template", t::template(lang)),
    ];
    let pattern = Field::text("pattern", t::pattern(lang))
        .hint(t::pattern_hint(lang))
        .placeholder("LA {c3} {n12}");
    html! {
        (typed.select("dialect", Select::new("dialect", t::dialect(lang), choices)))
        div.only-template { (typed.field("pattern", pattern)) }
    }
}

fn modbus_fields(lang: Lang, typed: &Typed, map: &RegisterMap, machine: &Machine) -> Markup {
    let keep = if map.fields.is_empty() {
        t::preset_none(lang)
    } else {
        t::preset_keep(lang)
    };
    let presets = std::iter::once(Choice::new("", keep))
        .chain(
            machine
                .presets
                .iter()
                .map(|p| Choice::new(&p.name, &p.title)),
        )
        .collect();
    let unit = Field::integer("unit", t::unit_address(lang)).required();
    let poll = Field::integer("poll", t::poll(lang)).unit(t::milliseconds(lang));
    html! {
        (typed.field("unit", unit))
        (typed.select("preset", Select::new("preset", t::preset(lang), presets)))
        (typed.field("poll", poll))
    }
}
