//! What commonly goes wrong around a program, whichever it is: its disk, its addresses; and how it is said.
//!
//! Looking changes nothing but one probe file in the data folder.

use std::{
    fmt, fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::Runs;

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
    /// As it should be.
    pub fn good(name: &'static str, seen: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Good,
            seen: seen.into(),
            advice: String::new(),
        }
    }

    /// Works, with a catch.
    pub fn warning(name: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Warning,
            seen: seen.into(),
            advice: advice.into(),
        }
    }

    /// Does not work.
    pub fn bad(name: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
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

/// Writes what was found, a line or a JSON object each.
///
/// # Errors
/// When something is bad, or the output cannot be written.
pub fn report(checks: &[Check], json: bool, out: &mut impl io::Write) -> anyhow::Result<()> {
    for check in checks {
        if json {
            writeln!(out, "{}", serde_json::to_string(check)?)?;
        } else {
            writeln!(out, "{check}")?;
        }
    }
    anyhow::ensure!(
        checks.iter().all(|c| c.verdict != Verdict::Bad),
        "something needs attention"
    );
    Ok(())
}

/// How a program is installed, for advice.
#[derive(Clone, Copy, Debug)]
pub struct Installed {
    /// The user that it runs as.
    pub user: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// How it is made to keep less.
    pub keep_less: &'static str,
}

/// The data folder: whether it can be written, how fast, and how much room there is.
pub fn disk(dir: &Path, installed: Installed) -> Vec<Check> {
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
        io::Write::write_all(&mut &file, &[0; 4096])?;
        file.sync_all()
    });
    let took = started.elapsed();
    // Only a probe; what matters was measured.
    let _ = fs::remove_file(&probe);
    if let Err(e) = written {
        let seen = format!("{} cannot be written: {e}", dir.display());
        let advice = unwritable(dir, &e, installed.user);
        return vec![Check::bad("disk", seen, advice), room(dir, installed)];
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
    vec![speed, room(dir, installed)]
}

/// What to do about a folder that cannot be written.
fn unwritable(dir: &Path, error: &io::Error, user: &str) -> String {
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
            "sudo chown -R {user}: {0}; sudo chmod 750 {0}",
            dir.display()
        ),
    }
}

fn room(dir: &Path, installed: Installed) -> Check {
    match rustix::fs::statvfs(dir) {
        Ok(stat) => {
            let (free, all) = (
                stat.f_bavail * stat.f_frsize / 1_000_000,
                stat.f_blocks * stat.f_frsize / 1_000_000,
            );
            let seen = format!("{free} MB free of {all} MB");
            let less = installed.keep_less;
            match free {
                0..500 => Check::bad(
                    "room",
                    seen,
                    format!("free at least 500 MB, or keep less: {less}"),
                ),
                500..2000 => Check::warning(
                    "room",
                    seen,
                    format!("keep 2 GB free: keep less ({less}), or use a larger disk"),
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

/// An address that the program listens on: answered while it runs, free while it does not.
pub fn listener(
    name: &'static str,
    address: SocketAddr,
    runs: Runs,
    installed: Installed,
) -> Check {
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
            format!("{address} does not answer though {} runs", installed.unit),
            format!("sudo journalctl -u {} -n 50", installed.unit),
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

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_disk_that_is_full_or_failed_is_no_matter_of_owners() {
        for (errno, advice) in [
            (Errno::NOSPC, "free some space"),
            (Errno::ROFS, "dmesg"),
            (Errno::ACCESS, "chown -R khamar:"),
        ] {
            let told = unwritable(Path::new("/data"), &errno.into(), "khamar");
            assert!(told.contains(advice), "{told}");
        }
    }

    #[test]
    fn what_is_bad_fails_the_whole() {
        let checks = [
            Check::good("one", "fine"),
            Check::bad("two", "broken", "mend it"),
        ];
        let mut said = Vec::new();
        assert!(report(&checks, false, &mut said).is_err());
        let said = String::from_utf8(said).unwrap();
        assert!(
            said.contains("BAD   two") && said.contains("→ mend it"),
            "{said}"
        );
        assert!(report(&checks[..1], true, &mut Vec::new()).is_ok());
    }
}
