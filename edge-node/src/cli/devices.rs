//! `edge-node devices`: which there are, and what each proves itself with.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser as _};
use farm::{
    credentials, devices,
    nodes::{Deed, Settings},
    places,
};
use farm_model::{Device, DeviceKind, Link, UnixMillis};

use super::{first_line, node, reader};
use crate::{
    clock,
    config::Config,
    control::{DeviceEdit, Edit, Joins, NewDevice, Order, carry_out},
};

#[derive(Subcommand, Debug)]
pub(super) enum Devices {
    /// List every device: short name, kind, how it is reached.
    List,
    /// Show one device, and what it logs in with.
    Show {
        /// Its short name.
        slug: String,
    },
    /// Add a device that speaks MQTT. It can log in once it has a secret or a certificate.
    Add(Description),
    /// Give a device a new secret for MQTT, and print it once. The old one stops working at once.
    Secret {
        /// Its short name, which is its user name too.
        slug: String,
    },
    /// Give a device a new key for its frames (docs/firmware-protocol.md), and print it once. The old one stops working at once.
    FrameKey {
        /// Its short name.
        slug: String,
    },
    /// Make a certificate for a device, and write it into a folder with the farm's own (ca.pem).
    ///
    /// Without --request its private key is made here too; it is kept nowhere else, so move it to the device and delete it.
    /// Older certificates stay good until the device first comes with the new one.
    Certificate {
        /// Its short name.
        slug: String,
        /// The folder to write to; it is made if it is not there.
        #[arg(long)]
        to: PathBuf,
        /// A certificate request (PEM) of a device that made its own ECDSA P-256 key.
        #[arg(long)]
        request: Option<PathBuf>,
    },
    /// Cut a device off: its secret, its certificates and its frame key end, and open connections with them.
    Revoke {
        /// Its short name.
        slug: String,
        /// Revoke only the certificate with this number (`show` prints them); the device is cut off, and may come back with
        /// whatever else it holds.
        #[arg(long, value_name = "NUMBER")]
        certificate: Option<String>,
    },
    /// Say what settings a node shall have, all of them; what is left out becomes as the node was made.
    Settings {
        /// Its short name.
        slug: String,
        /// Seconds between measurements.
        #[arg(long, value_name = "SECONDS")]
        measure_every: Option<u32>,
        /// Seconds between transmissions; 0 sends each batch at once.
        #[arg(long, value_name = "SECONDS")]
        send_every: Option<u32>,
        /// Seconds between greetings.
        #[arg(long, value_name = "SECONDS")]
        greet_every: Option<u32>,
        /// Seconds before a frame that was not answered is sent again.
        #[arg(long, value_name = "SECONDS")]
        retry_after: Option<u32>,
    },
    /// Tell a node to do something; it is told until it answers, for twenty minutes at most.
    Tell {
        /// Its short name.
        slug: String,
        /// What to do.
        #[arg(value_parser = PossibleValuesParser::new(Deed::ALL.map(Deed::key)))]
        deed: String,
    },
    /// List the devices that ask to join. What they say of themselves is not proven yet.
    Joining,
    /// Let a device join whose sticker you hold; the code on the sticker is read from standard input.
    Approve(Approve),
    /// Print all devices as JSON, for `import` on another farm. Secrets are not part of it.
    Export,
    /// Add the devices of a file made by `export`; those whose short name is known are edited.
    Import {
        /// The file.
        file: PathBuf,
    },
}

/// A device as an operator describes it.
#[derive(Args, Debug)]
pub(super) struct Description {
    /// Short name: lower-case letters, digits, dots and dashes. It stands in topics, and is the device's user name.
    slug: String,
    /// What it measures.
    #[arg(long, value_parser = kind())]
    kind: DeviceKind,
    /// What people call it; the short name if absent.
    #[arg(long)]
    name: Option<String>,
    /// Where it stands, such as tank/tank-1 or stall/3. It decides on which topics it may speak.
    #[arg(long)]
    place: Option<String>,
    /// Seconds within which it should be heard; three times as long raises an alarm.
    #[arg(long, value_name = "SECONDS")]
    expect_every: Option<u32>,
}

