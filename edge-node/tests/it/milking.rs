//! Milkings through the whole pipeline: exactly once, whatever ends in between.

use edge_acquire::Inbound;
use farm::{
    Actor, StoreError,
    alerts::AlertKind,
    devices::{self, DeviceForm},
    settings,
    text::{Name, Slug},
};
use farm_model::{
    Body, DeviceId, DeviceKind, Link, Observation, PlaceKind, Quantity,
    device::{ReadFunction, RegisterField, RegisterMap, RegisterType, WordOrder},
    live::Phase,
    place::PlaceDetails,
};

use crate::rig::{Rig, measured, within};

const TAG: &str = "050000000000017";

/// A parlour of one stall.
struct Stall {
    reader: DeviceId,
    meter: DeviceId,
}

impl Stall {
    /// Builds it, with a cow to milk; the pipeline is started again, so that it knows all of it from its first reading.
    async fn build() -> (Rig, Self) {
        let rig = Rig::start();
        let stall = Self::add(&rig).await;
        (rig.killed().await, stall)
    }

    async fn add(rig: &Rig) -> Self {
        let place = rig
            .place(PlaceKind::Stall, "1", PlaceDetails::default())
            .await;
        rig.cow("17", TAG).await;
        Self {
            reader: rig
                .device("stall-1-reader", DeviceKind::RfidReader, place)
                .await,
            meter: rig
                .device("stall-1-meter", DeviceKind::MilkMeter, place)
                .await,
        }
    }

    fn tag(&self, rig: &Rig) -> Observation {
        let tag = TAG.parse().unwrap();
        rig.observation(self.reader, Body::Identified { tag })
    }

    fn meter(&self, rig: &Rig, flow: f64, total: f64) -> Vec<Observation> {
        vec![
            rig.observation(self.meter, measured(Quantity::MilkFlow, flow)),
            rig.observation(self.meter, measured(Quantity::MilkTotal, total)),
        ]
    }
}

/// What a reader and a meter say of 9 litres: the seconds that pass before, the flow and the total; each is one message.
const NINE_LITRES: [(i64, f64, f64); 8] = [
    (0, 0.0, 1_000.0),
    (5, 2.0, 1_000.2),
    (20, 3.0, 1_001.2),
    (20, 3.0, 1_002.2),
    (25, 3.6, 1_006.0),
    (25, 2.0, 1_009.0),
    (20, 0.0, 1_009.0),
    (25, 0.0, 1_009.0),
];

async fn milk(rig: &Rig, stall: &Stall, step: usize) {
    let (seconds, flow, total) = NINE_LITRES[step];
    rig.clock.pass(seconds);
    let mut told = stall.meter(rig, flow, total);
    if step < 3 {
        told.insert(0, stall.tag(rig));
    }
    rig.tell(told).await;
}

async fn assert_one_visit_of_nine_litres(rig: &Rig) {
    let visits = rig.count("SELECT count(*) FROM visit").await;
    let yield_ml = rig.count("SELECT sum(yield_ml) FROM visit").await;
    let known = rig
        .count("SELECT count(*) FROM visit WHERE animal IS NOT NULL")
        .await;
    assert_eq!((visits, yield_ml, known), (1, 9_000, 1));
}

#[tokio::test]
async fn the_visit_is_on_disk_when_its_last_reading_is_acknowledged() {
    let (rig, stall) = Stall::build().await;
    for step in 0..NINE_LITRES.len() {
        milk(&rig, &stall, step).await;
    }
    assert_one_visit_of_nine_litres(&rig).await;
}

#[tokio::test]
async fn a_process_that_is_killed_anywhere_goes_on_where_it_was() {
    for killed_after in 0..NINE_LITRES.len() {
        let (mut rig, stall) = Stall::build().await;
        for step in 0..NINE_LITRES.len() {
            milk(&rig, &stall, step).await;
            if step == killed_after {
                rig = rig.killed().await;
            }
        }
        assert_one_visit_of_nine_litres(&rig).await;
    }
}

#[tokio::test]
async fn an_old_total_sent_again_is_no_restart_of_the_meter() {
    let (mut rig, stall) = Stall::build().await;
    let keyed = |mut told: Vec<Observation>, step: usize| {
        for (i, observation) in told.iter_mut().enumerate() {
            observation.key = Some(format!("{step}/{i}"));
        }
        told
    };
    for (step, (seconds, flow, total)) in NINE_LITRES.into_iter().enumerate() {
        rig.clock.pass(seconds);
        if step < 3 {
            rig.tell(vec![stall.tag(&rig)]).await;
        }
        let report = rig.tell(keyed(stall.meter(&rig, flow, total), step)).await;
        assert_eq!((report.stored, report.duplicates), (2, 0));
        if step == 4 {
            // The line was cut before the acknowledgements came: the node sends its last three messages again, first to the
            // process that took them, then to the one after it.
            for _ in 0..2 {
                for (old, (_, flow, total)) in NINE_LITRES.into_iter().enumerate().take(5).skip(2) {
                    let report = rig.tell(keyed(stall.meter(&rig, flow, total), old)).await;
                    assert_eq!((report.stored, report.duplicates), (0, 2));
                }
                rig = rig.killed().await;
            }
        }
    }
    assert_one_visit_of_nine_litres(&rig).await;
}

