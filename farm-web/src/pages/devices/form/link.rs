//! The part of a device's form that says how it is reached: one set of fields for each transport.

use std::{collections::HashMap, ops::RangeInclusive};

use farm_model::{
    Device, Link, Quantity,
    device::{Parity, RegisterMap, RfidDialect, SerialLine},
};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Choice, Field, Select, Tiles},
    fmt,
    icons::Icon,
};

use super::super::map_of;
use crate::{
    border::{Hardware, Preset, Probe},
    pages::typed::{self, Typed},
    words,
};

pub(crate) mod t {
    ui::texts! {
        node_hint = "A microcontroller on a cable that sends sealed frames" / "তারে লাগানো মাইক্রোকন্ট্রোলার, সুরক্ষিত ফ্রেম পাঠায়";
        serial_hint = "A tag reader on a cable or a USB adapter" / "তারে বা ইউএসবি অ্যাডাপ্টারে লাগানো ট্যাগ রিডার";
        modbus_rtu_hint = "Milk meters and others on an RS-485 pair" / "আরএস-৪৮৫ তারে দুধের মিটার ও অন্য যন্ত্র";
        modbus_tcp_hint = "A meter or gateway with a network address" / "নেটওয়ার্ক ঠিকানা আছে এমন মিটার বা গেটওয়ে";
        one_wire_hint = "A probe on this machine's own pins" / "এই মেশিনের পিনে লাগানো প্রোব";
        mqtt_hint = "A node that sends by itself over the network" / "নিজেই নেটওয়ার্কে বার্তা পাঠায় এমন নোড";
        chirp_stack_hint = "Collars and sensors behind a LoRaWAN gateway" / "লোরাওয়ান গেটওয়ের কলার ও সেন্সর";
        zigbee_hint = "Sensors and plugs behind a Zigbee2MQTT bridge" / "জিগবি ব্রিজের সেন্সর ও প্লাগ";
        http_hint = "A program that posts to the JSON API" / "JSON API-তে পাঠায় এমন প্রোগ্রাম";

        port = "Port" / "পোর্ট";
        port_hint = "Choose one that is there now, or write its path" / "এখন যা আছে তা থেকে বেছে নিন, বা পাথ লিখুন";
        no_port_hint = "No port is there now: plug the adapter in, or write the path" / "এখন কোনো পোর্ট নেই: অ্যাডাপ্টার লাগান, বা পাথ লিখুন";
        bad_port(example) = "Write the path of the port, such as {example}." / "পোর্টের পাথ লিখুন, যেমন {example}।";
        baud = "Speed (baud)" / "গতি (বড)";
        parity = "Parity" / "প্যারিটি";
        parity_none = "None" / "নেই";
        parity_even = "Even" / "জোড়";
        parity_odd = "Odd" / "বিজোড়";
        stop_bits = "Stop bits" / "স্টপ বিট";
        dialect = "What the reader speaks" / "রিডারের ভাষা";
        template = "A line template" / "লাইনের ছাঁচ";
        pattern = "Line template" / "লাইনের ছাঁচ";
        pattern_hint = "Only for a line template: {c3} is the country, {n12} the number, {id15} both" / "শুধু লাইনের ছাঁচের জন্য: {c3} দেশ, {n12} নম্বর, {id15} দুটোই";
        bad_pattern = "Write the line as the reader sends it, such as LA {c3} {n12}." / "রিডার যেভাবে পাঠায় সেভাবে লিখুন, যেমন LA {c3} {n12}।";
        host = "Host or address" / "হোস্ট বা ঠিকানা";
        host_hint = "As your network knows it, without http" / "নেটওয়ার্কে যে ঠিকানা, http ছাড়া";
        bad_host(example) = "Write only the address, such as {example}." / "শুধু ঠিকানাটি লিখুন, যেমন {example}।";
        tcp_port = "Port" / "পোর্ট";
        bad_tcp_port = "Between 1 and 65,535; Modbus uses 502." / "১ থেকে ৬৫৫৩৫-এর মধ্যে; মডবাসে ৫০২।";
        unit_address = "Unit address" / "ইউনিট নম্বর";
        bad_unit = "Between 0 and 255; most devices are 1." / "০ থেকে ২৫৫-এর মধ্যে; বেশির ভাগ যন্ত্রে ১।";
        bad_slave = "Between 1 and 247, as set on the device." / "১ থেকে ২৪৭-এর মধ্যে, যন্ত্রে যা দেওয়া আছে।";
        preset = "Register map" / "রেজিস্টারের তালিকা";
        preset_none = "Empty: find the values afterwards" / "খালি: পরে মান খুঁজে নিন";
        preset_keep = "Keep the present one" / "এখন যা আছে তা-ই";
        poll = "Asked every" / "কত পরপর জিজ্ঞাসা";
        milliseconds = "ms" / "মিলিসেকেন্ড";
        bad_poll = "Between 50 and 3,600,000 milliseconds." / "৫০ থেকে ৩৬,০০,০০০ মিলিসেকেন্ডের মধ্যে।";
        rom = "Probe" / "প্রোব";
        probes_here = "Which probe? Hold one in your hand: it is the one that warms." / "কোন প্রোব? একটি হাতে ধরুন: যেটি গরম হয় সেটিই।";
        used_by(name) = "{name} already" / "আগেই: {name}";
        not_seen = "Not seen now" / "এখন দেখা যাচ্ছে না";
        rom_hint = "No probe is seen now; its number is on the sticker" / "এখন কোনো প্রোব দেখা যাচ্ছে না; নম্বর স্টিকারে আছে";
        which_probe = "Say which probe it is." / "কোন প্রোব তা জানান।";
        bad_rom(example) = "Write two digits, a dash and twelve digits, such as {example}." / "দুই অঙ্ক, ড্যাশ, তারপর বারো অঙ্ক লিখুন, যেমন {example}।";
        client = "User name it logs in with" / "যে নামে ঢোকে";
        client_hint = "Empty if it has none of its own" / "নিজের কোনো নাম না থাকলে খালি রাখুন";
        dev_eui = "Device EUI" / "যন্ত্রের EUI";
        dev_eui_hint = "16 hexadecimal digits, on the sticker" / "স্টিকারে লেখা ১৬টি হেক্সাডেসিমাল অঙ্ক";
        zigbee_name = "Friendly name or address" / "নাম বা ঠিকানা";
        zigbee_name_hint = "As Zigbee2MQTT shows it" / "জিগবি ব্রিজে যেমন দেখা যায়";
        bad_zigbee_name(example) = "Write the name that Zigbee2MQTT shows, or the address, such as {example}." / "জিগবি ব্রিজে দেখানো নাম বা ঠিকানা লিখুন, যেমন {example}।";
        input_hint = "One of several sensors on a microcontroller, each in its own place" / "এক মাইক্রোকন্ট্রোলারে কয়েকটি সেন্সর, প্রতিটি নিজের জায়গায়";
        input_node = "Node" / "নোড";
        input_node_hint = "A device with a frame key" / "ফ্রেমের চাবি আছে এমন যন্ত্র";
        no_node_hint = "No device has a frame key yet: add the node as an MQTT device and make its frame key first." / "এখনো কোনো যন্ত্রের ফ্রেমের চাবি নেই: আগে নোডটি এমকিউটিটি যন্ত্র হিসেবে যোগ করে চাবি বানান।";
        which_node = "Say which node it is." / "কোন নোড তা জানান।";
        channel = "Input" / "ইনপুট";
        channel_hint = "As the node numbers its inputs; the first is often 0" / "নোড যেভাবে ইনপুট গোনে; প্রথমটি সাধারণত ০";
        bad_channel = "Between 0 and 254, as the node numbers it." / "০ থেকে ২৫৪-এর মধ্যে, নোডের গোনা অনুযায়ী।";
        input_taken(name) = "{name} is at this input already." / "এই ইনপুটে আগেই আছে: {name}।";
        bad_dev_eui = "Write all 16 digits; letters go from a to f." / "১৬টি অঙ্কই লিখুন; অক্ষর হলে a থেকে f।";
    }
}

