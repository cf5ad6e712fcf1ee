//! Laws of a rollout, over whole simulated ones.

use farm_firmware::{Ended, Member, Milking, Rules, Update, Wait, decide, is_in_share};
use farm_model::DeviceId;
use proptest::prelude::*;

const RULES: Rules = Rules {
    prove_ms: 1_000,
    at_once: 3,
    trial_ms: 5_000,
    again_ms: 200,
};

fn device(n: u8) -> DeviceId {
    DeviceId::from_bytes([n; 16])
}

fn member(n: u8) -> Member {
    Member {
        device: device(n),
        update: None,
        age_ms: 0,
        ran_ms: 0,
        settled: false,
    }
}

/// What a node does when it is next looked at.
#[derive(Clone, Copy, Debug)]
enum Does {
    Nothing,
    Goes,
    RollsBack,
}

fn step(member: &mut Member, does: Does) {
    let next = match (member.update, does) {
        (_, Does::Nothing) | (None, _) => return,
        (Some(Update::Offered), _) => Update::Verified,
        (Some(Update::Verified), _) => Update::Trying,
        (Some(Update::Trying), Does::RollsBack) => Update::Ended(Ended::RolledBack),
        (Some(Update::Trying), Does::Goes) => Update::Ended(Ended::Confirmed),
        (Some(update), _) => {
            if update == Update::Ended(Ended::Confirmed) {
                member.ran_ms = member.age_ms;
            }
            return;
        }
    };
    member.update = Some(next);
    member.age_ms = 0;
}

fn offer(members: &mut [Member], devices: &[DeviceId]) {
    for member in members.iter_mut().filter(|m| devices.contains(&m.device)) {
        member.update = Some(Update::Offered);
        member.age_ms = 0;
    }
}

#[test]
fn one_node_goes_first_and_the_others_wait_until_it_has_proven_itself() {
    let mut members: Vec<_> = (0..5).map(member).collect();
    let first = decide(&members, &RULES, Milking::No);
    assert_eq!((first.offer, first.wait), (vec![device(0)], None));

    offer(&mut members, &[device(0)]);
    let waiting = decide(&members, &RULES, Milking::No);
    let first_node = Some(Wait::FirstNode(device(0)));
    assert_eq!((waiting.offer, waiting.wait), (vec![], first_node));
    members[0].age_ms = 200;
    let again = decide(&members, &RULES, Milking::No);
    assert_eq!(
        again.offer,
        [device(0)],
        "an offer that was lost is made again"
    );

    members[0].update = Some(Update::Ended(Ended::Confirmed));
    members[0].age_ms = 9_000;
    for ran_ms in [0, 999] {
        members[0].ran_ms = ran_ms;
        let proving = decide(&members, &RULES, Milking::No);
        assert_eq!(
            (proving.offer, proving.wait),
            (vec![], Some(Wait::Proving(device(0))))
        );
    }
    members[0].ran_ms = 1_000;
    let rest = decide(&members, &RULES, Milking::No);
    assert_eq!(
        rest.offer,
        [device(1), device(2), device(3)],
        "a few at a time"
    );
}

#[test]
fn a_bad_end_stops_it_until_somebody_lets_it_pass() {
    let mut members: Vec<_> = (0..3).map(member).collect();
    members[0].update = Some(Update::Ended(Ended::RolledBack));
    let stopped = decide(&members, &RULES, Milking::No);
    assert_eq!(stopped.pause, Some((device(0), Ended::RolledBack)));
    assert!(stopped.offer.is_empty());
    members[0].settled = true;
    let on = decide(&members, &RULES, Milking::No);
    assert_eq!((on.offer, on.pause), (vec![device(1)], None));
}

#[test]
fn a_trial_that_lasts_too_long_is_over() {
    let mut members = vec![member(0)];
    members[0].update = Some(Update::Trying);
    members[0].age_ms = 4_999;
    assert_eq!(decide(&members, &RULES, Milking::Yes).trial_over, []);
    members[0].age_ms = 5_000;
    let over = decide(&members, &RULES, Milking::Yes).trial_over;
    assert_eq!(over, [device(0)], "while cows are milked, too");
}

#[test]
fn a_larger_share_holds_the_smaller() {
    let devices: Vec<_> = (0..=255).map(device).collect();
    let in_share = |percent| {
        let inside = devices.iter().filter(|d| is_in_share(7, **d, percent));
        inside.copied().collect::<Vec<_>>()
    };
    assert!(in_share(0).is_empty());
    assert_eq!(in_share(100).len(), 256);
    let (ten, half) = (in_share(10), in_share(50));
    assert!((10..60).contains(&ten.len()) && (90..170).contains(&half.len()));
    assert!(ten.iter().all(|d| half.contains(d)));
}

proptest! {
    #[test]
    fn whatever_nodes_do(
        count in 1_u8..12,
        does in prop::collection::vec(prop_oneof![2 => Just(Does::Nothing), 6 => Just(Does::Goes), 1 => Just(Does::RollsBack)], 400),
        milked in prop::collection::vec(any::<bool>(), 400),
    ) {
        let mut members: Vec<_> = (0..count).map(member).collect();
        for (round, (does, milked)) in does.iter().zip(&milked).enumerate() {
            for member in &mut members {
                member.age_ms += 100;
            }
            let milking = if *milked { Milking::Yes } else { Milking::No };
            let decision = decide(&members, &RULES, milking);
            let rolled_back = members.iter().any(|m| m.update == Some(Update::Ended(Ended::RolledBack)));
            prop_assert_eq!(decision.pause.is_some(), rolled_back);
            if rolled_back || *milked {
                prop_assert!(decision.offer.is_empty());
            }
            let confirmed = |m: &&Member| m.update == Some(Update::Ended(Ended::Confirmed));
            let proven = members.iter().filter(confirmed).any(|m| m.ran_ms >= RULES.prove_ms);
            offer(&mut members, &decision.offer);
            let at_it = members.iter().filter(|m| m.update.is_some_and(|u| u.ended().is_none())).count();
            let most = if proven { RULES.at_once } else { 1 };
            prop_assert!(at_it <= most);
            let which = round % members.len();
            step(&mut members[which], *does);
        }
    }
}
