//! An update, and a supply that fails at every step of it.

use farm_firmware::{Header, Label, SigningKey, sign};
use firmware_protocol::{Chunk, MAX_CHUNK, Record, UpdateState, kind};
use virtual_farm::{
    node::{Health, PowerLost, Slots},
    rng::Rng,
};

const OLD: &[u8] = &[0x11; 5_000];

fn vendor() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

fn new_image() -> Vec<u8> {
    (0..9_000_u32).map(|n| n as u8).collect()
}

fn header(key: &SigningKey, hardware: &str) -> Header {
    let label = |text| Label::new(text).expect("a label");
    let file = sign(
        key,
        &new_image(),
        label("2.0"),
        label(hardware),
        label("stable"),
    );
    let file = file.expect("neither empty nor large");
    Header::parse(&file).expect("just made").0
}

fn slots(seed: u64) -> Slots {
    Slots::new(
        vendor().public(),
        "node-c3",
        "1.0",
        OLD,
        3,
        Rng::stream(seed, "slots"),
    )
}

/// Answers what the node asks, from an image that may have been tampered with; until it asks no more.
fn feed(slots: &mut Slots, image: &[u8]) -> Result<(), PowerLost> {
    for _ in 0..200 {
        let said = slots.say();
        let Some((_, asked)) = said.iter().find(|(k, _)| *k == kind::CHUNK_REQUEST) else {
            return Ok(());
        };
        let Ok(Record::ChunkRequest(request)) = Record::read(kind::CHUNK_REQUEST, asked) else {
            panic!("what it asks can be read");
        };
        let from = request.offset as usize;
        let to = (from + request.length as usize).min(image.len());
        for (n, data) in image[from..to].chunks(MAX_CHUNK).enumerate() {
            slots.hear(&Record::Chunk(Chunk {
                image: request.image,
                offset: request.offset + (n * MAX_CHUNK) as u32,
                data,
            }))?;
        }
    }
    panic!("it asks for ever");
}

fn update(slots: &mut Slots) -> Result<(), PowerLost> {
    slots.start()?;
    let header = header(&vendor(), "node-c3");
    slots.hear(&Record::Offer(header.offer()))?;
    feed(slots, &new_image())?;
    if slots.phase() == Some(UpdateState::Verified) {
        slots.start()?;
    }
    slots.judge(Health::Good)
}

#[test]
fn an_update_is_fetched_tried_and_kept() {
    let mut slots = slots(1);
    update(&mut slots).unwrap();
    assert_eq!(slots.phase(), Some(UpdateState::Confirmed));
    slots.reset();
    slots.start().unwrap();
    assert_eq!(slots.runs(), Some(("2.0".into(), new_image())));
}

#[test]
fn a_bad_trial_ends_with_the_old_image() {
    let mut slots = slots(2);
    slots.start().unwrap();
    slots
        .hear(&Record::Offer(header(&vendor(), "node-c3").offer()))
        .unwrap();
    feed(&mut slots, &new_image()).unwrap();
    slots.start().unwrap();
    assert_eq!(slots.runs().unwrap().0, "2.0");
    slots.judge(Health::Bad).unwrap();
    slots.reset();
    slots.start().unwrap();
    assert_eq!(slots.phase(), Some(UpdateState::RolledBack));
    assert_eq!(slots.runs(), Some(("1.0".into(), OLD.to_vec())));
}

#[test]
fn what_is_forged_or_for_other_hardware_is_not_fetched_and_what_was_changed_never_boots() {
    for forged in [
        header(&SigningKey::from_seed(&[9; 32]), "node-c3"),
        header(&vendor(), "node-s3"),
    ] {
        let mut slots = slots(3);
        slots.start().unwrap();
        slots.hear(&Record::Offer(forged.offer())).unwrap();
        assert_eq!(slots.phase(), Some(UpdateState::Refused));
    }
    let mut tampered = new_image();
    tampered[8_000] ^= 1;
    let mut slots = slots(4);
    slots.start().unwrap();
    slots
        .hear(&Record::Offer(header(&vendor(), "node-c3").offer()))
        .unwrap();
    feed(&mut slots, &tampered).unwrap();
    assert_eq!(slots.phase(), Some(UpdateState::Refused));
    slots.start().unwrap();
    assert_eq!(slots.runs().unwrap().0, "1.0");
}

#[test]
fn whenever_the_supply_fails_a_whole_image_runs_and_the_update_can_be_had_again() {
    let mut stopped = 0;
    for bytes in (0..11_000).step_by(37) {
        let mut slots = slots(bytes);
        slots.flash.fail_after(bytes);
        stopped += u32::from(update(&mut slots).is_err());
        slots.reset();
        slots.start().unwrap();
        let (version, image) = slots.runs().unwrap();
        let whole = match version.as_str() {
            "1.0" => image == OLD,
            "2.0" => image == new_image(),
            _ => false,
        };
        assert!(
            whole,
            "after {bytes} bytes {version} runs, and is not whole"
        );
        // A trial may have been broken off: then the old one runs, and the image is offered once more.
        for _ in 0..2 {
            slots.reset();
            update(&mut slots).unwrap();
        }
        assert_eq!(slots.runs().unwrap().0, "2.0", "after {bytes} bytes");
    }
    assert!(stopped > 200, "the supply failed {stopped} times");
}
