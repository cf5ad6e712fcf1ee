//! The life of a device's credentials, with clients that others wrote and an appliance that runs meanwhile.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    client::{Client, secret_in, with},
    machine::{Machine, Running, text},
};

/// A machine with a milk meter in its list, and what a client of each transport must be told.
struct Farm {
    machine: Machine,
    running: Option<Running>,
}

impl Farm {
    fn new() -> Self {
        let machine = Machine::new();
        machine.ok(&["devices", "add", "meter-1", "--kind", "milk_meter"], "");
        let running = Some(machine.start());
        Self { machine, running }
    }

    fn ca(&self) -> String {
        self.machine
            .path("data/ca/authority.pem")
            .display()
            .to_string()
    }

    fn tcp(&self) -> Value {
        json!({ "port": self.running.as_ref().unwrap().mqtt.port(), "client": "c" })
    }

    fn tls(&self) -> Value {
        json!({ "port": self.running.as_ref().unwrap().mqtt_tls.port(), "client": "c", "ca": self.ca() })
    }

    fn websocket(&self) -> Value {
        let port = self.running.as_ref().unwrap().mqtt_websocket.port();
        json!({ "port": port, "client": "c", "transport": "websockets" })
    }

    fn devices(&self, args: &[&str]) -> String {
        self.machine.ok(&[&["devices"], args].concat(), "")
    }

    /// A certificate for `slug` in the folder `name`.
    fn certificate(&self, slug: &str, name: &str) -> Value {
        let folder = self.machine.path(name);
        self.devices(&["certificate", slug, "--to", folder.to_str().unwrap()]);
        json!({
            "cert": folder.join(format!("{slug}.pem")),
            "key": folder.join(format!("{slug}.key")),
        })
    }
}

#[test]
fn a_revoked_device_and_a_revoked_token_are_cut_off_over_every_transport() {
    let farm = Farm::new();
    let secret = secret_in(&farm.devices(&["secret", "meter-1"]));
    let token = farm.machine.ok(
        &["token", "add", "--name", "gateway", "--scope", "observe"],
        "",
    );
    let device = json!({ "user": "meter-1", "secret": secret, "listen": "khamar/node/meter-1/#" });
    let gateway = json!({ "user": "any", "secret": token.trim(), "listen": "farm/#" });
    let by_token = farm.machine.ok(&["token", "list"], "");
    let id = by_token.split_whitespace().next().unwrap();
    let revocations: [(&Value, &[&str]); 2] = [
        (&device, &["devices", "revoke", "meter-1"]),
        (&gateway, &["token", "revoke", id]),
    ];
    for (who, revoke) in revocations {
        let transports = [farm.tcp(), farm.tls(), farm.websocket()];
        let mut inside: Vec<Client> = transports
            .iter()
            .enumerate()
            .map(|(n, told)| {
                let told = with(&with(told, who), &json!({ "client": format!("c{n}") }));
                Client::start("hold", &told)
            })
            .collect();
        for client in &mut inside {
            assert_eq!(client.line(), "in");
        }
        farm.machine.ok(revoke, "");
        for client in &mut inside {
            assert_eq!(client.line(), "out", "{revoke:?}");
        }
        for told in &transports {
            assert_eq!(Client::tries(&with(told, who)), "refused 4", "{revoke:?}");
        }
    }
    let again = secret_in(&farm.devices(&["secret", "meter-1"]));
    let again = json!({ "user": "meter-1", "secret": again });
    assert_eq!(Client::tries(&with(&farm.tls(), &again)), "in");
    let wrong = json!({ "user": "meter-1", "secret": secret });
    assert_eq!(Client::tries(&with(&farm.tls(), &wrong)), "refused 4");
    let nobody = json!({ "user": "meter-1" });
    assert_eq!(Client::tries(&with(&farm.tcp(), &nobody)), "refused 5");
    let log = farm.running.unwrap().end();
    for hidden in [&secret, token.trim(), again["secret"].as_str().unwrap()] {
        assert!(!log.contains(hidden), "a secret stands in the log");
    }
}

