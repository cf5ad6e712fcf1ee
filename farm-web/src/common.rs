//! What pages around the farm's share with them, so that both look and behave alike: forms, preferences, guards, headers.

pub use crate::{
    address::own,
    csrf::is_own,
    lang::{choose, chosen, theme_of},
    pages::typed::Typed,
    present::encode,
    router::{assets, headers},
    status::measure,
};
