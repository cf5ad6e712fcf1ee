//! What can be ordered, and how it is done.

use farm::{
    Actor, Farm, Tx,
    auth::{self, Scope},
    credentials,
    devices::{self, DeviceForm},
    joins::{self, JoinAs, JoinCode},
    nodes::{self, Deed, Settings},
    places,
    staff::{self, Pin},
    text::{Name, Slug},
};
use farm_model::{Clock as _, Device, DeviceId, DeviceKind, Link, PlaceId, Role};
use farm_web::{Authority as _, Bundle};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Outcome, Ruled,
    firmware::{self, FirmwareOrder},
};
use crate::authority::FarmAuthority;

/// An order.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    AddDevice(NewDevice),
    ImportDevices(Vec<Device>),
    IssueSecret {
        slug: String,
    },
    IssueFrameKey {
        slug: String,
    },
    Certify {
        slug: String,
        request: Option<String>,
    },
    Revoke {
        slug: String,
    },
    RevokeCertificate {
        slug: String,
        serial: String,
    },
    SetNode {
        slug: String,
        settings: Settings,
    },
    TellNode {
        slug: String,
        /// A [`Deed`]'s name.
        deed: String,
    },
    ListJoining,
    Approve {
        code: String,
        joins_as: Joins,
    },
    AddStaff {
        name: String,
        role: Role,
        pin: String,
    },
    AddToken {
        name: String,
        scope: Scope,
    },
    RevokeToken {
        id: Uuid,
    },
    Firmware(FirmwareOrder),
}

/// A device as an operator describes it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct NewDevice {
    pub(crate) slug: String,
    pub(crate) name: Option<String>,
    pub(crate) kind: DeviceKind,
    /// `tank/tank-1`.
    pub(crate) place: Option<String>,
    pub(crate) expect_every_s: Option<u32>,
}

/// As what a device joins.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Joins {
    New(NewDevice),
    Known { slug: String },
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
    } = ruled;
    match order {
        Order::Firmware(order) => firmware::perform(farm, shelf, order).await,
        Order::Certify { slug, request } => certify(farm, authority, &slug, request).await,
        Order::ListJoining => list_joining(farm).await,
        Order::AddStaff { name, role, pin } => add_staff(farm, &name, role, pin).await,
        order => {
            let done = farm
                .write(Actor::CommandLine, move |tx| act(tx, order))
                .await;
            done.map_err(|refused| refused.0)
        }
    }
}

/// Why not, in words.
struct Refused(String);

impl<E: std::error::Error> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

fn act(tx: &mut Tx<'_>, order: Order) -> Result<Outcome, Refused> {
    Ok(match order {
        Order::AddDevice(new) => {
            let form = form(tx, &new)?;
            devices::add(tx, &form)?;
            Outcome::says(format!(
                "{} is added. It cannot log in yet: give it a secret (devices secret {0}) or a certificate (devices certificate {0}).\n",
                new.slug
            ))
        }
        Order::ImportDevices(list) => {
            let forms = list
                .into_iter()
                .map(imported)
                .collect::<Result<Vec<_>, _>>()?;
            let n = devices::import(tx, &forms)?.len();
            Outcome::says(format!("{n} devices imported\n"))
        }
        Order::IssueSecret { slug } => {
            let device = find(tx, &slug)?;
            let secret = credentials::issue_secret(tx, device)?;
            Outcome::says(format!(
                "user name  {slug}\nsecret     {}\nIt is shown this once. A secret that the device had before is worth nothing from now on.\n",
                secret.as_str()
            ))
        }
        Order::IssueFrameKey { slug } => {
            let device = find(tx, &slug)?;
            let key = credentials::issue_frame_key(tx, device)?;
            Outcome::says(format!(
                "frame key  {}\nIt is shown this once. Frames sealed with an older key are refused from now on.\n",
                key.to_hex()
            ))
        }
        Order::Revoke { slug } => {
            let device = find(tx, &slug)?;
            credentials::revoke(tx, device)?;
            Outcome::says(format!(
                "{slug} holds nothing any more: it is cut off now, and refused when it comes back. `devices secret {slug}` lets it in again.\n"
            ))
        }
        Order::RevokeCertificate { slug, serial } => revoke_certificate(tx, &slug, &serial)?,
        Order::SetNode { slug, settings } => {
            let device = find(tx, &slug)?;
            let wanted = nodes::set_settings(tx, device, settings)?;
            Outcome::says(format!(
                "{slug} is told version {} of its settings until it has them; see what it says with: edge-node devices show {slug}\n",
                wanted.version
            ))
        }
        Order::TellNode { slug, deed } => {
            let device = find(tx, &slug)?;
            let deed = Deed::from_key(&deed)
                .ok_or_else(|| Refused(format!("no command is called {deed}")))?;
            let id = nodes::command(tx, device, deed)?;
            Outcome::says(format!(
                "{slug} is told command {id} until it answers, for {} minutes at most; see what it says with: edge-node devices show {slug}\n",
                nodes::LASTS_MS / 60_000
            ))
        }
        Order::Approve { code, joins_as } => {
            let code = JoinCode::new(&code)?;
            let joins_as = match joins_as {
                Joins::New(new) => JoinAs::New(Box::new(form(tx, &new)?)),
                Joins::Known { slug } => JoinAs::Known(find(tx, &slug)?),
            };
            let device = joins::approve(tx, &code, &joins_as)?;
            let slug = devices::get(tx.conn(), device)?.map(|d| d.slug);
            Outcome::says(format!(
                "{} is approved, and is told its secret and frame key now.\n",
                slug.unwrap_or_default()
            ))
        }
        Order::AddToken { name, scope } => {
            let name = Name::new(&name)?;
            let (_, secret) = auth::add_token(tx, &name, scope)?;
            Outcome::says(format!("{}\n", secret.as_str()))
        }
        Order::RevokeToken { id } => {
            auth::revoke_token(tx, id)?;
            Outcome::says("revoked: whoever is connected with it is cut off\n")
        }
        Order::Firmware(_)
        | Order::Certify { .. }
        | Order::ListJoining
        | Order::AddStaff { .. } => {
            return Err(Refused("this order is carried out elsewhere".to_owned()));
        }
    })
}

