//! `edge-node doctor`: looks at everything that commonly goes wrong on a Pi, and says what to do.
//!
//! It changes nothing but one probe file in the data folder, and may run beside the appliance.

use std::{
    fmt, fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use farm::OpenError;
use rustix::io::Errno;
use serde::Serialize;

use crate::{
    PROGRAM, clock,
    config::{ClockTrust, Config},
    control::Runs,
};

/// How one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Works, with a catch.
    Warning,
    /// Does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to do about it; empty when good.
    pub advice: String,
}

impl Check {
    fn good(name: &'static str, seen: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Good,
            seen: seen.into(),
            advice: String::new(),
        }
    }

    fn warning(name: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Warning,
            seen: seen.into(),
            advice: advice.into(),
        }
    }

    fn bad(name: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Bad,
            seen: seen.into(),
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.verdict {
            Verdict::Good => "ok  ",
            Verdict::Warning => "look",
            Verdict::Bad => "BAD ",
        };
        write!(f, "{mark}  {:<12} {}", self.name, self.seen)?;
        if !self.advice.is_empty() {
            write!(f, "\n                   → {}", self.advice)?;
        }
        Ok(())
    }
}

/// Looks at everything.
pub fn examine(config: &Config) -> Vec<Check> {
    let runs = if program::is_taken(&config.data.dir, PROGRAM) {
        Runs::Yes
    } else {
        Runs::No
    };
    let mut checks = vec![clock_check(config)];
    checks.extend(disk(&config.data.dir));
    checks.push(database(&config.data.dir.join("farm.db")));
    for address in &config.web.listen {
        checks.push(listener("web", *address, runs));
    }
    let mqtt = &config.mqtt;
    for address in mqtt.listen.iter().chain(&mqtt.websocket).chain(&mqtt.tls) {
        checks.push(listener("mqtt", *address, runs));
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

fn disk(dir: &Path) -> Vec<Check> {
    if matches!(fs::metadata(dir), Err(e) if e.kind() == io::ErrorKind::NotFound) {
        return vec![Check::good(
            "disk",
            format!(
                "{} is not there yet: it is made at the first start",
                dir.display()
            ),
        )];
    }
    let probe = dir.join(".doctor");
    let started = Instant::now();
    let written = fs::File::create(&probe).and_then(|file| {
        std::io::Write::write_all(&mut &file, &[0; 4096])?;
        file.sync_all()
    });
    let took = started.elapsed();
    // Only a probe; what matters was measured.
    let _ = fs::remove_file(&probe);
    if let Err(e) = written {
        let seen = format!("{} cannot be written: {e}", dir.display());
        return vec![Check::bad("disk", seen, unwritable(dir, &e)), room(dir)];
    }
    let speed = if took > Duration::from_millis(500) {
        Check::warning(
            "disk",
            format!("one durable write took {} ms", took.as_millis()),
            "the card is slow or worn: use a USB disk or a new card",
        )
    } else {
        Check::good(
            "disk",
            format!(
                "one durable write took {:.1} ms",
                took.as_secs_f64() * 1000.0
            ),
        )
    };
    vec![speed, room(dir)]
}

/// What to do about a folder that cannot be written.
fn unwritable(dir: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => {
            "free some space on this disk: nothing more is stored until then".to_owned()
        }
        io::ErrorKind::ReadOnlyFilesystem => format!(
            "the card or disk failed, or is write-protected; look at: sudo dmesg | tail; findmnt -T {}",
            dir.display()
        ),
        io::ErrorKind::NotADirectory => "it is a file: choose another data.dir".to_owned(),
        _ => format!(
            "sudo chown -R khamar: {0}; sudo chmod 750 {0}",
            dir.display()
        ),
    }
}

fn room(dir: &Path) -> Check {
    match rustix::fs::statvfs(dir) {
        Ok(stat) => {
            let (free, all) = (
                stat.f_bavail * stat.f_frsize / 1_000_000,
                stat.f_blocks * stat.f_frsize / 1_000_000,
            );
            let seen = format!("{free} MB free of {all} MB");
            match free {
                0..500 => Check::bad(
                    "room",
                    seen,
                    "free at least 500 MB, or keep less: the Settings page, and data.copies",
                ),
                500..2000 => Check::warning(
                    "room",
                    seen,
                    "keep 2 GB free: keep less (Settings page), or use a larger disk",
                ),
                _ => Check::good("room", seen),
            }
        }
        Err(e) => Check::bad(
            "room",
            format!("{}: {e}", dir.display()),
            "check that the disk is mounted",
        ),
    }
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

fn listener(name: &'static str, address: SocketAddr, runs: Runs) -> Check {
    let reach = if address.ip().is_unspecified() {
        SocketAddr::from(([127, 0, 0, 1], address.port()))
    } else {
        address
    };
    let answers = TcpStream::connect_timeout(&reach, Duration::from_secs(1)).is_ok();
    match (runs, answers) {
        (Runs::Yes, true) => Check::good(name, format!("{address} answers")),
        (Runs::Yes, false) => Check::bad(
            name,
            format!("{address} does not answer though the appliance runs"),
            "sudo journalctl -u edge-node -n 50",
        ),
        (Runs::No, _) => match TcpListener::bind(address) {
            Ok(_) => Check::good(name, format!("{address} is free")),
            Err(e) => Check::bad(
                name,
                format!("{address} cannot be used: {e}"),
                format!(
                    "find who has it with: sudo ss -ltnp 'sport = :{}'",
                    address.port()
                ),
            ),
        },
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
    fn a_disk_that_is_full_or_failed_is_no_matter_of_owners() {
        for (errno, advice) in [
            (Errno::NOSPC, "free some space"),
            (Errno::ROFS, "dmesg"),
            (Errno::ACCESS, "chown"),
        ] {
            let told = unwritable(Path::new("/data"), &errno.into());
            assert!(told.contains(advice), "{told}");
        }
    }

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
