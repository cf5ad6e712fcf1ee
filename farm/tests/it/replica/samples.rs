//! Sensors' values at a place where they were not measured.

use farm::{
    Change, Farm, Origin, Resume, StoreError,
    alerts::{self, AlertKind, Subject},
    devices::{self, DeviceForm},
    readings::{self, Point, Resolution},
    replica,
    retention::{self, Budget},
    samples,
    text::Slug,
    watch,
};
use farm_model::{
    Body, Clock as _, DeviceId, DeviceKind, Flaw, Link, Milli, Observation, Quality, Quantity, Tag,
    UnixMillis,
};
use sync::{
    Sender, Value,
    exchange::{self, Speak},
    facts,
    wire::{self, Part},
};

use super::several::{Dice, Place, deliver, gather, join};
use crate::support::{DAY, HOUR, MINUTE, NOW, name};

pub(super) const SLOT: i64 = 5 * MINUTE;

pub(super) fn device(place: &Place, slug: &str, kind: DeviceKind) -> DeviceId {
    let form = DeviceForm {
        slug: Slug::new(slug).unwrap(),
        name: name(slug),
        kind,
        link: Link::Http,
        place: None,
        expect_every_s: Some(60),
    };
    place.write(move |tx| devices::add(tx, &form)).unwrap()
}

pub(super) fn measured(place: &Place, device: DeviceId, at: UnixMillis, milli: i64) -> Observation {
    let stamp = place.farm.clock().now();
    Observation {
        device,
        at: farm_model::Stamp { wall: at, ..stamp },
        body: Body::Measured {
            quantity: Quantity::Temperature,
            value: Some(Milli(milli)),
            quality: Quality::Good,
            flaw: None,
        },
        raw: Vec::new(),
        key: None,
    }
}

/// Stores readings, and does what an appliance does every now and then.
pub(super) fn take(place: &Place, all: Vec<Observation>) {
    place.must(place.write(move |tx| readings::ingest(tx, &all).map(drop)));
    look_after(place);
}

pub(crate) fn look_after(place: &Place) {
    while place.must(place.write(|tx| readings::compact(tx, 500))) == Some(500) {}
    while place.must(place.write(samples::tell)) == Some(true) {}
}

fn history(farm: &Farm, device: DeviceId, resolution: Resolution) -> Vec<Point> {
    let (from, to) = (NOW.plus(-40 * DAY), NOW.plus(40 * DAY));
    farm.read_blocking(|conn| {
        readings::history(conn, device, Quantity::Temperature, from, to, resolution)
    })
    .unwrap()
}

/// Readings of the site itself that its facts tell of, and facts.
fn log(place: &Place) -> Vec<i64> {
    place
        .farm
        .read_blocking(|conn| {
            let mut statement =
                conn.prepare("SELECT seq FROM sample WHERE site = 0 ORDER BY seq")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok::<_, StoreError>(rows.collect::<Result<_, _>>()?)
        })
        .unwrap()
}

/// The same hours and days at both, and all readings once.
fn agree(edge: &Place, hub: &Place, device: DeviceId, readings: i64) {
    for resolution in [Resolution::Hour, Resolution::Day] {
        let (here, there) = (
            history(&edge.farm, device, resolution),
            history(&hub.farm, device, resolution),
        );
        assert_eq!(here, there, "{resolution:?}");
        let n: i64 = there.iter().map(|point| point.n + point.bad).sum();
        assert_eq!(n, readings, "{resolution:?}");
    }
}

