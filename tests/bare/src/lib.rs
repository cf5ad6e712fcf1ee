//! What a microcontroller runs: it has a panic handler and no allocator of its own, so that it builds on any machine only as
//! long as nothing that `firmware-protocol` is made of asks for `std` or for memory.
#![no_std]

use core::panic::PanicInfo;

use firmware_protocol::{
    Batch, ClockQuality, Deframer, DeviceId, Direction, FrameWriter, Held, Key, MAX_FRAME,
    MAX_SERIAL, Measure, Reading, ReadingsWriter, Record, ReplayWindow, Sequence, kind, open,
    to_serial,
};

#[panic_handler]
fn halt(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// What a probe does each time it wakes: one reading to flash, one frame to the line; how many bytes of it.
pub extern "C" fn wake(
    boot: u32,
    number: u32,
    ticks: u64,
    milli_celsius: i32,
    line: &mut [u8; MAX_SERIAL],
) -> usize {
    let batch = Batch {
        queue: 1,
        number,
        boot,
        ticks,
        unix_ms: 0,
        clock: ClockQuality::Unknown,
    };
    let reading = Reading::good(0, 0, Measure::TemperatureMilliCelsius, milli_celsius.into());
    let held = Held {
        ticks,
        queue: 1,
        oldest: number,
        newest: number,
    };
    let mut sequence = Sequence::start(Direction::Up, DeviceId([1; 8]), boot);
    let (mut flash, mut buffer) = ([0; 256], [0; MAX_FRAME]);
    let sent = ReadingsWriter::new(&mut flash, &batch).and_then(|mut writer| {
        writer.add(&reading)?;
        let mut frame = FrameWriter::new(&mut buffer, &mut sequence)?;
        frame.add(&Record::Held(held))?;
        frame.add_stored(kind::READINGS, writer.finish())?;
        Ok(frame.seal(&Key::new([2; 32])))
    });
    sent.map_or(0, |frame| to_serial(frame, line).map_or(0, <[u8]>::len))
}

/// What it does with each byte that comes down; the newest batch that may be erased, 0 when none.
pub extern "C" fn hear(byte: u8, deframer: &mut Deframer, window: &mut ReplayWindow) -> u32 {
    let mut through = 0;
    deframer.feed(&[byte], &mut |found| {
        let Some(opened) = found
            .ok()
            .and_then(|frame| open(frame, &Key::new([2; 32])).ok())
        else {
            return;
        };
        window.take(&opened.header);
        for record in opened.records() {
            if let Ok(Record::Ack(ack)) = record {
                through = ack.through;
            }
        }
    });
    through
}
