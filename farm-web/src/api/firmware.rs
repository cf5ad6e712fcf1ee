//! What runs where, images and rollouts.

use axum::{Json, extract::State};
use farm::{StoreError, firmware};
use farm_model::Clock as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::Web, error::Error};

/// Firmware of the farm's nodes.
#[derive(Serialize, ToSchema)]
pub(crate) struct FirmwareJson {
    /// What each device says that it runs.
    devices: Vec<RunningJson>,
    /// Images, the refused ones too, newest first.
    images: Vec<ImageJson>,
    /// Rollouts, newest first.
    rollouts: Vec<RolloutJson>,
}

/// What a device runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunningJson {
    /// Identity of the device.
    device: String,
    /// Its short name.
    slug: String,
    /// What it runs on.
    hardware: Option<String>,
    /// The firmware that it runs.
    version: Option<String>,
    /// The channel that it is on.
    channel: String,
    /// When it last said so, milliseconds since 1970.
    greeted_at: Option<i64>,
}

/// An image.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImageJson {
    /// Number.
    id: i64,
    /// What the file was called.
    file: String,
    /// Its version.
    version: Option<String>,
    /// The hardware that it is for.
    hardware: Option<String>,
    /// Its channel.
    channel: Option<String>,
    /// Its bytes.
    size: Option<u32>,
    /// Why it was refused: `not_trusted`, `wrong_hash`, …; absent when it may be offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'static str>,
}

/// A rollout.
#[derive(Serialize, ToSchema)]
pub(crate) struct RolloutJson {
    /// Number.
    id: i64,
    /// Number of its image.
    image: i64,
    /// The share of all devices that fit; absent when they were named.
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
    /// `running`, `paused`, `withdrawn` or `over`.
    phase: &'static str,
    /// Its devices in the order in which they are offered the image.
    devices: Vec<ProgressJson>,
}

/// How far a device is.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProgressJson {
    /// Identity of the device.
    device: String,
    /// `offered`, `downloading`, `verified`, `trying`, `confirmed`, `rolled_back`, `refused`, `flash_failed`, `silent` or
    /// `withdrawn`; absent before it is offered anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Bytes from the start that it has, while it downloads.
    have: u32,
}

/// What runs where, which images there are, and how far each rollout is.
#[utoipa::path(get, path = "/api/v1/firmware", tag = "devices", responses((status = OK, body = FirmwareJson)))]
pub(crate) async fn list(State(web): State<Web>) -> Result<Json<FirmwareJson>, Error> {
    let (now, parlour) = (web.farm.clock().now(), web.farm.live().parlour());
    let rules = web.options.rules();
    let firmware = web.farm.read(move |conn| {
        let milking = firmware::is_milking(conn, &parlour, now)?;
        Ok::<_, StoreError>(FirmwareJson {
            devices: firmware::running(conn)?.into_iter().map(running).collect(),
            images: firmware::images(conn)?.into_iter().map(image).collect(),
            rollouts: firmware::rollouts(conn, &rules, milking, now)?
                .iter()
                .map(rollout)
                .collect(),
        })
    });
    Ok(Json(firmware.await?))
}

fn running(running: firmware::Running) -> RunningJson {
    RunningJson {
        device: running.device.id.to_string(),
        slug: running.device.slug,
        hardware: running.hardware,
        version: running.version,
        channel: running.channel,
        greeted_at: running.greeted.map(|at| at.0),
    }
}

fn image(image: firmware::Image) -> ImageJson {
    let header = image.header.as_ref();
    ImageJson {
        id: image.id,
        file: image.file,
        version: header.map(|h| h.version.to_string()),
        hardware: header.map(|h| h.hardware.to_string()),
        channel: header.map(|h| h.channel.to_string()),
        size: header.map(|h| h.size),
        refused: image.refused.map(farm_firmware::ImageError::key),
    }
}

fn rollout(rollout: &firmware::Rollout) -> RolloutJson {
    let progress = |p: &firmware::Progress| ProgressJson {
        device: p.device.to_string(),
        state: p.update.map(farm_firmware::Update::key),
        have: p.update.map_or(0, farm_firmware::Update::have),
    };
    RolloutJson {
        id: rollout.id,
        image: rollout.image,
        percent: rollout.percent,
        phase: rollout.phase.key(),
        devices: rollout.devices.iter().map(progress).collect(),
    }
}
