//! `door.bytes` and `door.bytes.frames`: what a farm of 50 sensors sends in a day, all headers included.
//!
//! The first is a reading a minute from each, as JSON, a message for each reading. The second is what a node of our own protocol
//! says for six times as much: two quantities every ten seconds, gathered for a minute in one sealed frame, and the frame
//! that says that it is on disk.

use anyhow::ensure;
use firmware_protocol::{
    Ack, Batch, ClockQuality, DeviceId, Direction, FrameWriter, Held, Key, MAX_FRAME, Measure,
    Reading, ReadingsWriter, Record, Sequence, kind,
};

use crate::{
    broker::{publish, reading},
    figure::{Figure, note},
};

const SENSORS: f64 = 50.0;
const MINUTES: f64 = 24.0 * 60.0;
/// Headers of IPv4 and of TCP with time stamps.
const SEGMENT: f64 = 52.0;
/// A message and its PUBACK are a segment each; one more says that the PUBACK came.
const OVERHEAD: f64 = 3.0 * SEGMENT + 4.0;
/// Most that a farm may send in a day, in MB.
const MOST: f64 = 50.0;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let mut told = Vec::new();
    publish(&mut told, "farm/environment/room-10/temp", 1, &reading(1));
    let json = told.len() as f64 + OVERHEAD;
    let (up, down) = frames()?;
    // The topics hold the device's identity.
    let header = 4.0 + "khamar/node/0192f0c1a2b3c4d5/up".len() as f64;
    let framed = up as f64 + down as f64 + 2.0 * (header + OVERHEAD);
    note(format_args!(
        "door.bytes: {json:.0} bytes for a reading as JSON; {framed:.0} for twelve in a frame of {up} bytes and the answer of {down}"
    ));
    let a_day = |bytes: f64| bytes * SENSORS * MINUTES / 1e6;
    Ok(vec![
        Figure::new("door.bytes", a_day(json), "MB a day, 1 reading a minute").goal(MOST),
        Figure::new(
            "door.bytes.frames",
            a_day(framed),
            "MB a day, 12 readings a minute",
        )
        .goal(MOST),
    ])
}

/// Sizes of the frame that a node sends each minute, and of the one that answers it.
fn frames() -> anyhow::Result<(usize, usize)> {
    let (key, node) = (Key::new([7; 32]), DeviceId([1, 2, 3, 4, 5, 6, 7, 8]));
    let (queue, number, ticks) = (1, 10_000, 864_000_000);
    let batch = Batch {
        queue,
        number,
        boot: 7,
        ticks,
        unix_ms: 1_795_132_800_000,
        clock: ClockQuality::Synced,
    };
    let mut flash = [0; MAX_FRAME];
    let mut readings = ReadingsWriter::new(&mut flash, &batch)?;
    for n in 0..6 {
        let temperature = Measure::TemperatureMilliCelsius;
        readings.add(&Reading::good(
            n * 10_000,
            0,
            temperature,
            4_125 + i64::from(n),
        ))?;
        readings.add(&Reading::good(
            n * 10_000,
            1,
            temperature,
            21_250 - i64::from(n),
        ))?;
    }
    let stored = readings.finish();
    let mut buffer = [0; MAX_FRAME];
    let mut sequence = Sequence::start(Direction::Up, node, 7);
    let mut frame = FrameWriter::new(&mut buffer, &mut sequence)?;
    let (oldest, newest) = (number, number);
    frame.add(&Record::Held(Held {
        ticks,
        queue,
        oldest,
        newest,
    }))?;
    frame.add_stored(kind::READINGS, stored)?;
    let up = frame.seal(&key).len();
    let mut sequence = Sequence::start(Direction::Down, node, 7);
    let mut frame = FrameWriter::new(&mut buffer, &mut sequence)?;
    frame.add(&Record::Ack(Ack {
        queue,
        through: number,
        also: 0,
    }))?;
    let down = frame.seal(&key).len();
    ensure!(up < MAX_FRAME, "a minute's readings fit into one frame");
    Ok((up, down))
}
