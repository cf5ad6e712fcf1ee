//! Images, rollouts and what nodes say, on a real file.

use std::sync::Arc;

use farm_firmware::{Ended, Label, Milking, Rules, SigningKey, Update, Wait, sign};
use farm_model::{ClockQuality, DeviceKind, Link, SystemClock};
use firmware_protocol::{ImageId, UpdateState};

use super::*;
use crate::{
    alerts::{self, AlertKind},
    devices::{self, DeviceForm},
    store::{Actor, Farm, Options},
    text::{Name, Slug},
};

const HARDWARE: &str = "node-c3";
/// Rules under which every age is old enough.
const AT_ONCE: Rules = Rules {
    prove_ms: 0,
    at_once: 2,
    trial_ms: i64::MAX,
    again_ms: i64::MAX,
};

struct Rig {
    farm: Farm,
    shelf: Shelf,
    dir: tempfile::TempDir,
}

fn vendor() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

fn file(key: &SigningKey, version: &str, channel: &str) -> Vec<u8> {
    let image = format!("instructions of {version}").repeat(100);
    sign(
        key,
        image.as_bytes(),
        label(version),
        label(HARDWARE),
        label(channel),
    )
    .unwrap()
}

fn open(dir: &tempfile::TempDir) -> Farm {
    let clock = Arc::new(SystemClock::new(0, ClockQuality::Synced));
    let options = Options {
        clock,
        ..Options::default()
    };
    Farm::open(&dir.path().join("farm.db"), options).unwrap()
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            farm: open(&dir),
            shelf: Shelf::new(dir.path().join("firmware"), vec![vendor().public()]),
            dir,
        }
    }

    fn add(&self, version: &str, channel: &str) -> ImageNumber {
        let file = file(&vendor(), version, channel);
        self.shelf
            .add(&self.farm, Actor::System, "node.khfw", &file)
            .unwrap()
    }

    fn image_id(&self, image: ImageNumber) -> ImageId {
        let image = self
            .farm
            .read_blocking(|conn| super::image(conn, image))
            .unwrap()
            .unwrap();
        image.header.unwrap().offer().image()
    }

    /// A device that has told that it runs `version`.
    fn device(&self, slug: &str, version: &str) -> DeviceId {
        let form = DeviceForm {
            slug: Slug::new(slug).unwrap(),
            name: Name::new(slug).unwrap(),
            kind: DeviceKind::Sensor,
            link: Link::Mqtt { client: None },
            place: None,
            expect_every_s: None,
        };
        let device = self
            .farm
            .write_blocking(Actor::System, move |tx| devices::add(tx, &form))
            .unwrap();
        self.greets(device, version);
        device
    }

    fn hears(&self, device: DeviceId, said: Heard) {
        self.farm
            .write_blocking(Actor::System, move |tx| heard(tx, device, &said))
            .unwrap();
    }

    fn greets(&self, device: DeviceId, version: &str) {
        let (hardware, version) = (HARDWARE.into(), version.into());
        self.hears(device, Heard::Greets { hardware, version });
    }

    fn reports(&self, device: DeviceId, image: ImageNumber, state: UpdateState) {
        let image = self.image_id(image);
        let have = 0;
        self.hears(device, Heard::Reports { image, state, have });
    }

    fn offer(&self, image: ImageNumber, batch: Batch) -> Result<RolloutNumber, FirmwareError> {
        self.farm
            .write_blocking(Actor::System, move |tx| super::offer(tx, image, &batch))
    }

    fn round(&self, milking: Milking) -> Vec<DeviceId> {
        let outgoing = self
            .farm
            .write_blocking(Actor::System, move |tx| round(tx, &AT_ONCE, milking));
        outgoing.unwrap().iter().map(|o| o.device).collect()
    }

    fn rollout(&self) -> Rollout {
        let now = farm_model::Clock::now(&**self.farm.clock());
        let all = self
            .farm
            .read_blocking(|conn| rollouts(conn, &AT_ONCE, Milking::No, now));
        all.unwrap().remove(0)
    }

    fn states(&self) -> Vec<&'static str> {
        let states = self.rollout().devices;
        states
            .iter()
            .map(|p| p.update.map_or("waits", Update::key))
            .collect()
    }

    fn alerts(&self) -> usize {
        let open = self.farm.read_blocking(alerts::open).unwrap();
        open.iter()
            .filter(|a| a.kind == AlertKind::Firmware)
            .count()
    }
}

