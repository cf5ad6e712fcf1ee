//! Frozen frames: this version writes and reads them as it always did, and so does an implementation in Python that was
//! written from `docs/firmware-protocol.md` alone.
//!
//! `vectors/v1.json` is what version 1 writes. A field or record that is added gets a new vector at the file's end: `FREEZE=1`
//! writes the file, and the diff may only add. `vectors/newer.json` is what a version after it would write; the Python
//! script made it (`--newer`).

use std::{path::PathBuf, process};

use firmware_protocol::*;
use serde_json::{Value, json};

use crate::json::{bytes, hex, record};

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "vectors", name]
        .iter()
        .collect()
}

fn load(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file(name)).unwrap()).unwrap()
}

const NODE: DeviceId = DeviceId([0x8f, 0x3a, 0x11, 0x9c, 0x52, 0x07, 0xe4, 0xb6]);

fn key() -> Key {
    Key::new(std::array::from_fn(|i| i as u8 + 0x40))
}

/// A frame of `records`, as one entry of the file.
fn frame(name: &str, direction: Direction, boot: u32, seq: u64, records: &[Record<'_>]) -> Value {
    let mut buffer = [0; MAX_FRAME];
    let mut sequence = Sequence::resume(direction, NODE, boot, seq);
    let mut writer = FrameWriter::new(&mut buffer, &mut sequence).unwrap();
    let empty = writer.room();
    for record in records {
        writer.add(record).unwrap();
    }
    let length = empty - writer.room();
    let sealed = writer.seal(&key()).to_vec();
    let mut plain = sealed.clone();
    open(&mut plain, &key()).unwrap();
    let end = plain.len() - TAG_LEN;
    let mut line = [0; MAX_SERIAL];
    json!({
        "name": name,
        "key": hex(&std::array::from_fn::<u8, 32, _>(|i| i as u8 + 0x40)),
        "header": header(&Header::read(&sealed).unwrap()),
        "records": records.iter().map(record).collect::<Vec<_>>(),
        "plain": hex(&plain[end - length..end]),
        "frame": hex(&sealed),
        "serial": hex(to_serial(&sealed, &mut line).unwrap()),
    })
}

fn header(header: &Header) -> Value {
    json!({
        "version": header.version,
        "direction": if header.direction == Direction::Up { "up" } else { "down" },
        "device": hex(&header.device.0),
        "boot": header.boot,
        "seq": header.seq,
    })
}

fn batch(number: u32, readings: &[Reading<'_>]) -> Vec<u8> {
    let batch = Batch {
        queue: 1,
        number,
        boot: 7,
        ticks: 86_400_000,
        unix_ms: 1_795_219_200_000,
        clock: ClockQuality::Synced,
    };
    let mut buffer = [0; 900];
    let mut writer = ReadingsWriter::new(&mut buffer, &batch).unwrap();
    for reading in readings {
        writer.add(reading).unwrap();
    }
    writer.finish().to_vec()
}

fn offer() -> Offer<'static> {
    Offer {
        hash: std::array::from_fn(|i| 0xf0 - i as u8),
        size: 412_672,
        version: "1.4.0",
        hardware: "esp32c3-probe-r2",
        channel: "stable",
        signature: [
            std::array::from_fn(|i| i as u8),
            std::array::from_fn(|i| 32 + i as u8),
        ],
    }
}

/// What version 1 writes.
fn written() -> Value {
    let image = offer().image();
    let up = |name, seq, records: &[Record<'_>]| frame(name, Direction::Up, 7, seq, records);
    let down = |name, seq, records: &[Record<'_>]| frame(name, Direction::Down, 7, seq, records);
    let held = Record::Held(Held {
        ticks: 86_403_500,
        queue: 1,
        oldest: 40,
        newest: 41,
    });
    let every: Vec<Reading<'_>> = Measure::ALL
        .iter()
        .enumerate()
        .map(|(i, measure)| {
            Reading::good(
                1_000 * i as u32,
                i as u8 % 4,
                *measure,
                1_000 * i as i64 - 3_000,
            )
        })
        .collect();
    let every = batch(41, &every);
    let tags = batch(
        42,
        &[
            Reading::tag(
                0,
                0,
                Tag::Iso {
                    country: 50,
                    national: 123_456_789_012,
                },
            ),
            Reading::tag(
                250,
                1,
                Tag::Epc(&[
                    0xe2, 0x00, 0x47, 0x01, 0x14, 0x20, 0x60, 0x21, 0x05, 0x88, 0x01, 0x0c,
                ]),
            ),
            Reading::tag(u32::MAX, 255, Tag::Em4100(0x06_00_12_d6_87)),
        ],
    );
    let flawed = batch(
        u32::MAX,
        &[
            Reading::missing(0, 0, Measure::TemperatureMilliCelsius, Flaw::BusHigh),
            Reading {
                after_ms: 5,
                channel: 1,
                state: State {
                    quality: Quality::Bad,
                    flaw: Flaw::PowerOnReset,
                },
                what: What::Measured(Measure::TemperatureMilliCelsius, 85_000),
            },
            Reading::good(10, 2, Measure::EnergyWattHour, i64::MAX),
            Reading::good(10, 2, Measure::TemperatureMilliCelsius, i64::MIN),
        ],
    );
    let readings = |stored| Record::read(kind::READINGS, stored).unwrap();
    let mut settings = [0; 64];
    let mut config = ConfigWriter::new(&mut settings, 3).unwrap();
    for (setting, value) in [
        (Setting::SampleEveryS, 300),
        (Setting::SendEveryS, 900),
        (Setting::TellChangeMilli, 500),
    ] {
        config.add(setting, value).unwrap();
    }
    let config = Record::read(kind::CONFIG, config.finish()).unwrap();
    let hello = Record::Hello(Hello {
        ticks: 1_234,
        reset: ResetReason::BrownOut,
        firmware: "1.3.2",
        hardware: "esp32c3-probe-r2",
        heard: 0,
        refused: 0,
        config: 2,
        battery_mv: 3_712,
        room: 4_096,
    });
    let data: Vec<u8> = (0..=255).rev().collect();
    json!([
        up("nothing at all", 1, &[]),
        up(
            "greeting after a brown-out",
            2,
            &[hello, Record::TimeRequest(TimeRequest { ticks: 1_234 })]
        ),
        up("every measure", 3, &[held, readings(&every)]),
        up("tags", 4, &[held, readings(&tags)]),
        up("flaws and limits", MAX_SEQ, &[readings(&flawed)]),
        up(
            "what became of orders",
            200,
            &[
                Record::ConfigReport(ConfigReport {
                    version: 3,
                    outcome: Outcome::Done,
                    unknown: 1
                }),
                Record::CommandResult(CommandResult {
                    id: 17,
                    outcome: Outcome::Unsupported
                }),
            ]
        ),
        up(
            "fetching an update",
            201,
            &[
                Record::UpdateStatus(UpdateStatus {
                    image,
                    state: UpdateState::Fetching,
                    have: 65_536
                }),
                Record::ChunkRequest(ChunkRequest {
                    image,
                    offset: 65_536,
                    length: 4_096,
                    chunk: 512
                }),
            ]
        ),
        down(
            "acknowledged and told the time",
            1,
            &[
                Record::Ack(Ack {
                    queue: 1,
                    through: 41,
                    also: 0b101
                }),
                Record::TimeAnswer(TimeAnswer {
                    ticks: 1_234,
                    unix_ms: 1_795_219_203_500,
                    clock: ClockQuality::Synced
                }),
            ]
        ),
        down("settings", 2, &[config]),
        down(
            "a command",
            3,
            &[Record::Command(Command {
                id: 17,
                action: Action::Calibrate,
                channel: 1,
                value: -4_000
            })]
        ),
        down("an offer", 1 << 40, &[Record::Offer(offer())]),
        down(
            "a chunk",
            (1 << 40) + 1,
            &[Record::Chunk(Chunk {
                image,
                offset: 65_536,
                data: &data
            })]
        ),
        down(
            "withdrawn",
            (1 << 40) + 2,
            &[Record::Withdraw(Withdraw { image })]
        ),
    ])
}

#[test]
fn this_version_writes_what_it_always_wrote() {
    let written = written();
    if std::env::var_os("FREEZE").is_some() {
        let text = serde_json::to_string_pretty(&written).unwrap() + "\n";
        std::fs::write(file("v1.json"), text).unwrap();
    }
    assert_eq!(written, load("v1.json"));
}

/// Opens each frame of a file, and compares what it says with the plain fields; the records that it holds, sealed again.
#[test]
fn frozen_frames_say_what_they_always_said() {
    let mut frames = 0;
    for name in ["v1.json", "newer.json"] {
        for vector in load(name).as_array().unwrap() {
            let key = Key::new(bytes(&vector["key"]).try_into().unwrap());
            let mut frame = bytes(&vector["frame"]);
            let opened = open(&mut frame, &key).unwrap();
            assert_eq!(header(&opened.header), vector["header"]);
            let records: Vec<_> = opened.records().map(|r| record(&r.unwrap())).collect();
            assert_eq!(
                Value::from(records),
                vector["records"],
                "{}",
                vector["name"]
            );
            frames += 1;
        }
    }
    assert!(frames >= 17, "{frames}");
}

#[test]
fn frozen_lines_hold_the_frames() {
    for vector in load("v1.json").as_array().unwrap() {
        let mut found = Vec::new();
        let mut deframer = Deframer::new();
        deframer.feed(&bytes(&vector["serial"]), &mut |frame| {
            found.push(frame.unwrap().to_vec());
        });
        assert_eq!(found, [bytes(&vector["frame"])]);
    }
}

#[test]
fn a_frame_of_another_generation_is_refused_by_name() {
    let mut frame = bytes(&load("v1.json")[0]["frame"]);
    frame[0] = 0x20;
    assert_eq!(
        open(&mut frame, &key()).unwrap_err().to_string(),
        "a frame of version 0x20, which is not understood"
    );
}

#[test]
fn an_implementation_from_the_page_alone_agrees() {
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "vectors.py"]
        .iter()
        .collect();
    let said = process::Command::new("/usr/bin/python3")
        .arg(script)
        .args([file("v1.json"), file("newer.json")])
        .output()
        .expect("python3 is installed: apt install python3");
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    assert_eq!(
        String::from_utf8_lossy(&said.stdout),
        "13 of v1.json, 4 of newer.json\n"
    );
}

#[test]
fn what_is_signed_of_an_offer_is_frozen() {
    let mut buffer = [0; Offer::MAX_SIGNED];
    let signed = offer();
    let signed = signed.signed(&mut buffer).unwrap();
    let expected = [
        SIGNED_CONTEXT,
        &offer().hash,
        &[0x80, 0x98, 0x19],
        b"\x051.4.0\x10esp32c3-probe-r2\x06stable",
    ];
    assert_eq!(signed, expected.concat());
}
