//! Probes in a folder that looks like the kernel's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use edge_acquire::{DriverState, Settings};
use farm_model::{Body, Device, DeviceKind, Flaw, Link, Milli, Quantity::Temperature};

use crate::rig::{Rig, device, missing, settings};

const GOOD: &str = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n";
const NEGATIVE: &str =
    "5e ff 4b 46 7f ff 02 10 b6 : crc=b6 YES\n5e ff 4b 46 7f ff 02 10 b6 t=-10125\n";
const OLD_AFTER_NO: &str =
    "72 01 4b 46 7f ff 0e 10 58 : crc=57 NO\n72 01 4b 46 7f ff 0e 10 57 t=23125\n";
const POWERED: &str =
    "50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n";
const LOW: &str = "00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n";
const HIGH: &str = "ff ff ff ff ff ff ff ff ff : crc=c9 NO\nff ff ff ff ff ff ff ff ff t=23125\n";

struct Tree {
    dir: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("w1_bus_master1")).unwrap();
        Self { dir }
    }

    fn settings(&self) -> Settings {
        Settings {
            onewire_root: self.dir.path().to_owned(),
            ..settings()
        }
    }

    fn folder(&self, rom: &str) -> PathBuf {
        self.dir.path().join(rom)
    }

    /// Replaces a probe's text in one step, as the kernel does.
    fn says(&self, rom: &str, text: &str) {
        let folder = self.folder(rom);
        fs::create_dir_all(&folder).unwrap();
        replace(&folder.join("w1_slave"), text);
    }
}

fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, file).unwrap();
}

fn probe(rom: &str) -> Device {
    device(
        DeviceKind::TemperatureProbe,
        Link::OneWire { rom: rom.into() },
    )
}

#[tokio::test]
async fn every_lie_of_the_kernel_is_told_apart_from_cold_milk() {
    let tree = Tree::new();
    let rom = "28-0316a2795caf";
    tree.says(rom, GOOD);
    let probe = probe(rom);
    let mut rig = Rig::new(tree.settings(), &[&probe]).await;
    assert_eq!(rig.next().await.body, Body::Heard);
    let first = rig.next().await;
    assert_eq!(first.body, Body::measured(Temperature, Milli(23_125)));
    assert_eq!(
        first.raw,
        [0x72, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x0e, 0x10, 0x57]
    );

    let good = Body::measured(Temperature, Milli(23_125));
    for (text, body, reason) in [
        (
            OLD_AFTER_NO,
            missing(Temperature, Flaw::Checksum),
            "checksum",
        ),
        (LOW, missing(Temperature, Flaw::BusLow), "bus_low"),
        (HIGH, missing(Temperature, Flaw::BusHigh), "bus_high"),
        ("", missing(Temperature, Flaw::Converting), "converting"),
        ("t=4000", missing(Temperature, Flaw::Malformed), "malformed"),
        (
            POWERED,
            Body::bad(Temperature, Milli(85_000), Flaw::PowerOnReset),
            "power_on_reset",
        ),
    ] {
        tree.says(rom, text);
        assert_eq!(rig.next().await.body, body, "once, and at once");
        rig.status(&probe, |s| s.errors.contains_key(reason)).await;
        tree.says(rom, GOOD);
        assert_eq!(rig.next().await.body, good);
    }
    let kept = rig.rejects.iter().map(|r| (r.reason, r.raw.as_slice()));
    assert!(
        kept.clone().any(|r| r == ("bus_low", LOW.as_bytes())),
        "{kept:?}"
    );
}

#[tokio::test]
async fn a_jump_is_doubted_until_it_is_confirmed() {
    let tree = Tree::new();
    let rom = "28-0316a2795caf";
    tree.says(rom, GOOD);
    let probe = probe(rom);
    let mut rig = Rig::new(tree.settings(), &[&probe]).await;
    rig.body(&probe, Body::measured(Temperature, Milli(23_125)))
        .await;
    tree.says(rom, NEGATIVE);
    let doubted = Body::bad(Temperature, Milli(-10_125), Flaw::Jump);
    assert_eq!(rig.next().await.body, doubted);
    assert_eq!(
        rig.next().await.body,
        Body::measured(Temperature, Milli(-10_125))
    );
    let status = rig.status(&probe, |s| s.errors.contains_key("jump")).await;
    assert_eq!(status.errors["jump"], 1);
}

