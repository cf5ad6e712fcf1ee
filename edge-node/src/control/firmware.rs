//! Orders about firmware.

use std::path::PathBuf;

use farm::{
    Actor, Farm, devices,
    firmware::{self, Batch, FirmwareError, ImageNumber, RolloutNumber, Shelf},
};
use farm_firmware::Label;
use serde::{Deserialize, Serialize};

use super::Outcome;

/// What is ordered.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FirmwareOrder {
    /// Take in the file at `path`, which was put there for this; `name` is what it was called.
    Add { path: PathBuf, name: String },
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
    match order {
        FirmwareOrder::Add { path, name } => {
            let (farm, shelf) = (farm.clone(), shelf.clone());
            let added = tokio::task::spawn_blocking(move || add(&farm, &shelf, &path, &name));
            added.await.map_err(|error| error.to_string())?
        }
        order => {
            let done = farm.write(Actor::CommandLine, move |tx| act(tx, order));
            let said = done.await.map_err(|error| error.to_string())?;
            let (farm, shelf) = (farm.clone(), shelf.clone());
            let swept = tokio::task::spawn_blocking(move || shelf.sweep(&farm)).await;
            swept
                .map_err(|error| error.to_string())?
                .map_err(|error| error.to_string())?;
            Ok(Outcome::says(said))
        }
    }
}

fn add(farm: &Farm, shelf: &Shelf, path: &PathBuf, name: &str) -> Result<Outcome, String> {
    let file = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let added = shelf.add(farm, Actor::CommandLine, name, &file);
    let id = added.map_err(|error| error.to_string())?;
    Ok(Outcome::says(format!(
        "image {id} is on the shelf; offer it with: edge-node firmware offer {id}\n"
    )))
}

fn act(tx: &mut farm::Tx<'_>, order: FirmwareOrder) -> Result<String, FirmwareError> {
    Ok(match order {
        // Files are taken in outside a transaction.
        FirmwareOrder::Add { .. } => String::new(),
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

fn find(tx: &farm::Tx<'_>, slug: &str) -> Result<farm_model::DeviceId, FirmwareError> {
    let found = devices::find(tx.conn(), slug)?;
    found.map(|d| d.id).ok_or(FirmwareError::UnknownDevice)
}