#[test]
fn a_certificate_lets_its_device_in_until_it_is_revoked_or_expires() {
    let mut farm = Farm::new();
    let first = farm.certificate("meter-1", "first");
    let key = Path::new(first["key"].as_str().unwrap());
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Client::tries(&with(&farm.tls(), &first)), "in");
    // Whoever shows a certificate is who it says, whatever name is given besides.
    let liar = json!({ "user": "meter-2", "secret": "x" });
    assert_eq!(
        Client::tries(&with(&with(&farm.tls(), &first), &liar)),
        "in"
    );

    let other = Farm::new();
    let strange = other.certificate("meter-1", "strange");
    assert_eq!(Client::tries(&with(&farm.tls(), &strange)), "no TLS");

    let shown = farm.devices(&["show", "meter-1"]);
    let number = shown
        .lines()
        .find_map(|line| line.strip_prefix("certificate "))
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap()
        .to_owned();
    let listens = json!({ "listen": "khamar/node/meter-1/down" });
    let mut inside = Client::start("hold", &with(&with(&farm.tls(), &first), &listens));
    assert_eq!(inside.line(), "in");
    farm.devices(&["revoke", "meter-1", "--certificate", &number]);
    assert_eq!(inside.line(), "out");
    assert_eq!(Client::tries(&with(&farm.tls(), &first)), "refused 5");

    let second = farm.certificate("meter-1", "second");
    assert_eq!(Client::tries(&with(&farm.tls(), &second)), "in");
    farm.running.take().unwrap().end();
    // Ten years later, by a clock that is believed.
    let path = farm.machine.path("khamar.toml");
    let config = fs::read_to_string(&path).unwrap();
    let later = "[clock]\nsimulated_start_ms = 2110000000000\nsimulated_rate = 1.0\n";
    fs::write(
        &path,
        config.replace("[clock]\ntrust = \"system\"\n", later),
    )
    .unwrap();
    farm.running = Some(farm.machine.start());
    // This machine's own certificate is of that time, too.
    let mut told = with(&farm.tls(), &second);
    told.as_object_mut().unwrap().remove("ca");
    assert_eq!(
        Client::tries(&with(&told, &json!({ "insecure": true }))),
        "refused 5"
    );
    assert!(farm.devices(&["show", "meter-1"]).contains("expired"));
}

#[test]
fn a_device_renews_its_certificate_over_its_own_connection() {
    let farm = Farm::new();
    let secret = secret_in(&farm.devices(&["secret", "meter-1"]));
    let folder = json!({ "folder": farm.machine.dir.path(), "user": "meter-1", "secret": secret });
    let mut device = Client::start("renew", &with(&farm.tls(), &folder));
    assert_eq!(device.line(), "in");
    let request = farm.machine.path("own.csr");
    let to = farm.machine.path("signed");
    let args = ["certificate", "meter-1", "--to", to.to_str().unwrap()];
    let printed = farm.devices(&[&args[..], &["--request", request.to_str().unwrap()]].concat());
    assert!(!printed.contains(".key"), "{printed}");
    assert!(!to.join("meter-1.key").exists());
}

#[test]
fn a_device_joins_by_the_code_on_its_sticker() {
    let farm = Farm::new();
    let told = json!({ "serial": "KM-0042", "code": "7K3M-9QXT-2FHB", "ca_to": farm.machine.path("told-ca.pem") });
    let mut device = Client::start("join", &with(&farm.tcp(), &told));
    assert_eq!(device.line(), "asked");
    let joining = farm.devices(&["joining"]);
    assert!(
        joining.starts_with("KM-0042 ") && joining.contains("milk_meter"),
        "{joining}"
    );
    let approve = ["devices", "approve", "meter-9", "--kind", "milk_meter"];
    let wrong = farm.machine.fails(&approve, "7K3M-9QXT-2FHC\n");
    assert!(wrong.contains("no waiting device has this code"), "{wrong}");
    let nonsense = farm.machine.fails(&approve, "moo\n");
    assert!(nonsense.contains("12 letters and digits"), "{nonsense}");
    farm.machine.ok(&approve, "7k3m 9qxt 2fhb\n");
    let said = device.line();
    let words: Vec<&str> = said.split(' ').collect();
    assert_eq!(words[..2], ["joined", "meter-9"], "{said}");
    let shown = farm.devices(&["show", "meter-9"]);
    assert!(shown.contains("serial        KM-0042"), "{shown}");
    assert!(farm.devices(&["joining"]).starts_with("no device asks"));
    let log = farm.running.unwrap().end();
    for hidden in [words[2], words[3], "7K3M9QXT2FHB"] {
        assert!(!log.contains(hidden), "a secret stands in the log");
    }
}