#[test]
fn an_image_is_kept_byte_for_byte_and_once() {
    let rig = Rig::new();
    let id = rig.add("2.0", "stable");
    assert_eq!(rig.add("2.0", "stable"), id);
    let image = rig.farm.read_blocking(images).unwrap().remove(0);
    let header = image.header.unwrap();
    assert_eq!(image.signer, Some(vendor().public().to_string()));
    let start = rig.shelf.read(&header.hash, 0, 12).unwrap();
    assert_eq!(start, b"instructions");
    let end = header.size - 4;
    assert!(rig.shelf.read(&header.hash, end, 4).is_ok());
    assert!(rig.shelf.read(&header.hash, end, 5).is_err());
}

#[test]
fn a_forged_image_is_refused_stays_visible_and_is_never_offered() {
    let rig = Rig::new();
    let forged = file(&SigningKey::from_seed(&[9; 32]), "6.6", "stable");
    let mut damaged = file(&vendor(), "2.0", "stable");
    *damaged.last_mut().unwrap() ^= 1;
    for (file, why) in [
        (&forged[..], ImageError::NotTrusted),
        (&damaged, ImageError::WrongHash),
        (b"PK", ImageError::NotAnImage),
    ] {
        let refused = rig
            .shelf
            .add(&rig.farm, Actor::System, "../x\u{7}.khfw", file);
        assert!(matches!(refused, Err(AddError::Image(e)) if e == why));
    }
    let images = rig.farm.read_blocking(images).unwrap();
    assert_eq!(images.len(), 3);
    assert_eq!(images[2].refused, Some(ImageError::NotTrusted));
    assert_eq!(images[2].file, "x.khfw");
    assert!(!rig.dir.path().join("firmware").exists(), "no byte is kept");
    rig.device("a", "1.0");
    let offered = rig.offer(images[2].id, Batch::Share(100));
    assert!(matches!(offered, Err(FirmwareError::Refused(_))));
}

#[test]
fn one_device_goes_first_and_the_others_follow_when_it_has_proven_itself() {
    let rig = Rig::new();
    let devices = ["a", "b", "c", "d"].map(|slug| rig.device(slug, "1.0"));
    let image = rig.add("2.0", "stable");
    rig.offer(image, Batch::Devices(devices.to_vec())).unwrap();
    assert_eq!(rig.round(Milking::Yes), [], "nothing while cows are milked");
    assert_eq!(rig.round(Milking::No), [devices[0]]);
    assert_eq!(rig.round(Milking::No), []);
    assert_eq!(rig.rollout().wait, Some(Wait::FirstNode(devices[0])));

    rig.reports(devices[0], image, UpdateState::Trying);
    rig.greets(devices[0], "2.0");
    rig.reports(devices[0], image, UpdateState::Confirmed);
    rig.greets(devices[0], "2.0");
    assert_eq!(rig.round(Milking::No), [devices[1], devices[2]]);
    assert_eq!(rig.states(), ["confirmed", "offered", "offered", "waits"]);
}

#[test]
fn a_device_that_rolls_back_stops_the_rollout_until_somebody_has_looked() {
    let rig = Rig::new();
    let devices = ["a", "b"].map(|slug| rig.device(slug, "1.0"));
    let image = rig.add("2.0", "stable");
    let rollout = rig.offer(image, Batch::Devices(devices.to_vec())).unwrap();
    rig.round(Milking::No);
    rig.reports(devices[0], image, UpdateState::Trying);
    // It does not say so, but it greets with what it ran before.
    rig.greets(devices[0], "1.0");
    assert_eq!(rig.round(Milking::No), []);
    let stopped = rig.rollout();
    assert_eq!(
        (stopped.phase, stopped.stopped_by),
        (Phase::Paused, Some(devices[0]))
    );
    assert_eq!(
        stopped.devices[0].update,
        Some(Update::Ended(Ended::RolledBack))
    );
    assert_eq!((rig.round(Milking::No), rig.alerts()), (vec![], 1));

    rig.farm
        .write_blocking(Actor::System, move |tx| resume(tx, rollout))
        .unwrap();
    assert_eq!(
        (rig.round(Milking::No), rig.alerts()),
        (vec![devices[1]], 0)
    );
}

