//! A farm publishes on new topics for years: the appliance's memory does not grow with their names.

use std::io::{Read, Write};

use e2e::{Edge, EdgeOptions};

use crate::raw;

/// Topics that show what one costs: kept, each would take a hundred bytes at least.
const TOPICS: u32 = 100_000;
/// Topics before the first look: whatever is allocated once has been by then.
const WARM: u32 = 20_000;
const AT_ONCE: u32 = 500;
/// Kilobytes by which memory may grow for other reasons; names kept would take 10,000.
const MOST_KB: i64 = 4_000;

#[test]
fn a_hundred_thousand_topics_do_not_make_it_larger() {
    let edge = Edge::start(&EdgeOptions::default());
    let mut stream = raw::connect(edge.mqtt, "names");
    let mut say = |from: u32, to: u32| {
        for first in (from..to).step_by(AT_ONCE as usize) {
            // What a LoRaWAN server tells of joins is nobody's business here: it is not stored, only passed on.
            let packets: Vec<u8> = (first..first + AT_ONCE)
                .flat_map(|n| {
                    let topic = format!("application/names/device/{n:016x}/event/join");
                    raw::publish(0x32, &topic, (n % 60_000) as u16 + 1, "{}")
                })
                .collect();
            stream.write_all(&packets).unwrap();
            let mut acks = vec![0; 4 * AT_ONCE as usize];
            stream.read_exact(&mut acks).unwrap();
            assert!(acks.chunks(4).all(|ack| ack[..2] == [0x40, 2]));
        }
    };
    say(0, WARM);
    let before = resident_kb(&edge);
    say(WARM, WARM + TOPICS);
    let grown = resident_kb(&edge) - before;
    println!("{TOPICS} topics: {grown} kB more");
    assert!(grown < MOST_KB, "{grown} kB for {TOPICS} topics");
}

fn resident_kb(edge: &Edge) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", edge.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("how much memory it holds")
}