const PORT: &str = "/dev/ttyUSB0";
const HOST: &str = "192.168.1.40";
const ZIGBEE: &str = "0x00158d00036c1821";
const ROM: &str = "28-0316a2795caf";

/// Every transport, the most usual first.
pub(super) const TRANSPORTS: [&str; 10] = [
    "serial",
    "modbus_rtu",
    "modbus_tcp",
    "one_wire",
    "mqtt",
    "chirp_stack",
    "zigbee",
    "node",
    "input",
    "http",
];

/// A link of each transport with nothing in it, for an empty form.
pub(super) fn blank(transport: &str) -> Option<Link> {
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
        "zigbee" => Link::Zigbee {
            name: String::new(),
        },
        "node" => Link::Node {
            port: String::new(),
            line: SerialLine::of_nodes(),
        },
        "input" => Link::Input {
            node: String::new(),
            channel: 0,
        },
        "http" => Link::Http,
        _ => return None,
    })
}

/// The transport's name in addresses and forms.
pub(super) fn key(link: &Link) -> &'static str {
    match link {
        Link::Serial { .. } => "serial",
        Link::ModbusRtu { .. } => "modbus_rtu",
        Link::ModbusTcp { .. } => "modbus_tcp",
        Link::OneWire { .. } => "one_wire",
        Link::Mqtt { .. } => "mqtt",
        Link::ChirpStack { .. } => "chirp_stack",
        Link::Zigbee { .. } => "zigbee",
        Link::Node { .. } => "node",
        Link::Input { .. } => "input",
        Link::Http => "http",
    }
}

