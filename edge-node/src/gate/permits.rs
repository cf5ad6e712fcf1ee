//! What a client may do follows from what it is. `docs/devices.md` shows the same as a table.
//!
//! Invariant: deny by default. A device speaks of itself and of the place where it stands, within what its kind measures; it
//! hears what is said to it alone.

use edge_broker::{Filter, Permit, RetainLimit};
use farm::{auth::Scope, credentials::Basis};
use farm_model::topics::Topics;

use super::{joining, who::Who};

/// Topics that holders of tokens, and whoever is trusted by address, may tell readings on. A node's frames prove by
/// themselves whose they are, so that a gateway may carry them.
const TELL: [&str; 4] = [
    "farm/#",
    "application/#",
    "zigbee2mqtt/#",
    "khamar/node/+/up",
];
/// Sessions of a device: it needs one, and has more while it changes its client identifier.
const SESSIONS: usize = 8;
/// What may stand retained where a device may speak: a value of each cow at a milk meter, and room beside it.
const RETAINED: RetainLimit = RetainLimit {
    values: 1_000,
    bytes: 1024 * 1024,
};
/// Topics that they may listen to. Zigbee2MQTT hears its requests where it tells its states.
const LISTEN: [&str; 4] = ["farm/#", "zigbee2mqtt/#", "khamar/#", "homeassistant/#"];

/// What the holder of a token of this scope may do; whoever is trusted by address may as much as `Scope::Observe`.
pub(super) fn of_scope(who: &Who, scope: Scope) -> Permit {
    let publish: &[&str] = if scope == Scope::Read { &[] } else { &TELL };
    permit(who, publish, &LISTEN)
}

/// What a device that asks to join may do: ask under its own serial number, and hear the answer.
pub(super) fn of_joining(who: &Who, serial: &str) -> Permit {
    let hear = [joining::KEY.to_owned(), joining::answer_topic(serial)];
    Permit {
        // Nobody knows who it is: it leaves nothing behind.
        max_session_expiry: Some(0),
        ..permit(who, &[joining::ask_topic(serial)], &hear)
    }
}

/// What a device may do.
pub(super) fn of_device(who: &Who, basis: &Basis) -> Permit {
    let Topics { tells, hears } = Topics::of(&basis.device, basis.place.as_ref());
    Permit {
        max_sessions: Some(SESSIONS),
        max_retained: Some(RETAINED),
        ..permit(who, &tells, &hears)
    }
}

fn permit<S: AsRef<str>, T: AsRef<str>>(who: &Who, publish: &[S], subscribe: &[T]) -> Permit {
    Permit {
        identity: Some(who.to_string().into()),
        max_session_expiry: None,
        publish: publish.iter().map(|t| filter(t.as_ref())).collect(),
        subscribe: subscribe.iter().map(|t| filter(t.as_ref())).collect(),
        ..Permit::default()
    }
}

fn filter(text: &str) -> Filter {
    text.parse()
        .expect("names that are one level of a topic make a filter")
}

#[cfg(test)]
mod tests;
