//! `edge-node doctor`: looks at everything that commonly goes wrong on a Pi, and says what to do.
//!
//! It changes nothing but one probe file in the data folder, and may run beside the appliance.

use std::{
    fs,
    path::{Path, PathBuf},
};

use farm::OpenError;
pub use program::doctor::{Check, Verdict};
use program::{
    Runs,
    doctor::{Installed, disk, listener},
};
use rustix::io::Errno;

use crate::{
    PROGRAM, clock,
    config::{ClockTrust, Config},
};

/// For advice.
const INSTALLED: Installed = Installed {
    user: "khamar",
    unit: PROGRAM,
    keep_less: "the Settings page, and data.copies",
};

/// Looks at everything.
pub fn examine(config: &Config) -> Vec<Check> {
    let runs = Runs::on(&config.data.dir, PROGRAM);
    let mut checks = vec![clock_check(config)];
    checks.extend(disk(&config.data.dir, INSTALLED));
    checks.push(database(&config.data.dir.join("farm.db")));
    for address in &config.web.listen {
        checks.push(listener("web", *address, runs, INSTALLED));
    }
    let mqtt = &config.mqtt;
    for address in mqtt.listen.iter().chain(&mqtt.websocket).chain(&mqtt.tls) {
        checks.push(listener("mqtt", *address, runs, INSTALLED));
    }
    checks.push(serial(&config.serial.dirs));
    checks.push(onewire(&config.onewire.root));
    checks.extend(power());
    checks
}

fn clock_check(config: &Config) -> Check {
    let now = jiff::Zoned::now();
    let shown = now.strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    if config.clock.simulated().is_some() {
        return Check::warning(
            "clock",
            "simulated",
            "set clock.simulated_rate to 0 on a farm",
        );
    }
    if clock::quality(config.clock.trust).is_trusted() {
        let why = if config.clock.trust == ClockTrust::System {
            "trusted by configuration"
        } else {
            "synchronised"
        };
        return Check::good("clock", format!("{shown}, {why}"));
    }
    Check::warning(
        "clock",
        format!("{shown}, not synchronised"),
        "withdrawal holds will not end until it is: connect a network with NTP, or fit a clock battery and set clock.trust = \"system\"",
    )
}

fn database(path: &Path) -> Check {
    if !path.exists() {
        return Check::good("database", "none yet: it is made at the first start");
    }
    match farm::backup::check(path) {
        Ok(sound) => Check::good("database", format!("sound, {} MB", sound.bytes / 1_000_000)),
        Err(e) => {
            let advice = match e {
                OpenError::Newer { .. } => "install that version: this one is older than the file",
                OpenError::NotAFarm { .. } => {
                    "choose another data.dir, or move that file out of the way"
                }
                _ => {
                    "stop the appliance, keep the file, and put back the newest of the copies/ folder"
                }
            };
            Check::bad("database", e.to_string(), advice)
        }
    }
}

fn serial(dirs: &[PathBuf]) -> Check {
    use rustix::fs::{Access, access};
    let ports: Vec<_> = dirs
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten()
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .map(|port| {
            let usable = access(&port, Access::READ_OK | Access::WRITE_OK);
            (port.display().to_string(), usable)
        })
        .collect();
    if ports.is_empty() {
        let looked: Vec<_> = dirs.iter().map(|d| d.display().to_string()).collect();
        return Check::good("serial", format!("no port in {}", looked.join(", ")));
    }
    ports_check(&ports)
}

/// What is to be done about ports, each with what came of asking for it.
fn ports_check(ports: &[(String, Result<(), Errno>)]) -> Check {
    let which = |gone: bool| {
        let failed = ports
            .iter()
            .filter(|(_, asked)| asked.is_err_and(|e| (e == Errno::NOENT) == gone));
        failed.map(|(port, _)| port.as_str()).collect::<Vec<_>>()
    };
    let (gone, refused) = (which(true), which(false));
    if !refused.is_empty() {
        return Check::bad(
            "serial",
            format!("not permitted: {}", refused.join(", ")),
            "sudo usermod -aG dialout khamar, then restart the appliance",
        );
    }
    if !gone.is_empty() {
        return Check::bad(
            "serial",
            format!("the adapter is gone: {}", gone.join(", ")),
            "plug it in again, in another socket if need be, and look at: sudo dmesg | tail",
        );
    }
    Check::good("serial", format!("{} ports, all usable", ports.len()))
}

fn onewire(root: &Path) -> Check {
    let Ok(entries) = fs::read_dir(root) else {
        return Check::good(
            "1-wire",
            format!(
                "{} is not there; for DS18B20 probes add dtoverlay=w1-gpio to /boot/firmware/config.txt",
                root.display()
            ),
        );
    };
    let probes = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            ["10-", "22-", "28-", "3b-", "3B-", "42-"]
                .iter()
                .any(|family| name.starts_with(family))
        })
        .count();
    if probes == 0 {
        Check::warning(
            "1-wire",
            "the bus is there, no probe answers",
            "check the 4.7 kΩ resistor between data and 3.3 V, and the wiring",
        )
    } else {
        Check::good("1-wire", format!("{probes} probes"))
    }
}

/// The Pi's own complaint about its power supply, where there is one to ask.
fn power() -> Option<Check> {
    let out = std::process::Command::new("vcgencmd")
        .arg("get_throttled")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let flags = u32::from_str_radix(text.trim().strip_prefix("throttled=0x")?, 16).ok()?;
    Some(match flags {
        0 => Check::good("power", "never too low"),
        f if f & 1 != 0 => Check::bad(
            "power",
            "the voltage is too low now",
            "use the Pi's own power supply and a short cable",
        ),
        _ => Check::warning(
            "power",
            "the voltage has been too low since the start",
            "use the Pi's own power supply and a short cable",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.dir = dir.path().join("khamar");
        examine(&config);
        assert!(!config.data.dir.exists());
    }

    #[test]
    fn a_port_that_may_not_be_used_says_which_group_to_join() {
        let ports = [
            ("usb-a".to_owned(), Ok(())),
            ("usb-b".to_owned(), Err(Errno::ACCESS)),
        ];
        let check = ports_check(&ports);
        assert_eq!(check.verdict, Verdict::Bad);
        assert_eq!(check.seen, "not permitted: usb-b");
        assert!(check.advice.contains("dialout"));
    }
}
