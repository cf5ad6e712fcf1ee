//! What can be ordered, and how it is done.

use std::path::PathBuf;

use farm::{
    Actor, Farm, devices, joins,
    staff::{self, Pin},
    text::Name,
};
use farm_model::{Clock as _, Role};
use farm_web::{Authority as _, Bundle};
use program::Runs;
use serde::{Deserialize, Serialize};

use super::{
    Outcome, Ruled,
    edits::{self, Edit, unknown},
    firmware::{self, FirmwareOrder},
    hub::{self, HubOrder},
};
use crate::authority::FarmAuthority;

/// An order.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    Edit(Edit),
    Certify {
        slug: String,
        request: Option<String>,
    },
    ListJoining,
    AddStaff {
        name: String,
        role: Role,
        pin: String,
    },
    /// Take in the image at `path`, which was put there for this; `name` is what it was called.
    AddImage {
        path: PathBuf,
        name: String,
    },
    Firmware(FirmwareOrder),
    Hub(HubOrder),
}

impl From<Edit> for Order {
    fn from(edit: Edit) -> Self {
        Self::Edit(edit)
    }
}

/// Does it.
///
/// # Errors
/// Why not, and what to do about it.
pub(crate) async fn perform(ruled: &Ruled, order: Order) -> Result<Outcome, String> {
    let Ruled {
        farm,
        authority,
        shelf,
        hub: link,
        runs,
    } = ruled;
    match order {
        Order::Edit(edit) => edits::perform(farm, edit).await,
        Order::Certify { slug, request } => certify(farm, authority, &slug, request).await,
        Order::ListJoining => list_joining(farm, *runs).await,
        Order::AddStaff { name, role, pin } => add_staff(farm, &name, role, pin).await,
        Order::AddImage { path, name } => firmware::add(farm, shelf, path, name).await,
        Order::Hub(order) => hub::perform(link, order).await,
        Order::Firmware(order) => firmware::perform(farm, shelf, order).await,
    }
}

async fn certify(
    farm: &Farm,
    authority: &FarmAuthority,
    slug: &str,
    request: Option<String>,
) -> Result<Outcome, String> {
    let wanted = slug.to_owned();
    let found = farm.read(move |conn| devices::find(conn, &wanted)).await;
    let device = found
        .map_err(|error| error.to_string())?
        .ok_or_else(|| unknown(slug))?
        .id;
    let made = match request {
        Some(request) => authority.sign(Actor::CommandLine, device, request).await,
        None => authority.issue(Actor::CommandLine, device).await,
    };
    let Bundle {
        authority,
        certificate,
        key,
    } = made.map_err(|error| error.to_string())?;
    let mut files = vec![
        ("ca.pem".to_owned(), authority),
        (format!("{slug}.pem"), certificate),
    ];
    files.extend(key.map(|key| (format!("{slug}.key"), key)));
    Ok(Outcome {
        said: String::new(),
        files,
    })
}

async fn list_joining(farm: &Farm, runs: Runs) -> Result<Outcome, String> {
    let now = farm.clock().now();
    let waiting = farm.read(move |conn| joins::waiting(conn, &now)).await;
    let waiting = waiting.map_err(|error| error.to_string())?;
    if waiting.is_empty() {
        return Ok(Outcome::says(match runs {
            Runs::Yes => {
                "no device asks to join. Switch it on, and see that it is on the farm's network.\n"
            }
            Runs::No => {
                "no device can ask to join while the appliance does not run. Start it first.\n"
            }
        }));
    }
    let lines = waiting.iter().map(|request| {
        let said = &request.said;
        format!(
            "{:<20} {:<18} {:<24} {:<10} {}\n",
            request.serial, said.kind, said.model, said.firmware, request.peer
        )
    });
    Ok(Outcome::says(lines.collect::<String>()))
}

async fn add_staff(farm: &Farm, name: &str, role: Role, pin: String) -> Result<Outcome, String> {
    let name = Name::new(name).map_err(|error| format!("the name: {error}"))?;
    let pin = Pin::new(&pin).map_err(|error| format!("the PIN, on standard input: {error}"))?;
    let hashed = tokio::task::spawn_blocking(move || pin.hash());
    let hash = hashed.await.map_err(|error| error.to_string())?;
    let added = farm.write(Actor::CommandLine, move |tx| {
        staff::add(tx, &name, role, &hash)
    });
    added.await.map_err(|error| error.to_string())?;
    Ok(Outcome::says("added\n"))
}
