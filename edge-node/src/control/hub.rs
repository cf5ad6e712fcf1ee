//! Orders about the farm's hub.

use farm::Actor;
use farm_web::{HubStanding, JoinedHub};
use serde::{Deserialize, Serialize};
use ui::Lang;

use super::Outcome;
use crate::hub::HubLink;

/// An order about the hub.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HubOrder {
    Enrol { code: String, hub: String },
    Status,
    Send,
    Leave,
}

/// Does it.
///
/// # Errors
/// Why not, and what to do about it.
pub(super) async fn perform(link: &HubLink, order: HubOrder) -> Result<Outcome, String> {
    let said = match order {
        HubOrder::Enrol { code, hub } => {
            let joined = link.join(Actor::CommandLine, &hub, &code).await;
            let farm = joined.map_err(|error| error.to_string())?;
            format!("connected: this is {farm} at the hub, and is sent there while the appliance runs\n")
        }
        HubOrder::Status => {
            let standing = link.standing().await.map_err(|error| error.to_string())?;
            describe(&standing)
        }
        HubOrder::Send if link.hurry().await => "it is tried now\n".to_owned(),
        HubOrder::Send => "nothing is sent while the appliance does not run or has no hub: start it, or connect it with `edge-node enrol`\n".to_owned(),
        HubOrder::Leave => {
            let left = link.leave(Actor::CommandLine).await;
            if left.map_err(|error| error.to_string())? {
                "the farm is sent to no hub any more; to come back, make a new claim code there\n"
            } else {
                "the farm is sent to no hub\n"
            }
            .to_owned()
        }
    };
    Ok(Outcome::says(said))
}

fn describe(standing: &HubStanding) -> String {
    match standing {
        HubStanding::Off => {
            "the hub is switched off: `hub.enabled` in the configuration\n".to_owned()
        }
        HubStanding::Alone => {
            "the farm is sent to no hub; connect it with `edge-node enrol CODE --hub https://…`\n"
                .to_owned()
        }
        HubStanding::Joined(hub) => describe_joined(hub),
    }
}

fn describe_joined(hub: &JoinedHub) -> String {
    let heard = hub.heard_ago.map_or_else(
        || "not since the appliance started".to_owned(),
        |ago| format!("{} s ago", ago.as_secs()),
    );
    let trouble = hub.trouble.map_or_else(
        || "none".to_owned(),
        |trouble| format!("{}\n          {}", trouble.key(), trouble.words(Lang::En)),
    );
    format!(
        "hub       {}\nfarm      {}\nheard     {heard}\nwaiting   {}\ncurrent   {}\ntrouble   {trouble}\n",
        hub.address, hub.farm, hub.waiting, hub.current
    )
}
