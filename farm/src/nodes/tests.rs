//! Settings and commands on a real file, with a clock that the test sets.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use farm_model::{Clock, ClockQuality, DeviceKind, Link, Stamp};
use firmware_protocol::Outcome;

use super::*;
use crate::{
    audit,
    devices::{self, DeviceForm},
    store::{Actor, Farm, Options},
    text::{Name, Slug},
};

/// Milliseconds that have passed.
#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Stamp {
        let passed = self.0.load(Ordering::Relaxed);
        Stamp {
            wall: UnixMillis(1_790_000_000_000 + passed),
            clock: ClockQuality::Synced,
            boot: 0,
            mono: passed as u64,
        }
    }
}

async fn rig(dir: &tempfile::TempDir) -> (Farm, Arc<Hand>, DeviceId) {
    let hand = Arc::new(Hand::default());
    let options = Options {
        clock: Arc::clone(&hand) as Arc<dyn Clock>,
        ..Options::default()
    };
    let farm = Farm::open(&dir.path().join("farm.db"), options).unwrap();
    let form = DeviceForm {
        slug: Slug::new("barn").unwrap(),
        name: Name::new("Barn").unwrap(),
        kind: DeviceKind::Sensor,
        link: Link::Mqtt { client: None },
        place: None,
        expect_every_s: None,
    };
    let device = farm
        .write(Actor::System, move |tx| devices::add(tx, &form))
        .await
        .unwrap();
    (farm, hand, device)
}

async fn with_key(farm: &Farm, device: DeviceId) {
    farm.write(Actor::System, move |tx| {
        credentials::issue_frame_key(tx, device)
    })
    .await
    .unwrap();
}

async fn want(farm: &Farm, device: DeviceId, settings: Settings) -> Result<Wanted, NodeError> {
    farm.write(Actor::CommandLine, move |tx| {
        set_settings(tx, device, settings)
    })
    .await
}

async fn hear(farm: &Farm, device: DeviceId, word: Said) -> Wanted {
    let heard = farm.write(Actor::System, move |tx| {
        said(tx, device, word)?;
        settings(tx.conn(), device)
    });
    heard.await.unwrap().unwrap()
}

async fn to_tell(farm: &Farm, device: DeviceId) -> Outstanding {
    let now = farm.clock().now();
    let mut all = farm.read(move |conn| outstanding(conn, now)).await.unwrap();
    all.remove(&device).unwrap_or_default()
}

fn minute() -> Settings {
    Settings {
        measure_every_s: Some(60),
        ..Settings::default()
    }
}

