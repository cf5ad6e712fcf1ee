//! What replication calls its troubles, in the words of the pages.

use farm_web::HubTrouble;
use sync::{
    peer::{LineFault, Trouble},
    wire::{Refusal, WireError},
};
use sync_http::client::AskError;

pub(super) fn of(trouble: Trouble) -> HubTrouble {
    match trouble {
        Trouble::Line(fault) => of_line(fault),
        Trouble::Answer(error) => of_answer(error),
        Trouble::Refused(refusal) => of_refusal(refusal),
        Trouble::Protocol { .. } => HubTrouble::Version,
        Trouble::Epoch => HubTrouble::Anew,
        Trouble::Copied(_) => HubTrouble::Copied,
        Trouble::Store => HubTrouble::Store,
        Trouble::Stuck => HubTrouble::Stuck,
        Trouble::TooLarge { .. } => HubTrouble::TooLarge,
    }
}

pub(super) fn of_ask(error: AskError) -> HubTrouble {
    match error {
        AskError::Line(fault) => of_line(fault),
        AskError::Answer(error) => of_answer(error),
        AskError::Refused(refusal) => of_refusal(refusal),
    }
}

fn of_line(fault: LineFault) -> HubTrouble {
    match fault {
        LineFault::Down => HubTrouble::Unreached,
        LineFault::Slow => HubTrouble::Slow,
        LineFault::Untrusted => HubTrouble::Untrusted,
    }
}

fn of_answer(error: WireError) -> HubTrouble {
    match error {
        WireError::Foreign => HubTrouble::Foreign,
        WireError::TooLarge | WireError::Torn => HubTrouble::Garbled,
        WireError::Malformed => HubTrouble::Version,
    }
}

fn of_refusal(refusal: Refusal) -> HubTrouble {
    match refusal {
        Refusal::Protocol { .. } => HubTrouble::Version,
        Refusal::Unreadable | Refusal::Forged => HubTrouble::Garbled,
        Refusal::TooLarge => HubTrouble::TooLarge,
        // A code is judged when it is typed; an exchange bears none.
        Refusal::UnknownKey | Refusal::Code => HubTrouble::Unknown,
        Refusal::Revoked => HubTrouble::Revoked,
        Refusal::Stale { .. } | Refusal::Repeated { .. } | Refusal::Busy { .. } => HubTrouble::Busy,
        Refusal::NotYourSite => HubTrouble::NotOurs,
        Refusal::Epoch { .. } => HubTrouble::Anew,
        Refusal::TooManySites => HubTrouble::TooMany,
        Refusal::HubRestored => HubTrouble::HubRestored,
        Refusal::Gone => HubTrouble::Gone,
    }
}