#[test]
fn orders_are_for_the_appliances_own_user_and_say_what_is_wrong() {
    let mut farm = Farm::new();
    let socket = farm.machine.path("data/control.sock");
    assert_eq!(
        socket.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    let fails = |args: &[&str]| farm.machine.fails(&[&["devices"], args].concat(), "");
    for (args, complaint) in [
        (&["secret", "nobody"][..], "no device is called nobody"),
        (&["frame-key", "nobody"], "no device is called nobody"),
        (&["revoke", "nobody"], "no device is called nobody"),
        (&["show", "nobody"], "no device is called nobody"),
        (
            &["certificate", "nobody", "--to", "."],
            "no device is called nobody",
        ),
        (&["revoke", "meter-1"], "nothing to revoke"),
        (
            &["revoke", "meter-1", "--certificate", "ab"],
            "no certificate ab",
        ),
        (
            &["add", "meter-1", "--kind", "collar"],
            "is called meter-1 already",
        ),
        (
            &["add", "Meter 2", "--kind", "collar"],
            "lower-case letters",
        ),
        (
            &["add", "m2", "--kind", "collar", "--place", "tank/9"],
            "there is no place",
        ),
        (&["approve", "m2", "--known"], "12 letters and digits"),
    ] {
        let said = fails(args);
        assert!(said.contains(complaint), "{args:?}: {said}");
    }
    let running = farm.devices(&["frame-key", "meter-1"]);
    farm.running.take().unwrap().end();
    assert!(!socket.exists());
    let stopped = farm.devices(&["frame-key", "meter-1"]);
    for printed in [running, stopped] {
        assert!(printed.starts_with("frame key  "), "{printed}");
    }
    let usage = farm
        .machine
        .run(&["devices", "add", "m3", "--kind", "cow"], "");
    assert!(text(&usage.stderr).contains("milk_meter"), "{usage:?}");
}

/// Says an order into the socket, and prints the answer; nothing when it was not heard.
const ORDER: &str = r#"
import os, socket, sys
os.setuid(int(sys.argv[2]))
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
try:
    line.sendall(b"{}\n")
    print(line.recv(100).decode())
except (BrokenPipeError, ConnectionResetError):
    print()
"#;

#[test]
fn an_order_of_another_user_is_not_heard_even_where_the_file_would_let_it_in() {
    let farm = Farm::new();
    let socket = farm.machine.path("data/control.sock");
    let order = |uid: u32| {
        let said = Command::new("/usr/bin/python3")
            .args(["-c", ORDER, socket.to_str().unwrap(), &uid.to_string()])
            .output()
            .unwrap();
        (text(&said.stdout).trim().to_owned(), text(&said.stderr))
    };
    let own = socket.metadata().unwrap().uid();
    let (answer, said) = order(own);
    assert!(
        answer.contains("does not know this order"),
        "{answer} {said}"
    );
    const NOBODY: u32 = 65_534;
    let (answer, said) = order(NOBODY);
    assert_eq!(answer, "");
    // Only root can become another user; whoever is not cannot even try.
    assert!(said.contains("PermissionError"), "{said}");
    if own == 0 {
        for folder in [farm.machine.dir.path(), &farm.machine.path("data")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
        }
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(order(NOBODY), (String::new(), String::new()));
        let log = farm.running.unwrap().end();
        assert!(log.contains("another user of this machine"), "{log}");
    }
}
