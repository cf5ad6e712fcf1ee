//! The program as a child process: it says where everything is, obeys orders, writes the truth, and ends when told to.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Instant,
};

use crate::common::DEADLINE;

#[test]
fn the_program_runs_obeys_and_ends_with_its_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let truth = dir.path().join("truth.jsonl");
    let mut child = Command::new(env!("CARGO_BIN_EXE_virtual-farm"))
        .arg("--dir")
        .arg(dir.path())
        .arg("--truth")
        .arg(&truth)
        .args([
            "--speed",
            "600",
            "--start",
            "2026-11-20T05:00:00+06:00",
            "--until-stdin-closes",
            "--fault",
            "sick-cow:101+2d",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(ready["readers"].as_array().unwrap().len(), 8);
    let port = dir.path().join("tty/reader-8");
    assert!(port.exists() && dir.path().join("farm.json").exists());

    let mut orders = child.stdin.take().unwrap();
    orders.write_all(b"vanish-port:reader-8\n").unwrap();
    wait_until("the port is gone", || !port.is_symlink());
    std::fs::write(dir.path().join("control"), "clear\n").unwrap();
    wait_until("the port is back", || port.exists());

    let lines = || std::fs::read_to_string(&truth).unwrap_or_default();
    wait_until("milkings are written", || lines().lines().count() >= 4);
    let milking: serde_json::Value = serde_json::from_str(lines().lines().next().unwrap()).unwrap();
    assert_eq!(
        milking["session"],
        serde_json::json!({ "date": "2026-11-20", "number": 1 })
    );
    assert!(
        milking["yield_ml"].as_i64().unwrap() > 0
            && milking["end"].as_i64() > milking["start"].as_i64()
    );

    drop(orders);
    wait_until("the program has ended", || {
        child.try_wait().unwrap().is_some()
    });
    assert!(child.wait().unwrap().success());
    assert!(!port.is_symlink());
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::yield_now();
    }
}
