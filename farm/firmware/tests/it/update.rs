//! Laws of one node's update, whatever is told in whatever order.

use farm_firmware::{Ended, Event, Update};
use firmware_protocol::UpdateState;
use proptest::prelude::*;

fn told(state: UpdateState) -> Event {
    Event::Reports { state, have: 512 }
}

fn any_state() -> impl Strategy<Value = UpdateState> {
    prop_oneof![
        Just(UpdateState::Idle),
        Just(UpdateState::Fetching),
        Just(UpdateState::Verified),
        Just(UpdateState::Trying),
        Just(UpdateState::Confirmed),
        Just(UpdateState::RolledBack),
        Just(UpdateState::Refused),
        Just(UpdateState::Failed),
        Just(UpdateState::Other(77)),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<u32>().prop_map(|offset| Event::Asks { offset }),
        (any_state(), any::<u32>()).prop_map(|(state, have)| Event::Reports { state, have }),
        Just(Event::RunsOther),
        Just(Event::TrialOver),
        Just(Event::Withdraw),
    ]
}

fn run(events: &[Event]) -> Update {
    events.iter().fold(Update::Offered, |update, event| {
        update.next(*event).unwrap_or(update)
    })
}

#[test]
fn an_update_goes_its_way() {
    for (events, end) in [
        (&[][..], "offered"),
        (&[Event::Asks { offset: 0 }], "downloading"),
        (
            &[Event::Asks { offset: 0 }, told(UpdateState::Verified)],
            "verified",
        ),
        (
            &[told(UpdateState::Verified), told(UpdateState::Trying)],
            "trying",
        ),
        (
            &[told(UpdateState::Trying), told(UpdateState::Confirmed)],
            "confirmed",
        ),
        (
            &[told(UpdateState::Trying), told(UpdateState::RolledBack)],
            "rolled_back",
        ),
        (
            &[told(UpdateState::Trying), Event::RunsOther],
            "rolled_back",
        ),
        (&[told(UpdateState::Trying), Event::TrialOver], "silent"),
        (&[told(UpdateState::Refused)], "refused"),
        (&[told(UpdateState::Failed)], "flash_failed"),
        (&[Event::Asks { offset: 9 }, Event::Withdraw], "withdrawn"),
        // Power went, and flash with it.
        (
            &[told(UpdateState::Verified), Event::Asks { offset: 0 }],
            "downloading",
        ),
        // Late, twice, out of order.
        (
            &[told(UpdateState::Trying), told(UpdateState::Fetching)],
            "trying",
        ),
        (
            &[told(UpdateState::Confirmed), told(UpdateState::Trying)],
            "confirmed",
        ),
        (
            &[told(UpdateState::Confirmed), Event::Asks { offset: 0 }],
            "confirmed",
        ),
        // Too late to be taken back: what the node does counts.
        (&[told(UpdateState::Trying), Event::Withdraw], "trying"),
        (
            &[
                Event::Withdraw,
                told(UpdateState::Trying),
                told(UpdateState::Confirmed),
            ],
            "confirmed",
        ),
        (
            &[
                told(UpdateState::Trying),
                Event::TrialOver,
                told(UpdateState::Confirmed),
            ],
            "confirmed",
        ),
    ] {
        assert_eq!(run(events).key(), end, "{events:?}");
    }
}

proptest! {
    #[test]
    fn a_confirmed_or_failed_update_never_changes(
        events in prop::collection::vec(any_event(), 0..20),
        later in prop::collection::vec(any_event(), 0..20),
    ) {
        let before = run(&events);
        let last = matches!(before.ended(), Some(end) if !matches!(end, Ended::Withdrawn | Ended::Silent));
        if last {
            let after = later.iter().fold(before, |u, e| u.next(*e).unwrap_or(u));
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn what_is_told_twice_changes_nothing(events in prop::collection::vec(any_event(), 0..20)) {
        let mut update = Update::Offered;
        for event in events {
            let once = update.next(event).unwrap_or(update);
            if !matches!(event, Event::RunsOther | Event::TrialOver | Event::Withdraw) {
                prop_assert_eq!(once.next(event).unwrap_or(once), once);
            }
            update = once;
        }
    }

    #[test]
    fn confirmed_is_only_what_a_node_has_confirmed(events in prop::collection::vec(any_event(), 0..20)) {
        if run(&events).ended() == Some(Ended::Confirmed) {
            let said = events.iter().any(|e| matches!(e, Event::Reports { state: UpdateState::Confirmed, .. }));
            prop_assert!(said);
        }
    }

    #[test]
    fn the_store_reads_back_what_it_keeps(events in prop::collection::vec(any_event(), 0..9)) {
        let update = run(&events);
        prop_assert_eq!(Update::from_key(update.key(), update.have()), Some(update));
    }
}
