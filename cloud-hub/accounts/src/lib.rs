//! Who may do what at the hub: accounts, sessions and second factors, farms with their members, claim codes and keys, and an
//! audit that shows whether it was tampered with.
//!
//! Commands and queries are free functions that take a [`Tx`](hub_store::Tx); slow work (argon2) is done outside of it.
//! Invariants: a secret that somebody holds is stored as a hash and shown once; one that the hub must read again is sealed; a wrong try is counted before it is tried; an
//! answer to a stranger does not tell whether an account exists; whatever a person changes is in the audit.

pub mod accounts;
pub mod audit;
pub mod claims;
pub mod email;
pub mod farms;
pub mod ids;
pub mod lockout;
pub mod login;
pub mod members;
pub mod password;
pub mod removal;
pub mod reset;
pub mod role;
pub mod seal;
pub mod second_factor;
pub mod secret;
pub mod sessions;
pub mod text;
pub mod totp;

pub use accounts::Account;
pub use audit::Actor;
pub use email::Email;
pub use farms::Farm;
pub use ids::{AccountId, FarmId, SiteId};
pub use password::{Password, PasswordHash};
pub use role::Role;
pub use seal::SealKey;
pub use secret::Secret;
pub use text::Name;

/// The tables of this part of the hub.
pub const SCHEMA: hub_store::Schema = hub_store::Schema {
    name: "accounts",
    versions: &[include_str!("schema/v1.sql"), include_str!("schema/v2.sql")],
};
