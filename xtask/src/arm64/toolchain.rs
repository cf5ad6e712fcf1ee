//! A Rust compiler that can write for the Raspberry Pi's processor, on a PC.
//!
//! The machine's own is used when it has the target (`rustup target add`). Else Debian's `rustc-web` and the ARM64 standard
//! library of the same version are fetched and unpacked below the target folder. Invariant: nothing of Rust is installed
//! and apt's own lists stay as they are, so rustup's compiler and Debian's never meet.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};

use super::TARGET;
use crate::{
    debian::{self, Need},
    process::{run, said, target_dir},
};

/// What the cross build and the trial need besides Rust; each lies beside the machine's own without a conflict.
const NEEDS: &[Need] = &[
    Need {
        file: "/usr/bin/aarch64-linux-gnu-gcc",
        package: "gcc-aarch64-linux-gnu",
    },
    Need {
        file: "/usr/aarch64-linux-gnu/include/stdio.h",
        package: "libc6-dev-arm64-cross",
    },
    Need {
        file: "/usr/bin/qemu-aarch64",
        package: "qemu-user",
    },
];

/// What to do where Debian's packages are not to be had.
const BY_HAND: &str = "no ARM64 standard library from Debian's packages; with rustup, run:\n\n  \
     rustup target add aarch64-unknown-linux-gnu\n";

/// A compiler and what it links with.
pub(crate) enum Toolchain {
    /// The machine's own has the target.
    Own,
    /// Debian's, unpacked in this folder.
    Unpacked(PathBuf),
}

impl Toolchain {
    /// Finds or fetches one, and installs the C compiler and the emulator where that is allowed.
    pub(crate) fn obtain() -> anyhow::Result<Self> {
        ensure!(
            env::consts::ARCH == "x86_64",
            "this builds for ARM64 on x86_64; on the Pi itself run: cargo build --release --package edge-node"
        );
        debian::ensure(NEEDS)?;
        if knows_target(&mut Command::new("rustc"))? {
            return Ok(Self::Own);
        }
        let home = target_dir().join("arm64-toolchain");
        let debians = Self::Unpacked(home.clone());
        if !home.exists() {
            fetch(&home).context(BY_HAND)?;
        }
        ensure!(
            knows_target(debians.lend(&mut Command::new(rustc(&home))))?,
            "{} is not whole: delete it and run this again",
            home.display()
        );
        Ok(debians)
    }

    /// What to call it when speaking to a person.
    pub(crate) fn name(&self) -> anyhow::Result<String> {
        match self {
            Self::Own => said(Command::new("rustc").arg("--version")),
            Self::Unpacked(home) => said(self.lend(Command::new(rustc(home)).arg("--version"))),
        }
    }

    /// Makes `command`, cargo or the compiler, use this toolchain.
    pub(crate) fn lend<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Self::Unpacked(home) = self {
            command
                .env("RUSTC", rustc(home))
                .env("LD_LIBRARY_PATH", home.join("usr/lib/x86_64-linux-gnu"));
        }
        command
            .env("CC_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-gcc")
            .env(
                "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
                "aarch64-linux-gnu-gcc",
            )
    }
}

fn rustc(home: &Path) -> PathBuf {
    home.join("usr/bin/rustc")
}

/// Whether this compiler has the standard library of the target.
fn knows_target(rustc: &mut Command) -> anyhow::Result<bool> {
    let folder = said(rustc.args(["--print", "target-libdir", "--target", TARGET]))?;
    Ok(Path::new(&folder).exists())
}

/// Fetches Debian's compiler and both standard libraries and unpacks them as `home`: whole or not at all.
fn fetch(home: &Path) -> anyhow::Result<()> {
    let work = home.with_extension("part");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    let (debs, root) = (work.join("debs"), work.join("root"));
    for folder in [&debs.join("partial"), &work.join("lists/partial"), &root] {
        fs::create_dir_all(folder)?;
    }
    eprintln!(
        "fetching a compiler for {TARGET} from Debian's packages into {}",
        home.display()
    );
    run(apt(&work).arg("update"))?;
    run(apt(&work).args([
        "install",
        "--download-only",
        "--yes",
        "--no-install-recommends",
        "rustc-web",
    ]))?;
    let Some(compiler) = packages(&debs)?.into_iter().find(|deb| {
        deb.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("rustc-web_"))
    }) else {
        bail!(
            "rustc-web is installed on this machine; give it the target with:\n\n  sudo dpkg --add-architecture arm64 && \
             sudo apt-get update && sudo apt-get install libstd-rust-web-dev:arm64\n"
        );
    };
    let version = said(
        Command::new("dpkg-deb")
            .arg("--field")
            .arg(compiler)
            .arg("Version"),
    )?;
    run(apt(&work)
        .arg("download")
        .arg(format!("libstd-rust-web-dev:arm64={version}")))?;
    for deb in packages(&debs)? {
        run(Command::new("dpkg-deb")
            .arg("--extract")
            .arg(deb)
            .arg(&root))?;
    }
    fs::rename(&root, home)?;
    fs::remove_dir_all(&work)?;
    Ok(())
}

/// apt-get with the machine's sources and lists of its own, which know both processors; asks for no privilege.
fn apt(work: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").current_dir(work.join("debs"));
    let own = |key: &str, folder: &str| format!("{key}={}/", work.join(folder).display());
    for option in [
        own("Dir::State::Lists", "lists"),
        own("Dir::Cache", "."),
        own("Dir::Cache::Archives", "debs"),
        "APT::Architectures=amd64,arm64".to_owned(),
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        "Debug::NoLocking=true".to_owned(),
    ] {
        command.arg("--option").arg(option);
    }
    command
}

fn packages(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "deb") {
            found.push(path);
        }
    }
    Ok(found)
}