#[test]
fn a_probe_is_known_at_the_hub_by_five_minutes_and_every_reading_counts_once() {
    let (edge, hub) = (Place::new(), Place::new());
    let probe = device(&edge, "tank-1", DeviceKind::TemperatureProbe);
    let mut events = hub.farm.events().subscribe();
    let mut dice = Dice(7);
    for second in 0..1_500 {
        edge.clock.pass(1_000);
        let at = edge.farm.clock().now().wall;
        let reading = measured(&edge, probe, at, 4_000 + dice.roll(90) as i64);
        edge.write(move |tx| readings::ingest(tx, &[reading]))
            .unwrap();
        if second % 20 == 19 {
            look_after(&edge);
        }
        if second % 400 == 0 {
            join(&edge, &hub);
        }
    }
    edge.clock.pass(SLOT);
    look_after(&edge);
    join(&edge, &hub);
    join(&edge, &hub);
    agree(&edge, &hub, probe, 1_500);
    let fine = history(&hub.farm, probe, Resolution::Raw);
    assert_eq!(
        fine.len(),
        6,
        "the first span begins before the first reading: {fine:?}"
    );
    assert!(
        log(&edge).len() <= 7,
        "a fact for each span: {:?}",
        log(&edge)
    );

    let (here, there) = (
        edge.farm
            .live()
            .value(probe, Quantity::Temperature)
            .unwrap(),
        hub.farm.live().value(probe, Quantity::Temperature).unwrap(),
    );
    assert_eq!((there.value, there.at), (here.value, here.at));
    assert_eq!(
        (here.origin, there.origin),
        (Origin::Here, Origin::Elsewhere)
    );
    let Resume::Events(events) = events.ready() else {
        panic!("so few events are kept")
    };
    let told = events
        .iter()
        .filter(|event| matches!(event.change, Change::Reading { device, .. } if device == probe));
    assert!((4..=7).contains(&told.count()), "as often as news came");

    hub.write(replica::rebuild).unwrap();
    agree(&edge, &hub, probe, 1_500);
    let again = hub.reopen();
    let found = again.farm.live().value(probe, Quantity::Temperature);
    assert_eq!(found, Some(there), "after a restart");
    assert_eq!(history(&again.farm, probe, Resolution::Raw), fine);
}

#[test]
fn what_comes_late_counts_in_its_own_time_and_what_cannot_be_believed_is_told_as_such() {
    let (edge, hub) = (Place::new(), Place::new());
    let probe = device(&edge, "tank-1", DeviceKind::TemperatureProbe);
    let bad = |at: i64, quality, value| Observation {
        body: Body::Measured {
            quantity: Quantity::Temperature,
            value,
            quality,
            flaw: Some(Flaw::Checksum),
        },
        ..measured(&edge, probe, NOW.plus(at), 0)
    };
    take(&edge, vec![measured(&edge, probe, NOW, 4_100)]);
    edge.clock.pass(SLOT);
    take(&edge, vec![bad(SLOT, Quality::Bad, Some(Milli(85_000)))]);
    edge.clock.pass(SLOT);
    look_after(&edge);
    join(&edge, &hub);
    let newest = hub.farm.live().value(probe, Quantity::Temperature).unwrap();
    assert_eq!(
        (newest.value, newest.quality, newest.flaw),
        (Some(Milli(85_000)), Quality::Bad, Some(Flaw::Checksum))
    );

    // A node was away and tells now what it had kept, out of order; a clock runs ahead.
    let late = [-7, -3, -3, -60, -2].map(|minutes| {
        let at = NOW.plus(minutes * MINUTE);
        measured(&edge, probe, at, 5_000 - minutes * 10)
    });
    let ahead = measured(&edge, probe, NOW.plus(9 * HOUR), 6_000);
    take(&edge, [&late[..], &[ahead]].concat());
    take(&edge, vec![bad(2 * SLOT, Quality::Missing, None)]);
    edge.clock.pass(SLOT);
    look_after(&edge);
    join(&edge, &hub);
    agree(&edge, &hub, probe, 9);
    let all = history(&hub.farm, probe, Resolution::Raw);
    let of = |at: i64| all.iter().find(|p| p.at == NOW.plus(at)).unwrap();
    let five_before = of(-SLOT);
    assert_eq!((five_before.n, five_before.bad), (3, 0));
    assert_eq!(five_before.min, Some(Milli(5_020)));
    assert_eq!((of(SLOT).n, of(SLOT).bad, of(SLOT).value), (0, 1, None));
}

