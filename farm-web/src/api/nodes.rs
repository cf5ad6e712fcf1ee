//! Nodes that send sealed frames: what is wanted of each, and what it says of that.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use farm::{
    StoreError,
    nodes::{self, Command, Deed, Fate, Settings, Standing, Wanted},
};
use farm_model::{Clock as _, Stamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::credentials::{find, read};
use crate::{app::Web, auth::Caller, error::Error};

/// Settings of a node, in seconds; what is absent is as the node was made.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsJson {
    /// Between measurements, 1 to 86400.
    #[serde(skip_serializing_if = "Option::is_none")]
    measure_every_s: Option<u32>,
    /// Between transmissions, up to 86400; 0 sends each batch at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    send_every_s: Option<u32>,
    /// Between greetings, 10 to 86400.
    #[serde(skip_serializing_if = "Option::is_none")]
    greet_every_s: Option<u32>,
    /// Before a frame that was not answered is sent again, 1 to 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u32>,
}

impl From<SettingsJson> for Settings {
    fn from(told: SettingsJson) -> Self {
        Self {
            measure_every_s: told.measure_every_s,
            send_every_s: told.send_every_s,
            greet_every_s: told.greet_every_s,
            retry_after_s: told.retry_after_s,
        }
    }
}

impl From<Settings> for SettingsJson {
    fn from(wanted: Settings) -> Self {
        Self {
            measure_every_s: wanted.measure_every_s,
            send_every_s: wanted.send_every_s,
            greet_every_s: wanted.greet_every_s,
            retry_after_s: wanted.retry_after_s,
        }
    }
}

/// Settings that are wanted. Moments are milliseconds since 1970.
#[derive(Serialize, ToSchema)]
pub(crate) struct WantedJson {
    /// Grows with each change.
    version: u32,
    /// The settings.
    settings: SettingsJson,
    /// Since when they are wanted.
    since: i64,
    /// `waiting`, `in_force` or `refused`.
    standing: &'static str,
    /// When the node answered.
    answered_at: Option<i64>,
    /// How many of them the node does not know.
    unknown: u8,
}

impl From<Wanted> for WantedJson {
    fn from(wanted: Wanted) -> Self {
        let (standing, answered_at, unknown) = match wanted.standing {
            Standing::Waiting => ("waiting", None, 0),
            Standing::InForce { at, unknown } => ("in_force", Some(at.0), unknown),
            Standing::Refused { at, .. } => ("refused", Some(at.0), 0),
        };
        Self {
            version: wanted.version,
            settings: wanted.settings.into(),
            since: wanted.since.0,
            standing,
            answered_at,
            unknown,
        }
    }
}

/// A command.
#[derive(Serialize, ToSchema)]
pub(crate) struct CommandJson {
    /// Grows with each command to this node.
    id: u32,
    /// `identify`, `measure`, `send` or `restart`.
    #[serde(rename = "do")]
    deed: &'static str,
    /// Who asked for it.
    by: String,
    /// When.
    asked_at: i64,
    /// `told` until the node answers, then `done` or `failed`; `over` when it did not answer in time.
    fate: &'static str,
    /// When the node answered.
    answered_at: Option<i64>,
}

fn command_json(command: Command, now: Stamp) -> CommandJson {
    let fate = command.fate(now);
    CommandJson {
        id: command.id,
        deed: command.deed.key(),
        by: command.by,
        asked_at: command.asked.wall.0,
        fate: fate.key(),
        answered_at: match fate {
            Fate::Done(at) | Fate::Failed(_, at) => Some(at.0),
            Fate::Told | Fate::Over => None,
        },
    }
}

/// What is wanted of a node.
#[derive(Serialize, ToSchema)]
pub(crate) struct NodeJson {
    /// Settings, if anybody ever wanted any.
    settings: Option<WantedJson>,
    /// The newest commands, newest first.
    commands: Vec<CommandJson>,
}

/// What a node is to do.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommandItem {
    /// `identify`, `measure`, `send` or `restart`.
    #[serde(rename = "do")]
    deed: String,
}

/// A command that waits for its node.
#[derive(Serialize, ToSchema)]
pub(crate) struct AskedJson {
    /// Its number; that of the same command if that waits already.
    id: u32,
}

/// What is wanted of a node, named by slug or identity, and what it says of that.
#[utoipa::path(get, path = "/api/v1/devices/{device}/node", tag = "devices", params(("device" = String, Path)),
    responses((status = OK, body = NodeJson)))]
pub(crate) async fn show(
    State(web): State<Web>,
    Path(device): Path<String>,
) -> Result<Json<NodeJson>, Error> {
    let id = find(&web, device).await?.id;
    let now = web.farm.clock().now();
    let read = web.farm.read(move |conn| {
        let commands = nodes::commands(conn, id)?.into_iter();
        Ok::<_, StoreError>(NodeJson {
            settings: nodes::settings(conn, id)?.map(Into::into),
            commands: commands.map(|c| command_json(c, now)).collect(),
        })
    });
    Ok(Json(read.await?))
}

/// Wants settings of a node: all of them, those that are absent become as the node was made.
#[utoipa::path(post, path = "/api/v1/devices/{device}/node/settings", tag = "devices", params(("device" = String, Path)),
    request_body = SettingsJson, responses((status = OK, body = WantedJson)))]
pub(crate) async fn settings(
    State(web): State<Web>,
    caller: Caller,
    Path(device): Path<String>,
    body: Bytes,
) -> Result<Json<WantedJson>, Error> {
    let id = find(&web, device).await?.id;
    let wanted = Settings::from(read::<SettingsJson>(&body)?);
    let set = web.farm.write(caller.actor(), move |tx| {
        nodes::set_settings(tx, id, wanted)
    });
    Ok(Json(set.await?.into()))
}

/// Tells a node to do something, for at most twenty minutes.
#[utoipa::path(post, path = "/api/v1/devices/{device}/node/commands", tag = "devices", params(("device" = String, Path)),
    request_body = CommandItem, responses((status = OK, body = AskedJson)))]
pub(crate) async fn command(
    State(web): State<Web>,
    caller: Caller,
    Path(device): Path<String>,
    body: Bytes,
) -> Result<Json<AskedJson>, Error> {
    let found = find(&web, device).await?.id;
    let item: CommandItem = read(&body)?;
    let deed = Deed::from_key(&item.deed)
        .ok_or_else(|| Error::invalid("do: one of identify, measure, send, restart"))?;
    let asked = web
        .farm
        .write(caller.actor(), move |tx| nodes::command(tx, found, deed));
    Ok(Json(AskedJson { id: asked.await? }))
}