fn looked(wanted: &Wanted, outcome: Outcome) -> Said {
    Said::Looked {
        version: wanted.version,
        outcome,
        unknown: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_told_until_the_node_has_them_and_again_when_it_lost_them() {
    let dir = tempfile::tempdir().unwrap();
    let (farm, _, device) = rig(&dir).await;
    let nobody = want(&farm, device, minute()).await;
    assert!(matches!(nobody, Err(NodeError::NoNode)));
    with_key(&farm, device).await;
    let wanted = want(&farm, device, minute()).await.unwrap();
    assert_eq!(want(&farm, device, minute()).await.unwrap(), wanted);
    assert_eq!(to_tell(&farm, device).await.settings, Some(wanted.clone()));

    // An older version says nothing of this one.
    let after = hear(&farm, device, Said::Has(wanted.version - 1)).await;
    assert_eq!(after.standing, Standing::Waiting);
    let after = hear(&farm, device, looked(&wanted, Outcome::Done)).await;
    assert!(matches!(
        after.standing,
        Standing::InForce { unknown: 0, .. }
    ));
    assert!(to_tell(&farm, device).await.is_empty());

    let lost = hear(&farm, device, Said::Has(0)).await;
    assert_eq!(
        (lost.version, lost.standing),
        (wanted.version, Standing::Waiting)
    );
    let foreign = hear(&farm, device, Said::Has(wanted.version + 7)).await;
    assert_eq!(foreign.version, wanted.version + 8);
    assert_eq!(to_tell(&farm, device).await.settings, Some(foreign));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_refused_is_told_again_only_when_somebody_wants_it() {
    let dir = tempfile::tempdir().unwrap();
    let (farm, _, device) = rig(&dir).await;
    with_key(&farm, device).await;
    let wild = Settings {
        retry_after_s: Some(0),
        ..Settings::default()
    };
    let error = want(&farm, device, wild).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "retry_after_s must be from 1 to 300 seconds: choose a number between them"
    );
    let wanted = want(&farm, device, minute()).await.unwrap();
    let refused = hear(&farm, device, looked(&wanted, Outcome::Refused)).await;
    assert!(matches!(refused.standing, Standing::Refused { .. }));
    hear(&farm, device, Said::Has(0)).await;
    assert!(to_tell(&farm, device).await.is_empty());
    let again = want(&farm, device, minute()).await.unwrap();
    assert!(again.version > wanted.version);
    assert_eq!(to_tell(&farm, device).await.settings, Some(again));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_told_until_it_is_answered_and_never_late() {
    let dir = tempfile::tempdir().unwrap();
    let (farm, hand, device) = rig(&dir).await;
    with_key(&farm, device).await;
    let ask = async |deed| {
        let asked = farm.write(Actor::CommandLine, move |tx| command(tx, device, deed));
        asked.await.unwrap()
    };
    let first = ask(Deed::Restart).await;
    assert_eq!(ask(Deed::Restart).await, first);
    let second = ask(Deed::Identify).await;
    let told = to_tell(&farm, device).await.commands;
    let ids: Vec<_> = told.iter().map(|c| c.id).collect();
    assert!(ids == [first, second] && first < second, "{ids:?}");

    let word = async |id, outcome| {
        let said = farm.write(Actor::System, move |tx| answered(tx, device, id, outcome));
        said.await.unwrap();
    };
    let fates = async || {
        let kept = farm.read(move |conn| commands(conn, device)).await.unwrap();
        let now = farm.clock().now();
        let fates = kept.iter().map(|c| (c.deed.key(), c.fate(now).key()));
        fates.collect::<Vec<_>>()
    };
    word(second, Outcome::Done).await;
    word(second, Outcome::Failed).await;
    hand.0.store(LASTS_MS - 1, Ordering::Relaxed);
    assert_eq!(fates().await, [("identify", "done"), ("restart", "told")]);
    hand.0.store(LASTS_MS, Ordering::Relaxed);
    assert!(to_tell(&farm, device).await.is_empty());
    assert_eq!(fates().await, [("identify", "done"), ("restart", "over")]);
    // Late as it is, that is what happened.
    word(first, Outcome::Done).await;
    assert_eq!(fates().await[1], ("restart", "done"));

    let log = farm.read(|conn| audit::list(conn, None, 10)).await.unwrap();
    let asked = log.iter().filter(|e| e.action == "node.command");
    let asked: Vec<_> = asked.map(|e| e.actor.as_str()).collect();
    assert_eq!(asked, ["command-line", "command-line"]);
}

#[test]
fn across_a_restart_only_a_trusted_clock_keeps_a_command() {
    let stamp = |boot, minutes: i64, clock| Stamp {
        wall: UnixMillis(minutes * 60_000),
        clock,
        boot,
        mono: 1_000,
    };
    let command = |asked| Command {
        id: 1,
        deed: Deed::Restart,
        by: "system".to_owned(),
        asked,
        answer: None,
    };
    let synced = command(stamp(1, 0, ClockQuality::Synced));
    let soon = stamp(2, 5, ClockQuality::Synced);
    assert_eq!(synced.fate(soon), Fate::Told);
    for now in [
        stamp(2, 21, ClockQuality::Synced),
        stamp(2, -5, ClockQuality::Synced),
        stamp(2, 5, ClockQuality::Restored),
    ] {
        assert_eq!(synced.fate(now), Fate::Over, "{now:?}");
    }
    let unsure = command(stamp(1, 0, ClockQuality::Told));
    assert_eq!(unsure.fate(soon), Fate::Over);
}
