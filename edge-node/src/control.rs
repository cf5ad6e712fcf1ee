//! What an operator orders at the command line, carried out by whoever has the data: this process, or the running appliance.
//!
//! One process at a time writes a farm's data. While the appliance runs, the command line hands its order to it over a socket in
//! the data folder: a line of JSON there, a line of JSON back. Invariants: only the appliance's own user and root are heard; an
//! order is confirmed when it is on disk; a secret goes to whoever ordered it and nowhere else.

mod edits;
mod firmware;
mod hub;
mod orders;
mod socket;

use anyhow::anyhow;
use farm::{Farm, firmware::Shelf};
use program::{DataLock, LockError, Runs};
use serde::{Deserialize, Serialize};

pub(crate) use self::{
    edits::{DeviceEdit, Edit, Joins, NewDevice},
    firmware::FirmwareOrder,
    hub::HubOrder,
    orders::Order,
    socket::{Desk, serve},
};
use crate::{PROGRAM, app, authority::FarmAuthority, cli, clock, config::Config, hub::HubLink};

/// What orders are about.
#[derive(Clone)]
pub(crate) struct Ruled {
    pub(crate) farm: Farm,
    pub(crate) authority: FarmAuthority,
    pub(crate) shelf: Shelf,
    pub(crate) hub: HubLink,
    pub(crate) runs: Runs,
}

/// What an order came to.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// What is printed.
    pub(crate) said: String,
    /// Files for the operator, by name.
    #[serde(default)]
    pub(crate) files: Vec<(String, String)>,
}

impl Outcome {
    fn says(said: impl Into<String>) -> Self {
        Self {
            said: said.into(),
            files: Vec::new(),
        }
    }
}

/// Has an order carried out.
///
/// # Errors
/// When it cannot be; the message says what to do.
pub(crate) fn carry_out(config: &Config, order: impl Into<Order>) -> anyhow::Result<Outcome> {
    let order = order.into();
    match DataLock::take(&config.data.dir, PROGRAM) {
        Ok(_lock) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let (clock, _) = clock::build(&config.clock, 0);
            let options = farm::Options {
                clock,
                readers: 1,
                ..farm::Options::default()
            };
            let farm = Farm::open(&cli::database(config), options)?;
            let authority = edge_ca::Authority::open(&config.data.dir.join("ca"))?;
            let ruled = Ruled {
                authority: FarmAuthority::new(farm.clone(), authority.into()),
                hub: HubLink::new(farm.clone(), config.hub.clone()),
                farm,
                shelf: app::firmware(config).shelf,
                runs: Runs::No,
            };
            runtime
                .block_on(orders::perform(&ruled, order))
                .map_err(|text| anyhow!(text))
        }
        Err(LockError::InUse { .. }) => socket::send(&config.data.dir, &order),
        Err(error) => Err(error.into()),
    }
}
