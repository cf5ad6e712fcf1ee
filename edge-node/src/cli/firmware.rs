//! `edge-node firmware`: images for nodes, and how far each node is; for vendors, signing one.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read as _, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use farm::firmware::{self, ImageNumber, RolloutNumber};
use farm_firmware::{Label, MAX_FILE, Milking, SigningKey, sign};
use farm_model::Stamp;

use super::reader;
use crate::{
    config::Config,
    control::{FirmwareOrder, Order, carry_out},
};

#[derive(Subcommand, Debug)]
pub(super) enum Firmware {
    /// Take in an image that a trusted vendor signed (a file in .khfw).
    Add {
        /// The file.
        file: PathBuf,
    },
    /// List images, rollouts and what each device runs.
    List,
    /// Begin to offer an image: one device first, the others when it has run well for a while.
    Offer {
        /// Number of the image, as `list` prints it.
        image: ImageNumber,
        /// The share of the devices that fit, in percent.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
        percent: u8,
        /// Only these, by short name; the first one goes first.
        #[arg(long, value_delimiter = ',', conflicts_with = "percent")]
        devices: Vec<String>,
    },
    /// Stop a rollout for now: nothing more is offered or sent.
    Pause {
        /// Its number, as `list` prints it.
        rollout: RolloutNumber,
    },
    /// Go on with a paused rollout; what stopped it is taken as seen.
    Resume {
        /// Its number.
        rollout: RolloutNumber,
    },
    /// Take a rollout back: devices that do not run the image yet forget it.
    Withdraw {
        /// Its number.
        rollout: RolloutNumber,
    },
    /// Remove an image, or the memory of a refused one.
    Remove {
        /// Its number.
        image: ImageNumber,
    },
    /// Put a device on a channel, such as beta; it is offered images of that channel only.
    Channel {
        /// The device's short name.
        slug: String,
        /// The channel.
        channel: String,
    },
    /// Print the vendors' keys that this farm trusts.
    Keys,
    /// For vendors: sign an image, and print the public key that farms must trust.
    Sign(Sign),
}

#[derive(Args, Debug)]
pub(super) struct Sign {
    /// The image, as it goes to flash.
    image: PathBuf,
    /// The private key in PEM, of `openssl genpkey -algorithm ed25519`.
    #[arg(long, value_name = "FILE", required_unless_present = "key_from_env")]
    key: Option<PathBuf>,
    /// Take the private key (its PEM text) from the environment variable KHAMAR_SIGNING_KEY instead.
    #[arg(long, conflicts_with = "key")]
    key_from_env: bool,
    /// Its version: what nodes greet with once they run it.
    #[arg(long)]
    version: String,
    /// The hardware that it is for: what nodes greet with.
    #[arg(long)]
    hardware: String,
    /// Its channel.
    #[arg(long, default_value = firmware::DEFAULT_CHANNEL)]
    channel: String,
    /// The file to write; the image's name with .khfw if absent.
    #[arg(long)]
    to: Option<PathBuf>,
}

/// Does what was asked.
pub(super) fn run(config: &Config, what: Firmware, out: &mut impl Write) -> anyhow::Result<()> {
    let order = match what {
        Firmware::Add { file } => return add(config, &file, out),
        Firmware::List => return list(config, out),
        Firmware::Keys => return keys(config, out),
        Firmware::Sign(what) => return make(&what, out),
        Firmware::Offer {
            image,
            percent,
            devices,
        } => FirmwareOrder::Offer {
            image,
            percent,
            devices,
        },
        Firmware::Pause { rollout } => FirmwareOrder::Pause { rollout },
        Firmware::Resume { rollout } => FirmwareOrder::Resume { rollout },
        Firmware::Withdraw { rollout } => FirmwareOrder::Withdraw { rollout },
        Firmware::Remove { image } => FirmwareOrder::Remove { image },
        Firmware::Channel { slug, channel } => FirmwareOrder::Channel { slug, channel },
    };
    write!(out, "{}", carry_out(config, Order::Firmware(order))?.said)?;
    Ok(())
}

