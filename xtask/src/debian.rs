//! What tests and cross builds need of the machine: programs that are not ours, from Debian's packages.

use std::{path::Path, process::Command};

use anyhow::bail;

use crate::process::run;

/// A file that shows that a Debian package is installed.
pub(crate) struct Need {
    pub(crate) file: &'static str,
    pub(crate) package: &'static str,
}

/// All that `cargo xtask test` needs.
pub(crate) const FOR_TESTS: &[Need] = &[
    Need {
        file: "/usr/bin/cc",
        package: "gcc",
    },
    Need {
        file: "/usr/bin/g++",
        package: "g++",
    },
    Need {
        file: "/usr/bin/chromium",
        package: "chromium",
    },
    Need {
        file: "/usr/bin/chromedriver",
        package: "chromium-driver",
    },
    Need {
        file: "/usr/share/fonts/truetype/noto/NotoSansBengali-Regular.ttf",
        package: "fonts-noto-core",
    },
    Need {
        file: "/usr/sbin/mosquitto",
        package: "mosquitto",
    },
    Need {
        file: "/usr/bin/mosquitto_pub",
        package: "mosquitto-clients",
    },
    Need {
        file: "/usr/bin/openssl",
        package: "openssl",
    },
    Need {
        file: "/usr/bin/coap-client-notls",
        package: "libcoap3-bin",
    },
    Need {
        file: "/usr/bin/strace",
        package: "strace",
    },
    Need {
        file: "/usr/bin/faketime",
        package: "faketime",
    },
    Need {
        file: "/usr/sbin/ip",
        package: "iproute2",
    },
    Need {
        file: "/usr/lib/python3/dist-packages/pymodbus",
        package: "python3-pymodbus",
    },
    Need {
        file: "/usr/lib/python3/dist-packages/serial_asyncio",
        package: "python3-serial-asyncio",
    },
    Need {
        file: "/usr/lib/python3/dist-packages/cryptography",
        package: "python3-cryptography",
    },
    Need {
        file: "/usr/lib/python3/dist-packages/paho",
        package: "python3-paho-mqtt",
    },
    Need {
        file: "/usr/lib/python3/dist-packages/prometheus_client",
        package: "python3-prometheus-client",
    },
    Need {
        file: "/usr/lib/python3/dist-packages/serial",
        package: "python3-serial",
    },
];

/// Installs what is missing when root or sudo allows it; else an error says what to install.
pub(crate) fn ensure(needs: &[Need]) -> anyhow::Result<()> {
    let missing: Vec<&str> = needs
        .iter()
        .filter(|n| !Path::new(n.file).exists())
        .map(|n| n.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "sudo apt-get update && sudo apt-get install --no-install-recommends {}",
        missing.join(" ")
    );
    let Some(mut prefix) = privileges() else {
        bail!(
            "this needs programs that are not installed, and installing asks for root. Run:\n\n  {by_hand}\n"
        );
    };
    eprintln!("installing from Debian's packages: {}", missing.join(" "));
    prefix.push("apt-get");
    let apt = |args: &[&str]| {
        let mut command = Command::new(prefix[0]);
        command
            .args(&prefix[1..])
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(&missing);
    // The lists may be fresh already; an update costs more than a first failed try.
    if apt(&install).is_err() {
        apt(&["update"])?;
        apt(&install)?;
    }
    let still: Vec<&str> = needs
        .iter()
        .filter(|n| !Path::new(n.file).exists())
        .map(|n| n.file)
        .collect();
    if !still.is_empty() {
        bail!(
            "after the installation these are still missing: {}\nInstall by hand:\n\n  {by_hand}\n",
            still.join(", ")
        );
    }
    Ok(())
}

/// How to become root: nothing to add, `sudo`, or not at all.
fn privileges() -> Option<Vec<&'static str>> {
    let says = |program: &str, args: &[&str]| {
        Command::new(program)
            .args(args)
            .output()
            .ok()
            .filter(|o| o.status.success())
            .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
    };
    if says("id", &["-u"])? == "0" {
        return Some(vec!["env"]);
    }
    says("sudo", &["-n", "true"]).map(|_| vec!["sudo", "-n"])
}