fn revoke_certificate(tx: &mut Tx<'_>, slug: &str, serial: &str) -> Result<Outcome, Refused> {
    let device = find(tx, slug)?;
    let held = credentials::certificates(tx.conn(), device)?;
    let Some(certificate) = held.into_iter().find(|c| c.serial == serial) else {
        return Err(Refused(format!(
            "{slug} has no certificate {serial}: `devices show {slug}` lists those it has"
        )));
    };
    credentials::revoke_certificate(tx, device, &certificate.fingerprint)?;
    Ok(Outcome::says(format!(
        "certificate {serial} is revoked: whoever is connected with it is cut off\n"
    )))
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

async fn list_joining(farm: &Farm) -> Result<Outcome, String> {
    let now = farm.clock().now();
    let waiting = farm.read(move |conn| joins::waiting(conn, &now)).await;
    let waiting = waiting.map_err(|error| error.to_string())?;
    if waiting.is_empty() {
        return Ok(Outcome::says(
            "no device asks to join. Switch it on, and see that it is on the farm's network.\n",
        ));
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

fn find(tx: &Tx<'_>, slug: &str) -> Result<DeviceId, Refused> {
    let found = devices::find(tx.conn(), slug)?;
    found.map(|d| d.id).ok_or_else(|| Refused(unknown(slug)))
}

fn unknown(slug: &str) -> String {
    format!("no device is called {slug}: `edge-node devices list` shows them all")
}

fn form(tx: &Tx<'_>, new: &NewDevice) -> Result<DeviceForm, Refused> {
    let slug = Slug::new(&new.slug)
        .map_err(|error| Refused(format!("the short name “{}”: {error}", new.slug)))?;
    let name = new.name.as_deref().unwrap_or(&new.slug);
    let name = Name::new(name).map_err(|error| Refused(format!("the name: {error}")))?;
    let place = match &new.place {
        Some(text) => Some(place(tx, text)?),
        None => None,
    };
    Ok(DeviceForm {
        slug,
        name,
        kind: new.kind,
        link: Link::Mqtt { client: None },
        place,
        expect_every_s: new.expect_every_s,
    })
}

/// The place called `kind/short-name`.
fn place(tx: &Tx<'_>, text: &str) -> Result<PlaceId, Refused> {
    let known = places::list(tx.conn())?;
    let called = |place: &farm_model::Place| format!("{}/{}", place.kind.key(), place.slug);
    match known.iter().find(|place| called(place) == text) {
        Some(place) => Ok(place.id),
        None => {
            let names: Vec<String> = known.iter().map(called).collect();
            let names = if names.is_empty() {
                "none yet; add one on the Tanks or Devices page".to_owned()
            } else {
                names.join(", ")
            };
            Err(Refused(format!(
                "there is no place “{text}”; there are: {names}"
            )))
        }
    }
}

fn imported(device: Device) -> Result<DeviceForm, Refused> {
    let slug = Slug::new(&device.slug)
        .map_err(|error| Refused(format!("the short name “{}”: {error}", device.slug)))?;
    let name = Name::new(&device.name)
        .map_err(|error| Refused(format!("the name of {}: {error}", device.slug)))?;
    Ok(DeviceForm {
        slug,
        name,
        kind: device.kind,
        link: device.link,
        place: device.place,
        expect_every_s: device.expect_every_s,
    })
}
