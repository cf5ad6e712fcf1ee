//! Orders that are one transaction of the farm each.

use farm::{
    Actor, Farm, Tx,
    auth::{self, Scope},
    credentials::{self, CredentialError},
    devices::{self, DeviceForm},
    joins::{self, JoinAs, JoinCode},
    nodes::{self, Deed, Settings},
    places,
    text::{Name, Slug},
};
use farm_model::{Device, DeviceId, DeviceKind, Link, Place, PlaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Outcome;

/// What is to be changed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Edit {
    AddDevice(NewDevice),
    ImportDevices(Vec<Device>),
    Device { slug: String, what: DeviceEdit },
    Approve { code: String, joins_as: Joins },
    AddToken { name: String, scope: Scope },
    RevokeToken { id: Uuid },
}

/// What is to be changed of a device that the farm knows.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeviceEdit {
    IssueSecret,
    IssueFrameKey,
    Revoke,
    RevokeCertificate {
        serial: String,
    },
    Set(Settings),
    Tell {
        /// A [`Deed`]'s name.
        deed: String,
    },
}

impl DeviceEdit {
    /// The order to do this to the device with this short name.
    pub(crate) fn of(self, slug: String) -> Edit {
        Edit::Device { slug, what: self }
    }
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
pub(super) async fn perform(farm: &Farm, edit: Edit) -> Result<Outcome, String> {
    let done = farm.write(Actor::CommandLine, move |tx| act(tx, edit));
    done.await.map(Outcome::says).map_err(|Refused(why)| why)
}

/// Why not, in words.
pub(super) struct Refused(pub(super) String);

impl<E: std::error::Error> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

fn act(tx: &mut Tx<'_>, edit: Edit) -> Result<String, Refused> {
    match edit {
        Edit::AddDevice(new) => add_device(tx, &new),
        Edit::ImportDevices(list) => {
            let forms = list.into_iter().map(imported);
            let forms = forms.collect::<Result<Vec<_>, _>>()?;
            let n = devices::import(tx, &forms)?.len();
            Ok(format!("{n} devices imported\n"))
        }
        Edit::Device { slug, what } => {
            let device = find(tx, &slug)?;
            edit_device(tx, &slug, device, what)
        }
        Edit::Approve { code, joins_as } => approve(tx, &code, joins_as),
        Edit::AddToken { name, scope } => {
            let (_, secret) = auth::add_token(tx, &Name::new(&name)?, scope)?;
            Ok(format!("{}\n", secret.as_str()))
        }
        Edit::RevokeToken { id } => {
            auth::revoke_token(tx, id)?;
            Ok("revoked: whoever is connected with it is cut off\n".to_owned())
        }
    }
}

fn add_device(tx: &mut Tx<'_>, new: &NewDevice) -> Result<String, Refused> {
    let form = form(tx, new)?;
    devices::add(tx, &form)?;
    Ok(format!(
        "{} is added. It cannot log in yet: give it a secret (devices secret {0}) or a certificate (devices certificate {0}).\n",
        new.slug
    ))
}

fn edit_device(
    tx: &mut Tx<'_>,
    slug: &str,
    device: DeviceId,
    what: DeviceEdit,
) -> Result<String, Refused> {
    Ok(match what {
        DeviceEdit::IssueSecret => {
            let secret = credentials::issue_secret(tx, device)?;
            format!(
                "user name  {slug}\nsecret     {}\nIt is shown this once. A secret that the device had before is worth nothing from now on.\n",
                secret.as_str()
            )
        }
        DeviceEdit::IssueFrameKey => {
            let key = credentials::issue_frame_key(tx, device)?;
            format!(
                "frame key  {}\nIt is shown this once. Frames sealed with an older key are refused from now on.\n",
                key.to_hex()
            )
        }
        DeviceEdit::Revoke => {
            credentials::revoke(tx, device)?;
            format!(
                "{slug} holds nothing any more: it is cut off now, and refused when it comes back. `devices secret {slug}` lets it in again.\n"
            )
        }
        DeviceEdit::RevokeCertificate { serial } => {
            let revoked = credentials::revoke_certificate(tx, device, &serial);
            revoked.map_err(|error| match error {
                CredentialError::UnknownCertificate => Refused(format!(
                    "{slug} has no certificate {serial} that is still good: `devices show {slug}` lists those it has"
                )),
                other => other.into(),
            })?;
            format!("certificate {serial} is revoked: whoever is connected with it is cut off\n")
        }
        DeviceEdit::Set(settings) => {
            let wanted = nodes::set_settings(tx, device, settings)?;
            format!(
                "{slug} is told version {} of its settings until it has them; see what it says with: edge-node devices show {slug}\n",
                wanted.version
            )
        }
        DeviceEdit::Tell { deed } => {
            let known = Deed::from_key(&deed);
            let known = known.ok_or_else(|| Refused(format!("no command is called {deed}")))?;
            let id = nodes::command(tx, device, known)?;
            format!(
                "{slug} is told command {id} until it answers, for {} minutes at most; see what it says with: edge-node devices show {slug}\n",
                nodes::LASTS_MS / 60_000
            )
        }
    })
}

fn approve(tx: &mut Tx<'_>, code: &str, joins_as: Joins) -> Result<String, Refused> {
    let code = JoinCode::new(code)?;
    let joins_as = match joins_as {
        Joins::New(new) => JoinAs::New(Box::new(form(tx, &new)?)),
        Joins::Known { slug } => JoinAs::Known(find(tx, &slug)?),
    };
    let device = joins::approve(tx, &code, &joins_as)?;
    let slug = devices::get(tx.conn(), device)?.map(|d| d.slug);
    Ok(format!(
        "{} is approved, and is told its secret and frame key now.\n",
        slug.unwrap_or_default()
    ))
}

/// The device with this short name.
pub(super) fn find(tx: &Tx<'_>, slug: &str) -> Result<DeviceId, Refused> {
    let found = devices::find(tx.conn(), slug)?;
    found.map(|d| d.id).ok_or_else(|| Refused(unknown(slug)))
}

pub(super) fn unknown(slug: &str) -> String {
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
    let called = |place: &Place| format!("{}/{}", place.kind.key(), place.slug);
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