/// A picture of the transport, and what is usually reached so.
pub(super) fn about(lang: Lang, link: &Link) -> (Icon, &'static str) {
    match link {
        Link::Serial { .. } => (Icon::Tag, t::serial_hint(lang)),
        Link::ModbusRtu { .. } => (Icon::Meter, t::modbus_rtu_hint(lang)),
        Link::ModbusTcp { .. } => (Icon::Meter, t::modbus_tcp_hint(lang)),
        Link::OneWire { .. } => (Icon::Thermometer, t::one_wire_hint(lang)),
        Link::Mqtt { .. } => (Icon::Wifi, t::mqtt_hint(lang)),
        Link::ChirpStack { .. } => (Icon::Sensor, t::chirp_stack_hint(lang)),
        Link::Zigbee { .. } => (Icon::Sensor, t::zigbee_hint(lang)),
        Link::Node { .. } => (Icon::Sensor, t::node_hint(lang)),
        Link::Input { .. } => (Icon::Sensor, t::input_hint(lang)),
        Link::Http => (Icon::Device, t::http_hint(lang)),
    }
}

/// What of the machine a transport's fields show.
pub(super) struct Machine {
    ports: Vec<String>,
    probes: Vec<Probe>,
    /// Who has which probe already.
    owners: HashMap<String, String>,
    presets: Vec<Preset>,
    /// Short names and names of the devices that may have inputs.
    nodes: Vec<(String, String)>,
}

impl Machine {
    /// `devices` are all that there are but the one that the form is about; `is_node` says which send frames.
    pub(super) async fn ask(
        hardware: &dyn Hardware,
        link: &Link,
        devices: &[Device],
        is_node: impl Fn(&Device) -> bool,
    ) -> Self {
        let ports = match link {
            Link::Serial { .. } | Link::ModbusRtu { .. } | Link::Node { .. } => {
                hardware.serial_ports().await
            }
            _ => Vec::new(),
        };
        let probes = match link {
            Link::OneWire { .. } => hardware.probes().await,
            _ => Vec::new(),
        };
        let owners = devices.iter().filter_map(|device| match &device.link {
            Link::OneWire { rom } => Some((rom.clone(), device.name.clone())),
            _ => None,
        });
        Self {
            ports: ports.into_iter().map(|p| p.path).collect(),
            probes,
            owners: owners.collect(),
            presets: hardware.presets(),
            nodes: devices
                .iter()
                .filter(|d| is_node(d))
                .map(|d| (d.slug.clone(), d.name.clone()))
                .collect(),
        }
    }
}

/// Writes what a link says into the form's fields.
pub(super) fn fill(lang: Lang, typed: &mut Typed, link: &Link) {
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

fn parity_key(parity: Parity) -> &'static str {
    match parity {
        Parity::None => "none",
        Parity::Even => "even",
        Parity::Odd => "odd",
    }
}

fn dialect_key(dialect: &RfidDialect) -> (&'static str, &str) {
    match dialect {
        RfidDialect::Wl134a => ("wl134a", ""),
        RfidDialect::Rdm6300 => ("rdm6300", ""),
        RfidDialect::Allflex => ("allflex", ""),
        RfidDialect::UhfBb => ("uhf_bb", ""),
        RfidDialect::Template { pattern } => ("template", pattern),
    }
}

fn poll(map: &RegisterMap) -> u32 {
    if map.poll_ms == 0 { 1000 } else { map.poll_ms }
}

/// The fields of the transport of `link`.
pub(super) fn fields(lang: Lang, typed: &Typed, link: &Link, machine: &Machine) -> Markup {
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

/// The link that was typed, of the transport of `like`, which also keeps what the form does not show.
pub(super) fn read(lang: Lang, typed: &mut Typed, like: &Link, presets: &[Preset]) -> Option<Link> {
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