#[tokio::test]
async fn a_probe_is_known_by_its_rom_wherever_it_comes_back() {
    let tree = Tree::new();
    let (rom, stranger) = ("28-0316a2795caf", "10-000802be73fa");
    tree.says(rom, GOOD);
    tree.says(stranger, NEGATIVE);
    let probe = probe("28-0316A2795CAF");
    let mut rig = Rig::new(tree.settings(), &[&probe]).await;
    rig.body(&probe, Body::measured(Temperature, Milli(23_125)))
        .await;
    assert_eq!(rig.drivers.list_probes().unwrap(), [stranger, rom]);

    fs::remove_dir_all(tree.folder(rom)).unwrap();
    rig.body(&probe, missing(Temperature, Flaw::Disconnected))
        .await;
    rig.status(&probe, |s| s.state == DriverState::PortMissing)
        .await;
    assert_eq!(rig.drivers.list_probes().unwrap(), [stranger]);
    tree.says(rom, GOOD);
    rig.body(&probe, Body::measured(Temperature, Milli(23_125)))
        .await;
    rig.status(&probe, |s| s.state == DriverState::Running)
        .await;
}

#[tokio::test]
async fn a_farm_without_the_bus_and_a_wrong_rom_are_said() {
    let tree = Tree::new();
    let settings = Settings {
        onewire_root: tree.dir.path().join("absent"),
        ..settings()
    };
    let (probe, wrong) = (probe("28-0316a2795caf"), probe("28-../../etc/passwd"));
    let mut rig = Rig::new(settings, &[&probe, &wrong]).await;
    rig.body(&probe, missing(Temperature, Flaw::Disconnected))
        .await;
    rig.status(&probe, |s| s.state == DriverState::PortMissing)
        .await;
    let status = rig
        .status(&wrong, |s| s.errors.contains_key("bad_rom"))
        .await;
    assert_eq!(status.state, DriverState::Stopped);
    assert!(rig.drivers.list_probes().is_err());
}

#[tokio::test]
async fn probes_measure_at_once_where_the_kernel_can_do_so() {
    let tree = Tree::new();
    let bulk = tree.dir.path().join("w1_bus_master1/therm_bulk_read");
    fs::write(&bulk, "0\n").unwrap();
    let (one, two) = ("28-0316a2795caf", "28-0316a2795cb0");
    // While a conversion runs, the kernel gives nothing to read.
    tree.says(one, "");
    tree.says(two, "");
    let probes = [probe(one), probe(two)];
    let kernel = tokio::task::spawn_blocking({
        let (bulk, one, two) = (bulk.clone(), tree.folder(one), tree.folder(two));
        move || {
            while fs::read_to_string(&bulk).unwrap() != "trigger\n" {
                std::thread::yield_now();
            }
            replace(&bulk, "-1\n");
            replace(&one.join("w1_slave"), GOOD);
            replace(&two.join("w1_slave"), NEGATIVE);
            replace(&bulk, "1\n");
        }
    });
    let mut rig = Rig::new(tree.settings(), &[&probes[0], &probes[1]]).await;
    rig.body(&probes[0], Body::measured(Temperature, Milli(23_125)))
        .await;
    rig.body(&probes[1], Body::measured(Temperature, Milli(-10_125)))
        .await;
    kernel.await.unwrap();
}

#[tokio::test]
async fn a_probe_that_hangs_in_the_kernel_stops_nothing_but_the_bus() {
    let tree = Tree::new();
    let rom = "28-0316a2795caf";
    let folder = tree.folder(rom);
    fs::create_dir(&folder).unwrap();
    // Opening a pipe that nobody writes to hangs as a broken bus does.
    let pipe = folder.join("w1_slave");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(
        made.expect("these tests need mkfifo: apt-get install coreutils")
            .success()
    );
    let probe = probe(rom);
    let mut rig = Rig::new(tree.settings(), &[&probe]).await;
    rig.body(&probe, missing(Temperature, Flaw::Timeout)).await;
    // The bus answers after all.
    fs::write(&pipe, GOOD).unwrap();
    fs::remove_file(&pipe).unwrap();
    tree.says(rom, GOOD);
    rig.body(&probe, Body::measured(Temperature, Milli(23_125)))
        .await;
}
