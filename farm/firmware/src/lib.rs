//! Firmware of the farm's nodes: signed images, and how an update goes from one node to the next.
//!
//! [`Header::parse`] and [`Header::verify`] say whether a file is an image that a trusted vendor signed; [`Update`] is how far one
//! node is with it; [`decide`] says which node may be offered it next, and when to stop; [`Feeder`] spreads an image's chunks
//! over time. Invariants: no I/O, time is a value, no bytes make anything here panic.

mod feeder;
mod image;
mod keys;
mod rollout;
mod update;

pub use self::{
    feeder::{Feeder, Piece},
    image::{Header, ImageError, Label, MAX_FILE, MAX_IMAGE, NotALabel, sign},
    keys::{NotAKey, SigningKey, TrustedKey},
    rollout::{Decision, Member, Milking, Rules, Wait, decide, is_in_share},
    update::{Ended, Event, TransitionError, Update},
};
