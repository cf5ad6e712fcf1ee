//! Replication over HTTP: a thin [`client`] and [`agent`] for the edge, a thin [`endpoint`] for the hub.
//!
//! What is said and when is decided in [`sync::peer`]; here are only sockets, time-outs and threads. Both sides speak three posts: `/sync/v1/exchange`,
//! `/sync/v1/enrol` and `/sync/v1/rotate`, each with an opaque body, so that nothing on the way rewrites it.

pub mod agent;
pub mod client;
pub mod endpoint;

/// Where edges exchange.
pub const EXCHANGE: &str = "/sync/v1/exchange";
/// Where an appliance joins a farm.
pub const ENROL: &str = "/sync/v1/enrol";
/// Where an appliance changes its key.
pub const ROTATE: &str = "/sync/v1/rotate";

/// Bytes of a request that only carries names and keys.
const SMALL_BYTES: usize = 8 * 1024;