#[derive(Args, Debug)]
pub(super) struct Approve {
    /// Short name: that of the new device, or with --known of the one whose place it takes.
    slug: String,
    /// The device is known already: it lost its memory, or replaces a broken one.
    #[arg(long, conflicts_with_all = ["kind", "name", "place", "expect_every"])]
    known: bool,
    /// What it measures.
    #[arg(long, value_parser = kind(), required_unless_present = "known")]
    kind: Option<DeviceKind>,
    /// What people call it; the short name if absent.
    #[arg(long)]
    name: Option<String>,
    /// Where it stands, such as tank/tank-1 or stall/3. It decides on which topics it may speak.
    #[arg(long)]
    place: Option<String>,
    /// Seconds within which it should be heard; three times as long raises an alarm.
    #[arg(long, value_name = "SECONDS")]
    expect_every: Option<u32>,
}

fn kind() -> impl clap::builder::TypedValueParser<Value = DeviceKind> {
    PossibleValuesParser::new(DeviceKind::ALL.iter().map(|kind| kind.key()))
        .map(|key| DeviceKind::from_key(&key).expect("the parser lets through no other keys"))
}

impl From<Description> for NewDevice {
    fn from(told: Description) -> Self {
        Self {
            slug: told.slug,
            name: told.name,
            kind: told.kind,
            place: told.place,
            expect_every_s: told.expect_every,
        }
    }
}

/// Does what was asked.
pub(super) fn run(config: &Config, what: Devices, out: &mut impl Write) -> anyhow::Result<()> {
    let edit = match what {
        Devices::List => return list(config, out),
        Devices::Show { slug } => return show(config, &slug, out),
        Devices::Export => {
            let all = devices::list(&reader(config)?)?;
            return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?);
        }
        Devices::Import { file } => Edit::ImportDevices(read_devices(&file)?),
        Devices::Add(description) => Edit::AddDevice(description.into()),
        Devices::Secret { slug } => DeviceEdit::IssueSecret.of(slug),
        Devices::FrameKey { slug } => DeviceEdit::IssueFrameKey.of(slug),
        Devices::Certificate { slug, to, request } => {
            return certificate(config, slug, &to, request.as_deref(), out);
        }
        Devices::Revoke { slug, certificate } => match certificate {
            Some(serial) => DeviceEdit::RevokeCertificate { serial }.of(slug),
            None => DeviceEdit::Revoke.of(slug),
        },
        Devices::Settings {
            slug,
            measure_every,
            send_every,
            greet_every,
            retry_after,
        } => DeviceEdit::Set(Settings {
            measure_every_s: measure_every,
            send_every_s: send_every,
            greet_every_s: greet_every,
            retry_after_s: retry_after,
        })
        .of(slug),
        Devices::Tell { slug, deed } => DeviceEdit::Tell { deed }.of(slug),
        Devices::Joining => {
            let joining = carry_out(config, Order::ListJoining)?;
            return Ok(write!(out, "{}", joining.said)?);
        }
        Devices::Approve(approve) => Edit::Approve {
            code: first_line()?,
            joins_as: joins_as(approve)?,
        },
    };
    write!(out, "{}", carry_out(config, edit)?.said)?;
    Ok(())
}

fn joins_as(approve: Approve) -> anyhow::Result<Joins> {
    if approve.known {
        return Ok(Joins::Known { slug: approve.slug });
    }
    Ok(Joins::New(NewDevice {
        slug: approve.slug,
        name: approve.name,
        kind: approve
            .kind
            .context("--kind says what the device measures")?,
        place: approve.place,
        expect_every_s: approve.expect_every,
    }))
}

fn list(config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    for device in devices::list(&reader(config)?)? {
        let state = if device.enabled {
            ""
        } else {
            " (switched off)"
        };
        writeln!(
            out,
            "{:<24} {:<18} {}{state}",
            device.slug,
            device.kind.key(),
            describe(&device)
        )?;
    }
    Ok(())
}

