//! The part of a device's form that says how it is reached: one set of fields for each transport.

mod fields;
mod read;

use std::collections::HashMap;

use farm_model::{
    Device, Link,
    device::{Parity, RegisterMap, RfidDialect, SerialLine},
};
use ui::{Lang, icons::Icon};

pub(super) use self::{
    fields::{fields, fill},
    read::read,
};
use crate::border::{Hardware, Preset, Probe};

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