#[test]
fn raw_readings_go_and_whoever_joins_later_is_told_everything_without_a_gap() {
    let (edge, hub) = (Place::new(), Place::new());
    let probe = device(&edge, "tank-1", DeviceKind::TemperatureProbe);
    for day in 0..6 {
        let all = (0..96).map(|quarter| {
            let at = NOW.plus(day * DAY + quarter * 15 * MINUTE);
            measured(&edge, probe, at, 4_000 + quarter)
        });
        take(&edge, all.collect());
        edge.clock.pass(DAY);
    }
    look_after(&edge);
    join(&edge, &hub);
    let before = log(&edge);
    let budget = Budget {
        raw_ms: DAY,
        bytes: 1,
    };
    while edge
        .write(move |tx| retention::enforce(tx, budget))
        .unwrap()
        .more
    {}
    assert!(history(&edge.farm, probe, Resolution::Raw).is_empty());
    assert_eq!(log(&edge), before);
    assert_eq!(before, (1..=before.len() as i64).collect::<Vec<_>>());

    // A hub that begins anew, and an appliance that takes the place of a dead one.
    let (other_hub, new_pi) = (Place::new(), Place::new());
    join(&edge, &other_hub);
    join(&new_pi, &other_hub);
    for place in [&hub, &other_hub, &new_pi] {
        agree(&edge, place, probe, 6 * 96);
    }
    // It goes on measuring beside what it was told.
    new_pi
        .clock
        .set(NOW.plus(6 * DAY), farm_model::ClockQuality::Synced);
    take(
        &new_pi,
        vec![measured(&new_pi, probe, NOW.plus(6 * DAY), 3_900)],
    );
    join(&new_pi, &other_hub);
    agree(&new_pi, &other_hub, probe, 6 * 96 + 1);
    let live = other_hub.farm.live().value(probe, Quantity::Temperature);
    assert_eq!(live.unwrap().value, Some(Milli(3_900)));
}

#[test]
fn a_copy_tells_nothing_that_its_original_tells() {
    let (edge, hub) = (Place::new(), Place::new());
    let probe = device(&edge, "tank-1", DeviceKind::TemperatureProbe);
    take(&edge, vec![measured(&edge, probe, NOW, 4_100)]);
    // Waiting in its span, and not even moved.
    take(&edge, vec![measured(&edge, probe, NOW.plus(1_000), 4_200)]);
    let last = measured(&edge, probe, NOW.plus(2_000), 4_300);
    edge.write(move |tx| readings::ingest(tx, &[last])).unwrap();
    let copy = Place::copied(&edge);
    for place in [&edge, &copy] {
        place.clock.pass(2 * SLOT);
        look_after(place);
        join(place, &hub);
    }
    agree(&edge, &hub, probe, 3);
    take(&copy, vec![measured(&copy, probe, NOW.plus(HOUR), 4_400)]);
    copy.clock.pass(2 * HOUR);
    look_after(&copy);
    join(&copy, &hub);
    let told: i64 = history(&hub.farm, probe, Resolution::Day)
        .iter()
        .map(|p| p.n)
        .sum();
    assert_eq!(told, 4);
}

#[test]
fn a_reader_of_tags_is_heard_of_by_the_hour() {
    let (edge, hub) = (Place::new(), Place::new());
    let reader = device(&edge, "gate", DeviceKind::RfidReader);
    let read = |n: i64| Observation {
        body: Body::Identified {
            tag: format!("05000000000021{}", n % 10).parse::<Tag>().unwrap(),
        },
        ..measured(&edge, reader, edge.farm.clock().now().wall, 0)
    };
    for n in 0..200 {
        edge.clock.pass(MINUTE);
        take(&edge, vec![read(n)]);
    }
    join(&edge, &hub);
    assert!((4..=6).contains(&log(&edge).len()), "{:?}", log(&edge));
    let rows = |place: &Place| {
        let newest = place.farm.live().values();
        let rows = place
            .farm
            .read_blocking(|conn| devices::overview(conn, &newest));
        rows.unwrap().remove(0)
    };
    let ago = edge
        .farm
        .clock()
        .now()
        .wall
        .since(rows(&hub).heard_at.unwrap());
    assert!(ago <= HOUR + SLOT, "{ago}");
    assert_eq!(rows(&hub).origin, Origin::Elsewhere);
    assert_eq!(rows(&edge).origin, Origin::Here);
    let last = hub
        .farm
        .read_blocking(|conn| readings::last_tag(conn, reader));
    assert!(last.unwrap().is_some());
}

