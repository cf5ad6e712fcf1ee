//! What pages around the farm's share with them, so that both look and behave alike: forms, preferences, guards, headers, errors.

mod reasons;
mod routes;

pub use self::{
    reasons::{Cause, accepts_json, carried, carry, problem},
    routes::{Entry, NoEntry, Routes, Table},
};
pub use crate::{
    address::own,
    csrf::is_own,
    lang::{choose, chosen, theme_of},
    pages::typed::Typed,
    present::encode,
    router::{assets, headers},
    status::measure,
};
