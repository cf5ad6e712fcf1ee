//! The kernel's texts for a DS18B20, true and untrue.

use edge_decode::{PlausibleTemperature, w1::parse};
use farm_model::{
    observation::{Body, Flaw},
    quantity::{Milli, Quantity},
    time::UnixMillis,
};
use proptest::prelude::*;

const T: Quantity = Quantity::Temperature;

fn text(memory: &str, verdict: &str, t: &str) -> String {
    let crc = &memory[memory.len() - 2..];
    format!("{memory} : crc={crc} {verdict}\n{memory} t={t}\n")
}

fn good(milli: i64) -> Body {
    Body::measured(T, Milli(milli))
}

fn check(text: &str, body: impl Into<Body>) {
    assert_eq!(parse(text.as_bytes(), None).body, body.into(), "{text:?}");
}

#[test]
fn published_texts() {
    check(
        &text("72 01 4b 46 7f ff 0e 10 57", "YES", "23125"),
        good(23_125),
    );
    check(
        &text("5e ff 4b 46 7f ff 02 10 b6", "YES", "-10125"),
        good(-10_125),
    );
    check(
        &text("94 01 4b 46 7f ff 0c 10 26", "YES", "25250"),
        good(25_250),
    );
    check(
        &text("50 05 4b 46 7f ff 10 10 bd", "YES", "85000"),
        good(85_000),
    );
}

#[test]
fn a_probe_that_was_just_powered_is_not_hot() {
    let reset = |milli| Body::bad(T, Milli(milli), Flaw::PowerOnReset);
    check(
        &text("50 05 4b 46 7f ff 0c 10 1c", "YES", "85000"),
        reset(85_000),
    );
    check(
        &text("ff 07 4b 46 7f ff 0c 10 a6", "YES", "127937"),
        reset(127_937),
    );
}

#[test]
fn a_broken_wire_is_not_cold_milk() {
    let missing = |flaw| Body::missing(T, flaw);
    check(
        &text("00 00 00 00 00 00 00 00 00", "YES", "0"),
        missing(Flaw::BusLow),
    );
    check(
        &text("ff ff ff ff ff ff ff ff ff", "NO", "0"),
        missing(Flaw::BusHigh),
    );
}

#[test]
fn the_old_value_after_a_failed_checksum_is_not_used() {
    let old = "72 01 4b 46 7f ff 0e 10 57 : crc=58 NO\n72 01 4b 46 7f ff 0e 10 57 t=4000\n";
    check(old, Body::missing(T, Flaw::Checksum));
    let flipped = text("73 01 4b 46 7f ff 0e 10 57", "YES", "23187");
    check(&flipped, Body::missing(T, Flaw::Checksum));
}

#[test]
fn an_unfinished_conversion_is_no_value() {
    let converting = Body::missing(T, Flaw::Converting);
    check("", converting.clone());
    check("\n", converting.clone());
    let whole = text("72 01 4b 46 7f ff 0e 10 57", "YES", "23125");
    assert_eq!(parse(whole.as_bytes(), Some(b"")).body, converting);
    let reading = parse(whole.as_bytes(), Some(b"23062\n"));
    assert_eq!(
        reading.body,
        good(23_125),
        "the text with a checksum decides"
    );
    assert_eq!(
        reading.raw,
        [0x72, 0x01, 0x4B, 0x46, 0x7F, 0xFF, 0x0E, 0x10, 0x57]
    );
}

#[test]
fn a_truncated_or_strange_text_is_malformed() {
    let whole = text("72 01 4b 46 7f ff 0e 10 57", "YES", "23125");
    let end_of_value = whole.trim_end().len();
    for cut in 1..end_of_value {
        let body = parse(&whole.as_bytes()[..cut], None).body;
        let shorter_number = cut > whole.find("t=").unwrap() + 2;
        assert_eq!(
            body == Body::missing(T, Flaw::Malformed),
            !shorter_number,
            "cut at {cut}"
        );
    }
    for strange in [
        "72 01 4b 46 7f ff 0e 10 57 : crc=57 MAYBE\n72 01 4b 46 7f ff 0e 10 57 t=1\n",
        "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n73 01 4b 46 7f ff 0e 10 57 t=1\n",
        "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=x\n",
        "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57\n",
        "+1 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n",
        "72 01 4b 46 7f ff 0e 10 57 00 : crc=57 YES\n",
        "\u{feff}",
    ] {
        check(strange, Body::missing(T, Flaw::Malformed));
    }
    assert_eq!(
        parse(&[0xFF, 0xFE], None).body,
        Body::missing(T, Flaw::Malformed)
    );
}

