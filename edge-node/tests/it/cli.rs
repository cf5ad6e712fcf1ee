//! The command line, as an operator uses it: the real program in a temporary folder.

use std::fs;

use crate::machine::{Machine, text};

#[test]
fn check_config_names_the_line_and_the_nearest_key() {
    let machine = Machine::new();
    assert_eq!(
        machine.ok(&["check-config"], ""),
        "the configuration is good\n"
    );
    fs::write(machine.path("khamar.toml"), "[web]\nlissten = []\n").unwrap();
    let complaint = machine.fails(&["check-config"], "");
    assert!(
        complaint.contains("line 2: unknown key `web.lissten`; did you mean `web.listen`?"),
        "{complaint}"
    );
    let default = machine.ok(&["check-config", "--print-default"], "");
    fs::write(machine.path("khamar.toml"), default).unwrap();
    machine.ok(&["check-config"], "");
}

#[test]
fn staff_come_with_a_pin_from_standard_input() {
    let machine = Machine::new();
    machine.ok(
        &["staff", "add", "--name", "রহিমা", "--role", "owner"],
        "2580\n",
    );
    assert_eq!(machine.ok(&["staff", "list"], ""), "owner    রহিমা\n");
    let complaint = machine.fails(
        &["staff", "add", "--name", "করিম", "--role", "worker"],
        "12\n",
    );
    assert!(complaint.contains("PIN"), "{complaint}");
    assert!(
        !complaint.contains("12\n"),
        "what was typed is not repeated: {complaint}"
    );
}

#[test]
fn a_token_is_shown_once_and_can_be_revoked() {
    let machine = Machine::new();
    let secret = machine.ok(
        &["token", "add", "--name", "gateway", "--scope", "observe"],
        "",
    );
    let list = machine.ok(&["token", "list"], "");
    assert!(
        list.contains("gateway") && !list.contains(secret.trim()),
        "{list}"
    );
    let id = list.split_whitespace().next().unwrap();
    machine.ok(&["token", "revoke", id], "");
    assert!(!machine.ok(&["token", "list"], "").contains("gateway"));
}

#[test]
fn devices_move_from_one_farm_to_another() {
    let (from, to) = (Machine::new(), Machine::new());
    let devices = r#"[{"id": "0193e3a0-0000-7000-8000-000000000001", "slug": "tank-1-probe", "name": "Tank 1", "kind": "temperature_probe",
        "link": {"transport": "one_wire", "rom": "28-0316a2795caf"}, "place": null, "expect_every_s": 60, "enabled": true}]"#;
    fs::write(from.path("devices.json"), devices).unwrap();
    let file = from.path("devices.json");
    from.ok(&["devices", "import", file.to_str().unwrap()], "");
    let exported = from.ok(&["devices", "export"], "");
    let file = to.path("devices.json");
    fs::write(&file, &exported).unwrap();
    for _ in 0..2 {
        // Again is an edit, not a second device.
        to.ok(&["devices", "import", file.to_str().unwrap()], "");
    }
    assert_eq!(
        to.ok(&["devices", "list"], ""),
        from.ok(&["devices", "list"], "")
    );
    assert!(
        to.ok(&["devices", "list"], "")
            .contains("1-wire 28-0316a2795caf")
    );
    fs::write(&file, "[{}]").unwrap();
    let complaint = to.fails(&["devices", "import", file.to_str().unwrap()], "");
    assert!(complaint.contains("no list of devices"), "{complaint}");
}

#[test]
fn a_running_appliance_takes_orders_and_no_second_one_starts() {
    let machine = Machine::new();
    machine.ok(
        &["staff", "add", "--name", "Rahima", "--role", "owner"],
        "739251\n",
    );
    let secret = machine.ok(&["token", "add", "--name", "test", "--scope", "manage"], "");
    let running = machine.start();
    let complaint = machine.fails(&["run"], "");
    assert!(
        complaint.contains("in use by a running edge-node"),
        "{complaint}"
    );
    let karim = ["staff", "add", "--name", "Karim", "--role", "worker"];
    assert_eq!(machine.ok(&karim, "860142\n"), "added\n");
    let complaint = machine.fails(&karim, "860142\n");
    assert!(complaint.contains("called Karim already"), "{complaint}");
    let second = machine.ok(&["token", "add", "--name", "second", "--scope", "read"], "");
    let animals = running.get("/api/v1/animals", Some(second.trim()));
    assert!(animals.starts_with("HTTP/1.1 200"), "{animals}");
    let copy = machine.path("copy.db");
    machine.ok(&["backup", "--to", copy.to_str().unwrap()], "");
    assert!(farm::backup::check(&copy).is_ok());
    let everybody = machine.ok(&["staff", "list"], "");
    assert_eq!(everybody, "worker   Karim\nowner    Rahima\n");

    assert!(running.get("/readyz", None).starts_with("HTTP/1.1 200"));
    let animals = running.get("/api/v1/animals", Some(secret.trim()));
    assert!(animals.starts_with("HTTP/1.1 200"), "{animals}");
    let metrics = running.get("/metrics", Some(secret.trim()));
    assert!(metrics.contains("ingest_waiting"), "{metrics}");
    let log = running.end();
    assert!(!log.contains(secret.trim()), "no token in the log");
    for pin in ["739251", "860142"] {
        assert!(!log.contains(pin), "no PIN in the log");
    }
}

#[test]
fn doctor_says_it_by_its_exit_code_and_as_json() {
    let machine = Machine::new();
    let seen = machine.ok(&["doctor", "--json"], "");
    for line in seen.lines() {
        let check: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            check["name"].is_string() && check["verdict"].is_string(),
            "{line}"
        );
    }
    fs::write(machine.path("data"), "").ok();
    fs::remove_dir_all(machine.path("data")).ok();
    fs::write(machine.path("data"), "a file where the folder should be").unwrap();
    let output = machine.run(&["doctor"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("BAD   disk"),
        "{}",
        text(&output.stdout)
    );
}
