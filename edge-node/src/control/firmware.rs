//! Orders about firmware.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use farm::{
    Actor, Farm, Tx,
    firmware::{self, Batch, FirmwareError, ImageNumber, RolloutNumber, Shelf},
};
use farm_firmware::{Label, MAX_FILE};
use serde::{Deserialize, Serialize};

use super::{
    Outcome,
    edits::{Refused, find},
};

/// What is ordered.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FirmwareOrder {
    /// Take an image off the shelf.
    Remove { image: ImageNumber },
    /// Offer an image to a share of all devices that fit, or to those that are named.
    Offer {
        image: ImageNumber,
        percent: u8,
        devices: Vec<String>,
    },
    /// Stop for now.
    Pause { rollout: RolloutNumber },
    /// Go on.
    Resume { rollout: RolloutNumber },
    /// Take it back.
    Withdraw { rollout: RolloutNumber },
    /// Put a device on a channel.
    Channel { slug: String, channel: String },
}

/// Does it.
///
/// # Errors
/// Why not, and what to do about it.
pub(super) async fn perform(
    farm: &Farm,
    shelf: &Shelf,
    order: FirmwareOrder,
) -> Result<Outcome, String> {
    let done = farm.write(Actor::CommandLine, move |tx| act(tx, order));
    let said = done.await.map_err(|Refused(why)| why)?;
    let (farm, shelf) = (farm.clone(), shelf.clone());
    let swept = tokio::task::spawn_blocking(move || shelf.sweep(&farm)).await;
    swept
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    Ok(Outcome::says(said))
}

/// Takes in the image at `path`.
///
/// # Errors
/// When it cannot be read, or is none that this farm takes.
pub(super) async fn add(
    farm: &Farm,
    shelf: &Shelf,
    path: PathBuf,
    name: String,
) -> Result<Outcome, String> {
    let (farm, shelf) = (farm.clone(), shelf.clone());
    let added = tokio::task::spawn_blocking(move || {
        let file =
            read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let added = shelf.add(&farm, Actor::CommandLine, &name, &file);
        added.map_err(|error| error.to_string())
    });
    let id = added.await.map_err(|error| error.to_string())??;
    Ok(Outcome::says(format!(
        "image {id} is on the shelf; offer it with: edge-node firmware offer {id}\n"
    )))
}

/// The whole file, or one byte more than an image can have: enough to refuse it for its size.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = Vec::new();
    File::open(path)?
        .take(MAX_FILE as u64 + 1)
        .read_to_end(&mut file)?;
    Ok(file)
}

fn act(tx: &mut Tx<'_>, order: FirmwareOrder) -> Result<String, Refused> {
    Ok(match order {
        FirmwareOrder::Remove { image } => {
            firmware::remove(tx, image)?;
            "removed\n".to_owned()
        }
        FirmwareOrder::Offer {
            image,
            percent,
            devices,
        } => {
            let batch = match devices.as_slice() {
                [] => Batch::Share(percent),
                slugs => {
                    let found = slugs.iter().map(|slug| find(tx, slug));
                    Batch::Devices(found.collect::<Result<_, _>>()?)
                }
            };
            let rollout = firmware::offer(tx, image, &batch)?;
            format!("rollout {rollout} has begun; watch it with: edge-node firmware list\n")
        }
        FirmwareOrder::Pause { rollout } => {
            firmware::pause(tx, rollout)?;
            "paused\n".to_owned()
        }
        FirmwareOrder::Resume { rollout } => {
            firmware::resume(tx, rollout)?;
            "it goes on\n".to_owned()
        }
        FirmwareOrder::Withdraw { rollout } => {
            firmware::withdraw(tx, rollout)?;
            "withdrawn\n".to_owned()
        }
        FirmwareOrder::Channel { slug, channel } => {
            let device = find(tx, &slug)?;
            let channel = Label::new(&channel).map_err(|_| FirmwareError::NoChannel)?;
            firmware::set_channel(tx, device, &channel)?;
            format!("{slug} is on channel {channel}\n")
        }
    })
}