/// Hands the file over in the data folder: a running appliance may not see the folder that it lies in.
fn add(config: &Config, file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let image = read(file).with_context(|| format!("cannot read {}", file.display()))?;
    if image.len() > MAX_FILE {
        bail!(
            "{} is larger than an image can be: ask the vendor whether it is the right file",
            file.display()
        );
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let handed = format!("incoming-{}.khfw", std::process::id());
    let handed = config.data.dir.join(handed);
    let order = Order::AddImage {
        path: handed.clone(),
        name: name.into_owned(),
    };
    let done = hand_over(&handed, &image)
        .with_context(|| {
            format!(
                "cannot write to {}: run this as the appliance's own user (sudo -u khamar …) or as root",
                config.data.dir.display()
            )
        })
        .and_then(|()| carry_out(config, order));
    let removed = fs::remove_file(&handed);
    write!(out, "{}", done?.said)?;
    removed.with_context(|| format!("cannot remove {}", handed.display()))
}

/// The whole file, or one byte more than an image can have.
fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut image = Vec::new();
    File::open(file)?
        .take(MAX_FILE as u64 + 1)
        .read_to_end(&mut image)?;
    Ok(image)
}

/// Writes the image where the appliance reads it, whoever runs this and whatever the file's own permissions were.
fn hand_over(to: &Path, image: &[u8]) -> std::io::Result<()> {
    match fs::remove_file(to) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::create_new(to)?;
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    file.write_all(image)
}

fn list(config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let conn = reader(config)?;
    writeln!(out, "images")?;
    for image in firmware::images(&conn)? {
        let what = image.header.map_or(image.file, |h| {
            format!(
                "{} for {} on {}, {} bytes",
                h.version, h.hardware, h.channel, h.size
            )
        });
        let refused = image
            .refused
            .map_or(String::new(), |why| format!("  REFUSED: {why}"));
        writeln!(out, "  {:<4} {what}{refused}", image.id)?;
    }
    writeln!(out, "rollouts")?;
    let rules = config.firmware.rules();
    for rollout in firmware::rollouts(&conn, &rules, Milking::No, Stamp::default())? {
        let header = &rollout.header;
        writeln!(
            out,
            "  {:<4} {} for {}: {}",
            rollout.id,
            header.version,
            header.hardware,
            rollout.phase.key()
        )?;
        for progress in &rollout.devices {
            let device = farm::devices::get(&conn, progress.device)?;
            let slug = device.map_or_else(|| progress.device.to_string(), |d| d.slug);
            let state = progress.update.map_or("waits", |u| u.key());
            let have = progress.update.map_or(0, farm_firmware::Update::have);
            let part = match have {
                0 => String::new(),
                have => format!(" {} %", u64::from(have) * 100 / u64::from(header.size)),
            };
            writeln!(out, "         {slug:<24} {state}{part}")?;
        }
    }
    writeln!(out, "devices")?;
    for running in firmware::running(&conn)? {
        writeln!(
            out,
            "  {:<24} {:<16} {:<20} {}",
            running.device.slug,
            running.version.unwrap_or_default(),
            running.hardware.unwrap_or_default(),
            running.channel
        )?;
    }
    Ok(())
}

fn keys(config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let keys = config.firmware.keys();
    if keys.is_empty() {
        writeln!(
            out,
            "none: no image is accepted. Add a vendor's key to `firmware.trusted_keys` in the configuration, and restart."
        )?;
    }
    for key in keys {
        writeln!(out, "{key}")?;
    }
    Ok(())
}

fn make(what: &Sign, out: &mut impl Write) -> anyhow::Result<()> {
    let pem = match &what.key {
        Some(path) => fs::read_to_string(path)
            .with_context(|| format!("cannot read the key in {}", path.display()))?,
        None => std::env::var("KHAMAR_SIGNING_KEY")
            .context("KHAMAR_SIGNING_KEY is not set: put the key's PEM text into it")?,
    };
    let key = SigningKey::from_pem(&pem)?;
    let image =
        fs::read(&what.image).with_context(|| format!("cannot read {}", what.image.display()))?;
    let label = |text: &str, what: &str| Label::new(text).with_context(|| format!("the {what}"));
    let file = sign(
        &key,
        &image,
        label(&what.version, "version")?,
        label(&what.hardware, "hardware")?,
        label(&what.channel, "channel")?,
    )?;
    let to = what
        .to
        .clone()
        .unwrap_or_else(|| what.image.with_extension("khfw"));
    fs::write(&to, file).with_context(|| format!("cannot write {}", to.display()))?;
    writeln!(
        out,
        "{} is signed. Farms must trust:\n{}",
        to.display(),
        key.public()
    )?;
    Ok(())
}