fn minute(n: i64) -> UnixMillis {
    UnixMillis(n * 60_000)
}

#[test]
fn a_single_jump_is_doubted_and_a_confirmed_one_believed() {
    let mut judge = PlausibleTemperature::new(Milli(1000));
    let mut at = 0;
    let mut say = |milli: i64| {
        at += 1;
        judge.judge(good(milli), minute(at))
    };
    let jump = |milli| Body::bad(T, Milli(milli), Flaw::Jump);
    assert_eq!(say(4000), good(4000));
    assert_eq!(say(5400), good(5400), "slope and noise");
    assert_eq!(say(84_000), jump(84_000));
    assert_eq!(say(5300), good(5300), "back again: it was never true");
    assert_eq!(say(30_000), jump(30_000), "warm water: once is doubtful");
    assert_eq!(say(31_000), good(31_000), "twice is true");
    assert_eq!(say(31_500), good(31_500));
}

#[test]
fn eighty_five_degrees_are_believed_only_beside_a_true_neighbour() {
    let mut judge = PlausibleTemperature::new(Milli(1000));
    let mut at = 0;
    let mut say = |milli: i64| {
        at += 1;
        judge.judge(good(milli), minute(at))
    };
    let reset = Body::bad(T, Milli(85_000), Flaw::PowerOnReset);
    assert_eq!(say(85_000), reset, "the first word of a copied chip");
    assert_eq!(say(85_000), reset, "a loose plug says it again");
    assert_eq!(say(4000), good(4000));
    assert_eq!(say(85_000), reset);
    // A tank that is washed.
    assert_eq!(say(84_500), good(84_500), "near what was doubted");
    assert_eq!(say(85_000), good(85_000));
}

#[test]
fn time_makes_room_and_a_clock_that_goes_back_does_not() {
    let mut judge = PlausibleTemperature::new(Milli(1000));
    judge.judge(good(4000), minute(0));
    assert_eq!(judge.judge(good(34_000), minute(30)), good(34_000));
    let jump = Body::bad(T, Milli(4000), Flaw::Jump);
    assert_eq!(judge.judge(good(4000), minute(-500)), jump);
    let missing = Body::missing(T, Flaw::Timeout);
    assert_eq!(judge.judge(missing.clone(), minute(31)), missing);
}

proptest! {
    #[test]
    fn any_text_reads_to_something(text in any::<Vec<u8>>(), temperature in any::<Option<Vec<u8>>>()) {
        parse(&text, temperature.as_deref());
    }

    #[test]
    fn every_good_temperature_carries_a_true_checksum(memory in any::<[u8; 9]>(), yes in any::<bool>(), t in -60_000i64..130_000) {
        let hex = memory.map(|b| format!("{b:02x}")).join(" ");
        let reading = parse(text(&hex, if yes { "YES" } else { "NO" }, &t.to_string()).as_bytes(), None);
        if reading.body == good(t) {
            prop_assert!(yes);
            let remainder = memory.iter().fold(0u8, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x8C } else { crc >> 1 }));
            prop_assert_eq!(remainder, 0);
        }
    }

    #[test]
    fn nothing_shakes_the_judge(readings in proptest::collection::vec((any::<i64>(), any::<i64>()), 0..20), slope in any::<i64>()) {
        let mut judge = PlausibleTemperature::new(Milli(slope));
        for (value, at) in readings {
            let body = Body::Measured { quantity: T, value: Some(Milli(value)), quality: farm_model::observation::Quality::Good, flaw: None };
            judge.judge(body, UnixMillis(at));
        }
    }
}
