//! Takes the cr-sqlite library for the target out of a registry crate, checks its hash, and leaves it in `OUT_DIR` to be embedded.
//!
//! The library comes in `klukai-types`, which is never compiled: only its unpacked source is read. Invariant: bytes that are not exactly
//! those that were measured and tested stop the build with what to do.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

/// The registry crate that carries the libraries, and its version.
const CARRIER: (&str, &str) = ("klukai-types", "0.4.0");

/// What to say when the library cannot be had.
const ADVICE: &str = "connect once and run `cargo info klukai-types@0.4.0`, which fetches and unpacks it, or set CRSQLITE_EXTENSION to \
                      the path of the same library";

/// File name and SHA-256 of the library for a target's architecture.
fn library(arch: &str) -> Option<(&'static str, &'static str)> {
    match arch {
        "x86_64" => Some((
            "crsqlite-linux-x86_64.so",
            "06e14e294c05db8c2488d6afc6c0f04010a39c01d9511abb3b5a3650bd952545",
        )),
        "aarch64" => Some((
            "crsqlite-linux-aarch64.so",
            "edb6b16eec78698f82e910cd096cf94f768ee13ab2839968f68f37552e998aff",
        )),
        _ => None,
    }
}

fn main() {
    println!("cargo::rerun-if-env-changed=CRSQLITE_EXTENSION");
    println!("cargo::rerun-if-changed=build.rs");
    if let Err(message) = embed() {
        println!("cargo::error={message}");
    }
}

fn embed() -> Result<(), String> {
    let arch = env::var("CARGO_CFG_TARGET_ARCH").map_err(|e| e.to_string())?;
    let system = env::var("CARGO_CFG_TARGET_OS").map_err(|e| e.to_string())?;
    let (name, hash) = library(&arch)
        .filter(|_| system == "linux")
        .ok_or_else(|| {
            format!("cr-sqlite is not built for {arch} on {system}: use Linux on x86_64 or aarch64")
        })?;
    let path = match env::var_os("CRSQLITE_EXTENSION") {
        Some(path) => PathBuf::from(path),
        None => unpacked()?.join(name),
    };
    println!("cargo::rerun-if-changed={}", path.display());
    let bytes = fs::read(&path).map_err(|e| {
        format!(
            "cannot read the cr-sqlite library {}: {e}; {ADVICE}",
            path.display()
        )
    })?;
    let found: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if found != hash {
        return Err(format!(
            "{} is not the cr-sqlite library for {arch} that was tested: its SHA-256 is {found}, not {hash}; remove it, then {ADVICE}",
            path.display()
        ));
    }
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(Path::new(&out).join("crsqlite.so"), bytes)
        .map_err(|e| format!("cannot write to OUT_DIR: {e}"))
}

/// The folder of the carrier's unpacked source; fetched if it is not there yet.
fn unpacked() -> Result<PathBuf, String> {
    let home = cargo_home()?;
    if let Some(folder) = find(&home) {
        return Ok(folder);
    }
    let (name, version) = CARRIER;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Outside of any workspace, so that cargo asks the registry and not our lock file.
    let fetched = Command::new(cargo)
        .args(["info", "--quiet", &format!("{name}@{version}")])
        .current_dir(&home)
        .output();
    match fetched {
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
            Err(format!(
                "{name} {version}, which carries the cr-sqlite library, could not be fetched ({}); {ADVICE}",
                said.trim()
            ))
        }
        Err(error) => Err(format!(
            "cargo could not be started to fetch {name} {version}: {error}; {ADVICE}"
        )),
        Ok(_) => find(&home)
            .ok_or_else(|| format!("{name} {version} was fetched but not unpacked; {ADVICE}")),
    }
}

fn cargo_home() -> Result<PathBuf, String> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::var_os("HOME").ok_or("neither CARGO_HOME nor HOME is set")?;
    Ok(Path::new(&home).join(".cargo"))
}

fn find(home: &Path) -> Option<PathBuf> {
    let (name, version) = CARRIER;
    let registries = fs::read_dir(home.join("registry/src")).ok()?;
    registries
        .flatten()
        .map(|registry| registry.path().join(format!("{name}-{version}")))
        .find(|folder| folder.is_dir())
}
