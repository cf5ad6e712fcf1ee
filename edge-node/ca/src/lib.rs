//! The farm's own authority over certificates, and TLS that trusts it.
//!
//! [`Authority`] signs: certificates of devices, which say who a client is, and the appliance's own, by which devices know it.
//! [`Server`] holds the latter and changes it while connections go on. Invariants: the authority's key never leaves its folder,
//! which nobody but the appliance's user may read; the farm's clock may be wrong, so dates are never judged here: whose
//! certificate is still good, the farm decides by what it has written down.

mod authority;
mod files;
mod server;
mod validity;

pub use authority::{Authority, CaError, Made};
pub use server::{LeastTls, Server};
pub use validity::Validity;