fn show(config: &Config, slug: &str, out: &mut impl Write) -> anyhow::Result<()> {
    let conn = reader(config)?;
    let Some(device) = devices::find(&conn, slug)? else {
        bail!("no device is called {slug}: `edge-node devices list` shows them all");
    };
    let place = match device.place {
        Some(place) => places::get(&conn, place)?,
        None => None,
    };
    let held = credentials::of(&conn, device.id)?;
    writeln!(out, "short name    {}", device.slug)?;
    writeln!(out, "name          {}", device.name)?;
    writeln!(out, "kind          {}", device.kind.key())?;
    writeln!(out, "reached by    {}", describe(&device))?;
    if let Some(place) = place {
        writeln!(out, "stands at     {}/{}", place.kind.key(), place.slug)?;
    }
    if let Some(serial) = &held.serial {
        writeln!(out, "serial        {serial}")?;
    }
    if !device.enabled {
        writeln!(
            out,
            "switched off: it is refused until it is switched on again on its page"
        )?;
    }
    let since =
        |at: Option<UnixMillis>| at.map_or("none".to_owned(), |at| format!("since {}", day(at)));
    writeln!(out, "secret        {}", since(held.secret_since))?;
    writeln!(out, "frame key     {}", since(held.frame_key_since))?;
    if let Some(at) = held.revoked {
        writeln!(
            out,
            "revoked       {}: give it a new secret or certificate to let it in again",
            day(at)
        )?;
    }
    node::show(&conn, device.id, out)?;
    let now = clock::build(&config.clock, 0).0.now();
    for certificate in &held.certificates {
        let state = match certificate.standing(&now) {
            credentials::Standing::Good if certificate.wants_renewal(&now) => "good, to be renewed",
            credentials::Standing::Good => "good",
            credentials::Standing::Revoked => "revoked or replaced",
            credentials::Standing::Expired => "expired",
        };
        writeln!(
            out,
            "certificate   {}  {} to {}  {state}",
            certificate.serial,
            day(certificate.not_before),
            day(certificate.not_after)
        )?;
    }
    Ok(())
}

pub(super) fn day(at: UnixMillis) -> String {
    at.timestamp().strftime("%Y-%m-%d").to_string()
}

fn certificate(
    config: &Config,
    slug: String,
    to: &Path,
    request: Option<&Path>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let request = match request {
        Some(path) => {
            let text = fs::read_to_string(path);
            Some(text.with_context(|| format!("cannot read {}", path.display()))?)
        }
        None => None,
    };
    // Before anything is made: a certificate that cannot be written is lost.
    let cannot = || format!("cannot write to {}", to.display());
    fs::create_dir_all(to).with_context(cannot)?;
    let outcome = carry_out(config, Order::Certify { slug, request })?;
    for (name, text) in &outcome.files {
        let path = to.join(name);
        write_private(&path, text).with_context(cannot)?;
        writeln!(out, "{}", path.display())?;
    }
    if outcome.files.iter().any(|(name, _)| name.ends_with(".key")) {
        writeln!(
            out,
            "The key is kept nowhere else: move it to the device, then delete it here."
        )?;
    }
    Ok(())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn read_devices(file: &Path) -> anyhow::Result<Vec<Device>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is no list of devices as `export` writes it",
            file.display()
        )
    })
}

fn describe(device: &Device) -> String {
    match &device.link {
        Link::Serial { port, .. } => format!("serial {port}"),
        Link::ModbusRtu { port, unit, .. } => format!("Modbus RTU {port}, unit {unit}"),
        Link::ModbusTcp {
            host, port, unit, ..
        } => format!("Modbus TCP {host}:{port}, unit {unit}"),
        Link::OneWire { rom } => format!("1-wire {rom}"),
        Link::Mqtt { .. } => "MQTT".to_owned(),
        Link::ChirpStack { dev_eui, .. } => format!("LoRaWAN {dev_eui}"),
        Link::Zigbee { name } => format!("Zigbee {name}"),
        Link::Node { port, .. } => format!("node {port}"),
        Link::Input { node, channel } => format!("input {channel} of {node}"),
        Link::Http => "HTTP".to_owned(),
    }
}