#[test]
fn what_was_taken_before_the_plug_was_pulled_follows_at_the_next_start() {
    let (edge, hub) = (Place::new(), Place::new());
    let probe = device(&edge, "tank-1", DeviceKind::TemperatureProbe);
    for n in 0..200 {
        take(
            &edge,
            vec![measured(&edge, probe, NOW.plus(n * SLOT), 4_000 + n)],
        );
        edge.clock.pass(SLOT);
    }
    look_after(&edge);
    let parts = gather(&edge, &hub, Speak::ForItself, 1 << 20);
    let (schema, sender) = (hub.farm.replicated(), Sender::Edge(edge.site));
    hub.write(move |tx| {
        sync::site::register(tx.conn(), sender.site()).map_err(StoreError::from)?;
        exchange::take(tx.conn(), &schema, sender, &parts).map_err(StoreError::from)
    })
    .unwrap();
    assert!(history(&hub.farm, probe, Resolution::Day).is_empty());
    let hub = hub.reopen();
    agree(&edge, &hub, probe, 200);
    let live = hub.farm.live().value(probe, Quantity::Temperature);
    assert_eq!(live.unwrap().value, Some(Milli(4_199)));
}

/// Devices whose silence a place has found.
fn missed(place: &Place) -> Vec<Subject> {
    let open = place.farm.read_blocking(alerts::open).unwrap();
    let silent = open.into_iter().filter(|a| a.kind == AlertKind::Silent);
    silent.map(|alert| alert.subject).collect()
}

#[test]
fn a_second_barn_minds_the_first_ones_probe_only_when_nobody_hears_it() {
    let (barn, other, hub) = (Place::new(), Place::new(), Place::new());
    let probe = device(&barn, "tank-1", DeviceKind::TemperatureProbe);
    for _ in 0..12 {
        let at = barn.farm.clock().now().wall;
        take(&barn, vec![measured(&barn, probe, at, 4_100)]);
        join(&barn, &hub);
        join(&other, &hub);
        barn.clock.pass(SLOT);
        other.clock.pass(SLOT);
        other.write(watch::silence).unwrap();
        assert!(missed(&other).is_empty());
    }
    for _ in 0..12 {
        other.clock.pass(SLOT);
        other.write(watch::silence).unwrap();
    }
    assert_eq!(missed(&other), [Subject::Device(probe)]);
}

#[test]
fn an_older_hub_goes_on_working_and_has_it_all_after_its_update() {
    let (edge, hub) = (Place::new(), Place::new());
    let probe = device(&edge, "tank-1", DeviceKind::TemperatureProbe);
    for n in 0..50 {
        take(
            &edge,
            vec![measured(&edge, probe, NOW.plus(n * SLOT), 4_000 + n)],
        );
        edge.clock.pass(SLOT);
    }
    look_after(&edge);
    let mut older = (*hub.farm.replicated()).clone();
    older.logs.remove("sample");
    let parts = gather(&edge, &hub, Speak::ForItself, 1 << 20);
    assert_eq!(
        parts.last().map(|part| part.stream().name),
        Some("sample".to_owned()),
        "it goes last"
    );
    let sender = Sender::Edge(edge.site);
    let taken = hub.write(move |tx| {
        sync::site::register(tx.conn(), sender.site()).map_err(StoreError::from)?;
        exchange::take(tx.conn(), &older, sender, &parts).map_err(StoreError::from)
    });
    assert!(
        taken.unwrap().iter().all(Result::is_ok),
        "nothing is refused"
    );
    assert_eq!(hub.farm.read_blocking(devices::list).unwrap().len(), 1);
    assert!(history(&hub.farm, probe, Resolution::Raw).is_empty());
    assert!(gather(&edge, &hub, Speak::ForItself, 1 << 20).is_empty());

    // What a start after the update does.
    let schema = hub.farm.replicated();
    hub.write(move |tx| {
        facts::replay(tx.conn(), &schema).map_err(StoreError::from)?;
        replica::rebuild(tx)
    })
    .unwrap();
    agree(&edge, &hub, probe, 50);
}

