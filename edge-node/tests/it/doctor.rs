//! What `doctor` says of machines on which something is wrong.

use std::{fs, net::TcpListener, path::Path};

use edge_node::{
    config::{ClockTrust, Config},
    doctor::{Check, Verdict, examine},
};
use farm::{Farm, Options};

fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.data.dir = dir.join("data");
    config.web.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.mqtt.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.mqtt.tls = Vec::new();
    config.serial.dirs = vec![dir.join("serial")];
    config.onewire.root = dir.join("w1");
    config.clock.trust = ClockTrust::System;
    config
}

fn verdict(checks: &[Check], name: &str) -> (Verdict, String) {
    let check = checks
        .iter()
        .find(|c| c.name == name)
        .expect("it is looked at");
    assert_eq!(
        check.verdict == Verdict::Good,
        check.advice.is_empty(),
        "advice stands exactly where something is to be done: {check}"
    );
    (check.verdict, format!("{} {}", check.seen, check.advice))
}

#[test]
fn a_sound_machine_is_good_in_all() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    drop(Farm::open(&config.data.dir.join("farm.db"), Options::default()).unwrap());
    let checks = examine(&config);
    for name in ["clock", "database", "web", "mqtt", "serial", "1-wire"] {
        assert_eq!(verdict(&checks, name).0, Verdict::Good, "{name}");
    }
}

#[test]
fn a_simulated_clock_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.clock.simulated_rate = 60.0;
    assert_eq!(verdict(&examine(&config), "clock").0, Verdict::Warning);
}

#[test]
fn a_folder_that_cannot_be_written_is_bad() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody, not even root, makes a folder within a file.
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let mut config = config(dir.path());
    config.data.dir = file.join("data");
    let (verdict, text) = verdict(&examine(&config), "disk");
    assert_eq!(verdict, Verdict::Bad);
    assert!(text.contains("cannot be written"), "{text}");
}

#[test]
fn an_address_that_somebody_else_has_is_bad() {
    let dir = tempfile::tempdir().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(dir.path());
    config.web.listen = vec![other.local_addr().unwrap()];
    let (verdict, text) = verdict(&examine(&config), "web");
    assert_eq!(verdict, Verdict::Bad);
    assert!(text.contains("ss -ltnp"), "{text}");
}

#[test]
fn a_port_whose_adapter_is_gone_is_bad() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    fs::create_dir(dir.path().join("serial")).unwrap();
    std::os::unix::fs::symlink("../../ttyUSB7", dir.path().join("serial/usb-FTDI")).unwrap();
    let (verdict, text) = verdict(&examine(&config), "serial");
    assert_eq!(verdict, Verdict::Bad);
    assert!(text.contains("usb-FTDI"), "{text}");
}

#[test]
fn a_bus_without_probes_is_worth_a_look() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    fs::create_dir_all(dir.path().join("w1/w1_bus_master1")).unwrap();
    assert_eq!(verdict(&examine(&config), "1-wire").0, Verdict::Warning);
    fs::create_dir_all(dir.path().join("w1/28-0316a2795caf")).unwrap();
    assert_eq!(verdict(&examine(&config), "1-wire").0, Verdict::Good);
}

#[test]
fn a_database_of_a_newer_version_is_bad_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let path = config.data.dir.join("farm.db");
    drop(Farm::open(&path, Options::default()).unwrap());
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 9_999).unwrap();
    drop(conn);
    let before = fs::read(&path).unwrap();
    let (verdict, text) = verdict(&examine(&config), "database");
    assert_eq!(verdict, Verdict::Bad);
    assert!(text.contains("newer version"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_of_a_newer_version_is_not_to_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let path = config.data.dir.join("farm.db");
    drop(Farm::open(&path, Options::default()).unwrap());
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 9_999).unwrap();
    drop(conn);
    let (verdict, text) = verdict(&examine(&config), "database");
    assert_eq!(verdict, Verdict::Bad);
    assert!(
        text.contains("install that version") && !text.contains("copies"),
        "{text}"
    );
}