#[test]
fn what_is_withdrawn_is_fed_to_nobody() {
    let rig = Rig::new();
    let device = rig.device("a", "1.0");
    let image = rig.add("2.0", "stable");
    let rollout = rig.offer(image, Batch::Share(1)).unwrap();
    let id = rig.image_id(image);
    let answer = || {
        rig.farm
            .read_blocking(|conn| super::answer(conn, device, id))
            .unwrap()
    };
    assert_eq!(answer(), Answer::Withdraw, "before it is offered, too");
    rig.round(Milking::No);
    assert!(matches!(answer(), Answer::Feed(_)));
    rig.farm
        .write_blocking(Actor::System, move |tx| pause(tx, rollout))
        .unwrap();
    assert_eq!(answer(), Answer::Later);
    rig.farm
        .write_blocking(Actor::System, move |tx| withdraw(tx, rollout))
        .unwrap();
    assert_eq!(
        (answer(), rig.states()),
        (Answer::Withdraw, vec!["withdrawn"])
    );
    let again = rig
        .farm
        .write_blocking(Actor::System, move |tx| withdraw(tx, rollout));
    assert!(matches!(again, Err(FirmwareError::UnknownRollout)));
}

#[test]
fn progress_is_written_in_twentieths_and_survives_a_restart() {
    let mut rig = Rig::new();
    let device = rig.device("a", "1.0");
    let image = rig.add("2.0", "stable");
    rig.offer(image, Batch::Share(100)).unwrap();
    rig.round(Milking::No);
    let id = rig.image_id(image);
    let asks = |offset| Heard::Asks { image: id, offset };
    let news = |offset| {
        rig.farm
            .read_blocking(|conn| is_news(conn, device, &asks(offset)))
            .unwrap()
    };
    assert!(news(0), "it has begun");
    rig.hears(device, asks(0));
    assert!(!news(10) && news(1_000));
    rig.hears(device, asks(1_000));
    drop(rig.farm);
    rig.farm = open(&rig.dir);
    let progress = rig.rollout().devices[0].update;
    assert_eq!(progress, Some(Update::Downloading { have: 1_000 }));
}

#[test]
fn a_channel_and_a_share_choose_who_is_offered_it() {
    let rig = Rig::new();
    let (a, b) = (rig.device("a", "1.0"), rig.device("b", "1.0"));
    let beta = label("beta");
    rig.farm
        .write_blocking(Actor::System, move |tx| set_channel(tx, b, &beta))
        .unwrap();
    let image = rig.add("2.0-rc1", "beta");
    let stable = rig.offer(image, Batch::Devices(vec![a]));
    assert!(matches!(stable, Err(FirmwareError::DoesNotFit(d)) if d == a));
    rig.offer(image, Batch::Share(100)).unwrap();
    assert_eq!(rig.round(Milking::No), [b]);
    let second = rig.offer(image, Batch::Share(100));
    assert!(matches!(second, Err(FirmwareError::AnotherRuns)));

    // One that is heard of later joins a share of all.
    let c = rig.device("c", "1.0");
    let beta = label("beta");
    rig.farm
        .write_blocking(Actor::System, move |tx| set_channel(tx, c, &beta))
        .unwrap();
    rig.greets(c, "1.0");
    assert_eq!(rig.states(), ["offered", "waits"]);
    for device in [b, c] {
        rig.reports(device, image, UpdateState::Confirmed);
        rig.greets(device, "2.0-rc1");
        rig.round(Milking::No);
    }
    assert_eq!(rig.states(), ["confirmed", "confirmed"]);
    assert!(matches!(
        rig.offer(image, Batch::Share(100)),
        Err(FirmwareError::NobodyFits)
    ));
}

#[test]
fn an_image_that_is_removed_takes_its_file_with_it() {
    let rig = Rig::new();
    rig.device("a", "1.0");
    let image = rig.add("2.0", "stable");
    let rollout = rig.offer(image, Batch::Share(100)).unwrap();
    let remove = || {
        rig.farm
            .write_blocking(Actor::System, move |tx| super::remove(tx, image))
    };
    assert!(matches!(remove(), Err(FirmwareError::InUse)));
    rig.farm
        .write_blocking(Actor::System, move |tx| withdraw(tx, rollout))
        .unwrap();
    remove().unwrap();
    rig.shelf.sweep(&rig.farm).unwrap();
    let left = std::fs::read_dir(rig.dir.path().join("firmware")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn an_image_that_comes_is_not_swept_away() {
    let rig = Rig::new();
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| {
            for n in 0..20 {
                rig.add(&format!("1.{n}"), "stable");
            }
        });
        while !adding.is_finished() {
            rig.shelf.sweep(&rig.farm).unwrap();
        }
    });
    let images = rig.farm.read_blocking(images).unwrap();
    assert_eq!(images.len(), 20);
    for image in images {
        let hash = image.header.unwrap().hash;
        assert_eq!(rig.shelf.read(&hash, 0, 4).unwrap(), b"inst");
    }
}
