//! Serial ports: which there are, and how one is opened.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use farm_model::device::{Parity, SerialLine};
use tokio_serial::{DataBits, SerialStream, StopBits};

use crate::Settings;

/// Folder in which udev names adapters by maker and serial number: names that survive replugging.
const BY_ID: &str = "/dev/serial/by-id";
/// Beginnings of names in `/dev` that are serial ports on a Pi or a PC with USB adapters.
const NAMES: [&str; 5] = ["ttyUSB", "ttyACM", "ttyAMA", "ttySC", "serial"];

/// Paths that may be serial ports, stable names first: what udev names by identity, adapters and the Pi's own ports in
/// `/dev`, and what the operator's settings add.
pub fn list_ports(settings: &Settings) -> Vec<PathBuf> {
    let mut ports: Vec<PathBuf> = Vec::new();
    let mut targets = BTreeSet::new();
    let found = entries(Path::new(BY_ID), |_| true)
        .into_iter()
        .chain(settings.port_paths.iter().filter(|p| p.exists()).cloned())
        .chain(settings.port_dirs.iter().flat_map(|d| entries(d, |_| true)))
        .chain(entries(Path::new("/dev"), |name| {
            NAMES.iter().any(|prefix| {
                name.strip_prefix(prefix)
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            })
        }));
    for port in found {
        // One adapter has several names; the first, most stable one is offered.
        let target = fs::canonicalize(&port).unwrap_or_else(|_| port.clone());
        if targets.insert(target) {
            ports.push(port);
        }
    }
    ports
}

fn entries(dir: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .flatten()
        .filter(|e| e.file_name().to_str().is_some_and(&wanted))
        .map(|e| e.path())
        .filter(|p| !p.is_dir())
        .collect();
    paths.sort();
    paths
}

/// Opens `port` for this process alone.
///
/// # Errors
/// When the port is not there, is in use, or may not be opened by this user.
pub(crate) fn open(port: &str, line: SerialLine) -> io::Result<SerialStream> {
    let parity = match line.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let stop_bits = if line.stop_bits == 2 {
        StopBits::Two
    } else {
        StopBits::One
    };
    let builder = tokio_serial::new(port, line.baud)
        .data_bits(DataBits::Eight)
        .parity(parity)
        .stop_bits(stop_bits);
    SerialStream::open(&builder).map_err(|error| match io::Error::from(error) {
        error if error.kind() == io::ErrorKind::NotFound && Path::new(port).exists() => {
            // A port that another process holds is reported as if there were none.
            io::Error::new(io::ErrorKind::ResourceBusy, error)
        }
        error => error,
    })
}

/// The key under which a failure to open or use a port is counted.
pub(crate) fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "port_missing",
        io::ErrorKind::PermissionDenied => "port_denied",
        io::ErrorKind::ResourceBusy => "port_busy",
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => "unreachable",
        _ => "port_gone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_with_two_names_is_offered_once() {
        let dir = tempfile::tempdir().unwrap();
        let tty = dir.path().join("tty");
        fs::write(&tty, "").unwrap();
        std::os::unix::fs::symlink(&tty, dir.path().join("usb-Maker_Adapter")).unwrap();
        let settings = Settings {
            port_paths: vec![tty.clone(), dir.path().join("absent")],
            port_dirs: vec![dir.path().to_owned()],
            ..Settings::default()
        };
        let ours: Vec<_> = list_ports(&settings)
            .into_iter()
            .filter(|p| p.starts_with(dir.path()))
            .collect();
        assert_eq!(ours, [tty]);
    }
}
