//! Stores that are full, slow, or refuse: what docs/faults.md states.

use edge_node::ingest::{Told, read_publish};
use farm::{Actor, FileError, StoreError};
use farm_model::{DeviceKind, PlaceKind, Quantity, place::PlaceDetails};
use futures_util::FutureExt;

use crate::rig::{Rig, measured, until, within};

#[tokio::test]
async fn a_full_disk_keeps_everybody_waiting_and_loses_nothing() {
    let rig = Rig::start();
    let room = rig
        .place(PlaceKind::Room, "barn", PlaceDetails::default())
        .await;
    let probe = rig
        .device("probe", DeviceKind::TemperatureProbe, room)
        .await;
    rig.limit(Some(0)).await;
    let told = (0..4_000)
        .map(|n| rig.observation(probe, measured(Quantity::Temperature, f64::from(n) / 100.0)))
        .map(|o| {
            Told::Observed(farm_model::Observation {
                raw: vec![7; 64],
                ..o
            })
        })
        .collect();
    let mut stored = rig.intake.submit(told);
    // Three groups have failed: it is tried again and again.
    let before = rig.farm.commits();
    until(|| rig.farm.commits() >= before + 3).await;
    assert!(
        (&mut stored).now_or_never().is_none(),
        "nothing is acknowledged"
    );
    assert_eq!(rig.count("SELECT count(*) FROM reading_log").await, 0);
    rig.limit(None).await;
    assert_eq!(within(stored).await.unwrap().stored, 4_000);
    assert_eq!(rig.count("SELECT count(*) FROM reading_log").await, 4_000);
}

#[tokio::test]
async fn a_store_that_stands_still_shows_and_nothing_is_lost() {
    let rig = Rig::start();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let farm = rig.farm.clone();
    let stalled = tokio::spawn(async move {
        let hold = move |_: &mut farm::Tx<'_>| {
            wait.recv().expect("the test lets it go on");
            Ok::<_, StoreError>(())
        };
        farm.write(Actor::System, hold).await
    });
    until(|| rig.farm.waiting() == 0).await;
    let now = farm_model::Clock::now(&**rig.farm.clock());
    let told = read_publish("farm/environment/barn/temp", br#"{"value": 21.5}"#, now).unwrap();
    let mut stored = rig.intake.submit(vec![told]);
    assert!(!rig.pulse.is_stalled());
    until(|| rig.pulse.is_stalled()).await;
    assert!(
        (&mut stored).now_or_never().is_none(),
        "nothing is acknowledged"
    );
    go_on.send(()).unwrap();
    stalled.await.unwrap().unwrap();
    assert_eq!(within(stored).await.unwrap().stored, 1);
    until(|| !rig.pulse.is_stalled()).await;
}

#[tokio::test]
async fn what_the_store_refuses_is_set_aside_and_the_rest_is_kept() {
    let rig = Rig::start();
    let room = rig
        .place(PlaceKind::Room, "barn", PlaceDetails::default())
        .await;
    let probe = rig
        .device("probe", DeviceKind::TemperatureProbe, room)
        .await;
    rig.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON reading_log WHEN NEW.value = 13000 BEGIN SELECT RAISE(ABORT, 'no'); END;
         CREATE TRIGGER forget BEFORE INSERT ON mqtt_retained WHEN NEW.topic = 'farm/bad' BEGIN SELECT RAISE(ABORT, 'no'); END;",
    )
    .await;
    let value =
        |celsius| Told::Observed(rig.observation(probe, measured(Quantity::Temperature, celsius)));
    let retained = |topic: &str| {
        Told::Retained(farm::retained::Retained {
            topic: topic.into(),
            payload: b"1".to_vec(),
            qos: 1,
            properties: Vec::new(),
            expiry_s: None,
        })
    };
    let now = farm_model::Clock::now(&**rig.farm.clock());
    let told = vec![
        value(12.0),
        value(13.0),
        value(14.0),
        read_publish("farm/milk/17/morning", b"not json", now).unwrap(),
        retained("farm/bad"),
        retained("farm/good"),
    ];
    let report = within(rig.intake.submit(told)).await.unwrap();
    assert_eq!((report.stored, report.flagged), (3, 1));
    assert_eq!(rig.count("SELECT count(*) FROM reading_log").await, 2);
    assert_eq!(
        rig.count("SELECT count(*) FROM mqtt_retained WHERE topic = 'farm/good'")
            .await,
        1
    );
    let refused = "SELECT sum(n) FROM reject_count WHERE reason = 'store_refused'";
    assert_eq!(
        rig.count(refused).await,
        2,
        "the value and the retained message"
    );
    let not_json = "SELECT sum(n) FROM reject_count WHERE reason = 'not_json'";
    assert_eq!(rig.count(not_json).await, 1, "rejects are kept too");
}

#[tokio::test]
async fn a_new_topic_that_cannot_be_stored_is_refused_and_welcome_later() {
    let rig = Rig::start();
    rig.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON device BEGIN SELECT RAISE(ABORT, 'no'); END;",
    )
    .await;
    let now = farm_model::Clock::now(&**rig.farm.clock());
    let told = || vec![read_publish("farm/tank/3/temp", br#"{"value": 4}"#, now).unwrap()];
    let refused = within(rig.intake.submit(told())).await;
    assert!(
        matches!(refused, Err(StoreError::File(FileError::Sql(_)))),
        "{refused:?}"
    );
    rig.execute("DROP TRIGGER refuse").await;
    assert_eq!(within(rig.intake.submit(told())).await.unwrap().stored, 1);
}

#[tokio::test]
async fn everybody_hears_what_became_of_their_own() {
    let rig = Rig::start();
    rig.publish("farm/environment/barn/temp", r#"{"value": 20, "id": "a"}"#)
        .await;
    let now = farm_model::Clock::now(&**rig.farm.clock());
    let told = |payload: &str| {
        let told = read_publish("farm/environment/barn/temp", payload.as_bytes(), now).unwrap();
        rig.intake.submit(vec![told])
    };
    // All three are in the queue before the pipeline turns: one batch.
    let (again, new, wild) = (
        told(r#"{"value": 20, "id": "a"}"#),
        told(r#"{"value": 21, "id": "b"}"#),
        told(r#"{"value": 2000, "id": "c"}"#),
    );
    let (again, new, wild) = (
        again.await.unwrap(),
        new.await.unwrap(),
        wild.await.unwrap(),
    );
    assert_eq!((again.stored, again.duplicates), (0, 1));
    assert_eq!((new.stored, new.duplicates), (1, 0));
    assert_eq!((wild.stored, wild.flagged), (1, 1));
}