#[tokio::test]
async fn what_drivers_handed_over_is_written_before_the_end() {
    let (rig, stall) = Stall::build().await;
    for _ in 0..10 {
        rig.clock.pass(1);
        let observations = stall.meter(&rig, 0.0, 1_000.0);
        let inbound = Inbound {
            observations,
            ..Inbound::default()
        };
        rig.drivers.send(inbound).await.unwrap();
    }
    let farm = rig.stop().await;
    let stored = farm.read(|conn| {
        Ok::<i64, StoreError>(
            conn.query_row("SELECT count(*) FROM reading_log", [], |row| row.get(0))?,
        )
    });
    assert_eq!(stored.await.unwrap(), 20);
}

#[tokio::test]
async fn a_cow_without_milk_rings_and_her_milk_ends_it() {
    let (rig, stall) = Stall::build().await;
    rig.tell(stall.meter(&rig, 0.0, 1_000.0)).await;
    rig.tell(vec![stall.tag(&rig)]).await;
    for _ in 0..10 {
        rig.clock.pass(20);
        let mut told = stall.meter(&rig, 0.0, 1_000.0);
        told.push(stall.tag(&rig));
        rig.tell(told).await;
    }
    rig.until_alerts(&[AlertKind::NoFlow]).await;
    rig.clock.pass(10);
    rig.tell(stall.meter(&rig, 3.0, 1_000.5)).await;
    rig.until_alerts(&[]).await;
}

#[tokio::test]
async fn another_time_zone_is_another_session_at_once() {
    let rig = Rig::start();
    let mut parlour = rig.farm.live().watch_parlour();
    within(parlour.wait_for(|p| p.session.is_some_and(|s| s.number == 1)))
        .await
        .unwrap();
    let moved = rig.farm.write(Actor::System, |tx| {
        let mut settings = settings::load(tx.conn())?;
        settings.timezone = "Pacific/Auckland".into();
        settings::save(tx, &settings)
    });
    moved.await.unwrap();
    // 08:00 in Dhaka is 15:00 in Auckland: the afternoon's session.
    within(parlour.wait_for(|p| p.session.is_some_and(|s| s.number == 2)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_new_stall_milks_without_a_restart() {
    let rig = Rig::start();
    let stall = Stall::add(&rig).await;
    let parlour = rig.farm.live().watch_parlour();
    let milking = || {
        let stalls = &parlour.borrow().stalls;
        stalls.iter().any(|stall| stall.phase == Phase::Milking)
    };
    within(async {
        while !milking() {
            rig.clock.pass(1);
            rig.tell(stall.meter(&rig, 2.0, 1_000.0)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_first_tag_of_a_reader_that_nobody_knew_is_heard_in_the_parlour() {
    let rig = Rig::start();
    let cow = rig.cow("17", TAG).await;
    let rig = rig.killed().await;
    rig.publish("farm/stall/3/tag", &format!(r#"{{"tag": "{TAG}"}}"#))
        .await;
    let parlour = rig.farm.live().parlour();
    let stalls: Vec<_> = parlour
        .stalls
        .iter()
        .map(|s| (s.stall.0, s.phase, s.animal))
        .collect();
    assert_eq!(stalls, [(3, Phase::Waiting, Some(cow))]);
}

/// A meter whose total is one register of 10 mL: after 655.36 L it shows 0 again.
async fn small_meter(rig: &Rig, stall: &Stall) {
    let field = RegisterField {
        quantity: Quantity::MilkTotal,
        function: ReadFunction::HoldingRegisters,
        address: 0,
        kind: RegisterType::U16,
        order: WordOrder::Abcd,
        scale: 0.01,
        offset: 0.0,
        missing: Vec::new(),
        wraps_after: None,
    };
    let link = Link::ModbusTcp {
        host: "127.0.0.1".into(),
        port: 502,
        unit: 1,
        map: RegisterMap {
            fields: vec![field],
            ..RegisterMap::default()
        },
    };
    let meter = stall.meter;
    let edited = rig.farm.write(Actor::System, move |tx| {
        let device = devices::get(tx.conn(), meter)?.unwrap();
        let form = DeviceForm {
            slug: Slug::new(&device.slug).unwrap(),
            name: Name::new(&device.name).unwrap(),
            kind: device.kind,
            link,
            place: device.place,
            expect_every_s: None,
        };
        devices::edit(tx, meter, &form)
    });
    edited.await.unwrap();
}

#[tokio::test]
async fn a_total_that_rolls_over_or_restarts_in_the_middle_loses_no_milk() {
    // Nine litres, of which the meter shows the last five after its counter began anew: by its width, and by a reset.
    for (before, after) in [(651.36, 0.0), (300.0, 0.0)] {
        let (rig, stall) = Stall::build().await;
        small_meter(&rig, &stall).await;
        let rig = rig.killed().await;
        for (step, (seconds, flow, litres)) in NINE_LITRES.into_iter().enumerate() {
            let litres = litres - 1_000.0;
            // Four litres before, five after.
            let total = if litres < 4.0 {
                before + litres
            } else {
                after + litres - 4.0
            };
            rig.clock.pass(seconds);
            let mut told = stall.meter(&rig, flow, total);
            if step < 3 {
                told.insert(0, stall.tag(&rig));
            }
            rig.tell(told).await;
        }
        let visits = rig.count("SELECT count(*) FROM visit").await;
        let yield_ml = rig.count("SELECT sum(yield_ml) FROM visit").await;
        let restarted = "SELECT count(*) FROM visit WHERE findings & (1 << 6)";
        let restarted = rig.count(restarted).await == 1;
        match before {
            651.36 => assert_eq!((visits, yield_ml, restarted), (1, 9_000, false)),
            // What flowed between the last reading and the reset nobody saw.
            _ => assert_eq!((visits, yield_ml, restarted), (1, 7_200, true)),
        }
    }
}
