//! The farm's pages, live events and JSON API, as an axum router over a [`farm::Farm`].
//!
//! The same pages are served by the farm's own appliance ([`router()`]) and, under a path of its own, by a host that has a replica
//! of the farm ([`mounted`]). What only the appliance has (ports, the ingest pipeline, the authority over certificates) is
//! behind the borders [`Hardware`], [`Ingest`] and [`Authority`], who looks behind [`Host`]. Invariants: every route states who may use it; a
//! page is a function of data, works without JavaScript and asks for nothing outside its own origin; a 2xx is sent only
//! when what it confirms is on disk.

mod access;
mod address;
mod api;
mod app;
mod auth;
mod border;
pub mod common;
mod csrf;
mod error;
mod lang;
mod live;
mod mount;
mod pages;
mod present;
mod router;
mod status;
pub mod words;

pub use access::{Deed, Needs, RouteEntry, Served};
pub use address::{Base, BaseError};
pub use app::{App, Cookies, Firmware, MqttPorts, Options};
pub use border::{
    Authority, AuthorityError, Bundle, DriverHealth, DriverState, Hardware, HardwareError, HubLink,
    HubStanding, HubTrouble, Ingest, JoinError, JoinedHub, NoHardware, Preset, Probe, Refused,
    Report, SerialPort, StoreIngest, Words,
};
pub use error::{Error, Reason};
pub use mount::{Host, HostLinks, Mount, Mounted, Part, Visitor, mounted};
pub use router::{route_table, router};
pub use status::install_metrics;