#[test]
fn what_a_hostile_site_tells_of_its_sensors_stops_nothing() {
    let (edge, hub) = (Place::new(), Place::new());
    let probe = device(&edge, "tank-1", DeviceKind::TemperatureProbe);
    take(&edge, vec![measured(&edge, probe, NOW, 4_100)]);
    let parts = gather(&edge, &hub, Speak::ForItself, 1 << 20);
    let mut dice = Dice(3);
    let mut mark = None;
    let forged: Vec<Part> = parts
        .into_iter()
        .map(|part| match part {
            Part::Facts(mut run) if run.log == "sample" => {
                let whole = run.rows[0].clone();
                for n in 0..200 {
                    let mut row = whole.clone();
                    for value in &mut row {
                        match value {
                            Value::Blob(bytes) => {
                                let at = dice.roll(bytes.len() as u64) as usize;
                                bytes[at] = dice.roll(256) as u8;
                                bytes.truncate(bytes.len() - dice.roll(3) as usize);
                            }
                            Value::Integer(slot) if n % 7 == 0 => *slot = i64::MAX - n,
                            Value::Integer(slot) if n % 5 == 0 => *slot = i64::MIN + n,
                            _ => {}
                        }
                    }
                    run.rows.push(row);
                }
                mark = Some(run.to());
                Part::Facts(run)
            }
            part => part,
        })
        .collect();
    deliver(&hub, Sender::Edge(edge.site), forged);
    let upto = "SELECT upto FROM sample_mark WHERE site = 1";
    let upto: i64 = hub
        .farm
        .read_blocking(|conn| Ok::<_, StoreError>(conn.query_row(upto, [], |row| row.get(0))?))
        .unwrap();
    assert_eq!(Some(upto), mark, "all of it was gone through");
    assert!(
        history(&hub.farm, probe, Resolution::Day)
            .iter()
            .any(|p| p.n > 0)
    );
}

/// Fifty sensors as a farm has them: probes of sixteenths of a degree and of tenths, air, levels, batteries; each sends every five minutes
/// at a time of its own, give or take a second.
fn a_day_of_fifty_sensors() -> (Place, Place) {
    let (edge, hub) = (Place::new(), Place::new());
    let mut dice = Dice(11);
    let devices: Vec<DeviceId> = (0..50)
        .map(|n| device(&edge, &format!("sensor-{n}"), DeviceKind::Sensor))
        .collect();
    let mut sensors: Vec<(DeviceId, i64, i64, i64)> = devices
        .into_iter()
        .enumerate()
        .map(|(n, device)| {
            let (from, step) = [
                (4_000, 63),
                (27_300, 100),
                (71_200, 100),
                (48_000, 500),
                (3_600, 10),
            ][n % 5];
            let phase = dice.roll(SLOT as u64 - 2_000) as i64;
            (device, phase, from + dice.roll(20) as i64 * step, step)
        })
        .collect();
    for slot in -1..288 {
        let mut all = Vec::new();
        for (device, phase, value, step) in &mut sensors {
            *value += *step * (dice.roll(3) as i64 - 1);
            let at = NOW.plus(slot * SLOT + *phase + dice.roll(2_000) as i64);
            all.push(measured(&edge, *device, at, *value));
        }
        edge.write(move |tx| readings::ingest(tx, &all)).unwrap();
        edge.clock.pass(SLOT);
        look_after(&edge);
        if slot == -1 {
            join(&edge, &hub);
        }
    }
    (edge, hub)
}

#[test]
fn a_sample_takes_three_bytes_on_the_line() {
    let (edge, hub) = a_day_of_fifty_sensors();
    let parts = gather(&edge, &hub, Speak::ForItself, 1 << 20);
    let bytes = wire::encode(&(), &parts).expect("it is small enough").len();
    let each = bytes as f64 / (50.0 * 288.0);
    let size = |place: &Place| place.farm.read_blocking(retention::size).unwrap().used;
    let before = size(&hub);
    deliver(&hub, Sender::Edge(edge.site), parts);
    println!(
        "50 sensors every five minutes for a day: {bytes} bytes, {each:.2} a sample; {} bytes in the hub's file",
        size(&hub) - before
    );
    assert!(each <= 3.0, "{each:.2} bytes a sample");
    let probes = edge.farm.read_blocking(devices::list).unwrap();
    for probe in probes {
        agree(&edge, &hub, probe.id, 289);
    }
}
