//! Readings on a real file: what is stored, what is summed, what goes and what stays.

use std::{collections::BTreeMap, sync::Arc};

use farm_model::{
    Body, ClockQuality, DeviceId, Milli, Observation, Quality, Quantity, Stamp, SystemClock,
    UnixMillis,
};
use proptest::prelude::*;

use super::*;
use crate::{
    backup,
    retention::{self, Budget},
    store::{Actor, Farm, Options},
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const T0: i64 = 1_760_000_000_000 / DAY * DAY;

fn farm(dir: &tempfile::TempDir) -> Farm {
    let clock = Arc::new(SystemClock::new(0, ClockQuality::Synced));
    Farm::open(
        &dir.path().join("farm.db"),
        Options {
            clock,
            ..Options::default()
        },
    )
    .unwrap()
}

fn device() -> DeviceId {
    DeviceId::from_bytes([7; 16])
}

fn temperature(at: i64, milli: i64) -> Observation {
    Observation {
        device: device(),
        at: Stamp {
            wall: UnixMillis(at),
            clock: ClockQuality::Synced,
            boot: 1,
            mono: 0,
        },
        body: Body::Measured {
            quantity: Quantity::Temperature,
            value: Some(Milli(milli)),
            quality: Quality::Good,
            flaw: None,
        },
        raw: vec![1, 2, 3],
        key: None,
    }
}

fn put(farm: &Farm, observations: Vec<Observation>) -> IngestReport {
    farm.write_blocking(Actor::System, move |tx| ingest(tx, &observations))
        .unwrap()
}

fn compact_all(farm: &Farm, step: usize) {
    while farm
        .write_blocking(Actor::System, move |tx| compact(tx, step))
        .unwrap()
        > 0
    {}
}

fn told(farm: &Farm, from: i64, to: i64, resolution: Resolution) -> Vec<Point> {
    farm.read_blocking(|conn| {
        history(
            conn,
            device(),
            Quantity::Temperature,
            UnixMillis(from),
            UnixMillis(to),
            resolution,
        )
    })
    .unwrap()
}

#[test]
fn a_redelivery_is_stored_once_and_a_keyless_repeat_is_not_one() {
    let dir = tempfile::tempdir().unwrap();
    let farm = farm(&dir);
    let keyed = Observation {
        key: Some("m-1".into()),
        ..temperature(T0, 4_000)
    };
    let report = put(
        &farm,
        vec![keyed.clone(), keyed.clone(), temperature(T0, 4_000)],
    );
    assert_eq!(
        report,
        IngestReport {
            stored: 2,
            duplicates: 1,
            flagged: 0
        }
    );
    assert_eq!(put(&farm, vec![keyed]).duplicates, 1);
    assert_eq!(told(&farm, T0, T0 + 1, Resolution::Raw).len(), 2);
}

#[test]
fn what_physics_forbids_is_kept_and_stays_out_of_sums() {
    let dir = tempfile::tempdir().unwrap();
    let farm = farm(&dir);
    let missing = Observation {
        body: Body::missing(Quantity::Temperature, farm_model::Flaw::Timeout),
        ..temperature(T0 + 2, 0)
    };
    let report = put(
        &farm,
        vec![
            temperature(T0, 4_000),
            temperature(T0 + 1, 900_000),
            missing,
        ],
    );
    assert_eq!(report.flagged, 1);
    for step in [1, 100] {
        compact_all(&farm, step);
        let [minute] = told(&farm, T0, T0 + 60_000, Resolution::Minute)[..] else {
            panic!("one minute")
        };
        assert_eq!(
            (minute.value, minute.n, minute.bad),
            (Some(Milli(4_000)), 1, 2)
        );
        assert_eq!(told(&farm, T0, T0 + DAY, Resolution::Raw).len(), 3);
    }
    let newest = farm.live().value(device(), Quantity::Temperature).unwrap();
    assert_eq!((newest.value, newest.quality), (None, Quality::Missing));
}

#[test]
fn the_newest_value_is_known_after_a_restart_whether_compacted_or_not() {
    let dir = tempfile::tempdir().unwrap();
    for (n, compacted) in [(1, false), (2, true), (3, false)] {
        let first = farm(&dir);
        put(&first, vec![temperature(T0 + n, n * 1000)]);
        if compacted {
            compact_all(&first, 10);
        }
        drop(first);
        let again = farm(&dir);
        assert_eq!(
            again
                .live()
                .value(device(), Quantity::Temperature)
                .unwrap()
                .value,
            Some(Milli(n * 1000))
        );
    }
}

#[test]
fn raw_readings_go_by_age_and_by_size_and_sums_stay() {
    let dir = tempfile::tempdir().unwrap();
    let farm = farm(&dir);
    let now = farm_model::Clock::now(&**farm.clock()).wall.0;
    let start = now - 40 * DAY;
    let all: Vec<_> = (0..40 * 288)
        .map(|i| temperature(start + i * 300_000, 4_000 + i % 500))
        .collect();
    put(&farm, all);
    compact_all(&farm, 5_000);
    while farm
        .write_blocking(Actor::System, crate::samples::tell)
        .unwrap()
    {}
    let enforce = |budget: Budget| {
        while farm
            .write_blocking(Actor::System, move |tx| retention::enforce(tx, budget))
            .unwrap()
            .more
        {}
    };
    enforce(Budget {
        raw_ms: 30 * DAY,
        bytes: u64::MAX,
    });
    let kept = told(&farm, 0, now + DAY, Resolution::Raw);
    assert!(
        kept[0].at.0 >= now - 30 * DAY && kept.len() > 29 * 288,
        "{} readings kept",
        kept.len()
    );
    assert_eq!(
        told(&farm, 0, now + DAY, Resolution::Day)
            .iter()
            .map(|p| p.n)
            .sum::<i64>(),
        40 * 288
    );

    let before = farm.read_blocking(retention::size).unwrap();
    enforce(Budget {
        raw_ms: 30 * DAY,
        bytes: before.used * 2 / 3,
    });
    let after = farm.read_blocking(retention::size).unwrap();
    assert!(
        after.used <= before.used * 2 / 3 && after.file < before.file,
        "{before:?} became {after:?}"
    );
    assert_eq!(
        told(&farm, 0, now + DAY, Resolution::Day)
            .iter()
            .map(|p| p.n)
            .sum::<i64>(),
        40 * 288
    );
}

#[test]
fn a_copy_is_whole_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let farm = farm(&dir);
    put(
        &farm,
        (0..1000).map(|i| temperature(T0 + i, 4_000)).collect(),
    );
    let to = dir.path().join("copies/one.db");
    backup::copy(farm.path(), &to).unwrap();
    assert!(matches!(
        backup::copy(farm.path(), &to),
        Err(backup::CopyError::Exists(_))
    ));
    assert_eq!(
        backup::check(&to).unwrap().version,
        crate::store::known_version()
    );
    let restored = Farm::open(&to, Options::default()).unwrap();
    assert_eq!(told(&restored, T0, T0 + DAY, Resolution::Raw).len(), 1000);

    let folder = dir.path().join("daily");
    for day in 1..=5 {
        let date = jiff::civil::date(2026, 11, day);
        assert!(
            backup::daily(farm.path(), &folder, date, 3)
                .unwrap()
                .is_some()
        );
        assert!(
            backup::daily(farm.path(), &folder, date, 3)
                .unwrap()
                .is_none()
        );
    }
    let names: Vec<_> = backup::copies(&folder)
        .unwrap()
        .iter()
        .map(|p| p.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "farm-2026-11-03.db",
            "farm-2026-11-04.db",
            "farm-2026-11-05.db"
        ]
    );
}

#[test]
fn a_copy_that_fails_leaves_nothing_to_fill_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    put(
        &farm(&dir),
        (0..5000).map(|i| temperature(T0 + i, i)).collect(),
    );
    let (path, folder) = (dir.path().join("farm.db"), dir.path().join("copies"));
    std::fs::create_dir(&folder).unwrap();
    // The power went while yesterday's was made.
    std::fs::write(folder.join("farm-2026-11-20.db.part"), [0; 4096]).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let len = bytes.len();
    bytes[len / 2..].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let date = jiff::civil::date(2026, 11, 21);
    assert!(backup::daily(&path, &folder, date, 3).is_err());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_damaged_file_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("farm.db");
    put(
        &farm(&dir),
        (0..5000).map(|i| temperature(T0 + i, i)).collect(),
    );
    backup::check(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let len = bytes.len();
    bytes[len / 2..].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    assert!(backup::check(&path).is_err());
}

#[test]
fn rejects_are_counted_for_good_and_kept_in_bounded_number() {
    let dir = tempfile::tempdir().unwrap();
    let farm = farm(&dir);
    farm.write_blocking(Actor::System, |tx| {
        (0..3000).try_for_each(|_| quarantine(tx, "reader-1", "checksum", &[2; 5000]))
    })
    .unwrap();
    let (counts, rows) = farm
        .read_blocking(|conn| {
            Ok::<_, crate::StoreError>((
                reject_counts(conn)?,
                quarantined(conn, Some("reader-1"), 10_000)?,
            ))
        })
        .unwrap();
    assert_eq!(counts[0].n, 3000);
    assert!((2000..2100).contains(&rows.len()), "{} rows", rows.len());
    assert_eq!(rows[0].raw.len(), 1024);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sums_equal_brute_force_whenever_compacted(
        values in prop::collection::vec((0i64..3 * DAY, -60_000i64..130_000), 1..200),
        cuts in prop::collection::vec(0usize..200, 0..5),
        step in 1usize..50,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let farm = farm(&dir);
        for (i, (at, value)) in values.iter().enumerate() {
            put(&farm, vec![temperature(T0 + at, *value)]);
            if cuts.contains(&i) {
                compact_all(&farm, step);
            }
        }
        for (resolution, period) in [(Resolution::Minute, 60_000), (Resolution::Hour, HOUR), (Resolution::Day, DAY)] {
            let mut expected: BTreeMap<i64, (i64, i64, Vec<i64>)> = BTreeMap::new();
            for (at, value) in &values {
                let bucket = expected.entry((T0 + at).div_euclid(period) * period).or_default();
                if Quantity::Temperature.allows(Milli(*value)) {
                    bucket.0 += 1;
                    bucket.2.push(*value);
                } else {
                    bucket.1 += 1;
                }
            }
            let told = told(&farm, T0, T0 + 3 * DAY, resolution);
            prop_assert_eq!(told.len(), expected.len());
            for (point, (at, (n, bad, good))) in told.iter().zip(expected) {
                prop_assert_eq!((point.at.0, point.n, point.bad), (at, n, bad));
                prop_assert_eq!(point.min.map(|m| m.0), good.iter().min().copied());
                prop_assert_eq!(point.max.map(|m| m.0), good.iter().max().copied());
                prop_assert_eq!(point.value.map(|m| m.0), (n > 0).then(|| good.iter().sum::<i64>() / n));
            }
        }
        let raw = told(&farm, T0, T0 + 3 * DAY, Resolution::Raw);
        prop_assert_eq!(raw.len(), values.len());
        prop_assert!(raw.is_sorted_by_key(|p| p.at));
    }
}

#[test]
fn a_source_that_invents_names_does_not_fill_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let farm = farm(&dir);
    farm.write_blocking(Actor::System, |tx| {
        for n in 0..2_500 {
            quarantine(tx, &format!("farm/x/{n}"), "unknown_topic", b"?")?;
        }
        quarantine(tx, "farm/x/0", "unknown_topic", b"?")
    })
    .unwrap();
    let counts = farm.read_blocking(reject_counts).unwrap();
    assert_eq!(counts.iter().map(|c| c.n).sum::<i64>(), 2_501);
    assert_eq!(counts.len(), 2_001);
    assert_eq!((counts[0].source.as_str(), counts[0].n), ("others", 500));
    assert_eq!((counts[1].source.as_str(), counts[1].n), ("farm/x/0", 2));
    let kept = farm
        .read_blocking(|conn| quarantined(conn, None, 10_000))
        .unwrap();
    assert!((2_000..2_100).contains(&kept.len()), "{}", kept.len());
}

#[test]
fn a_start_looks_at_one_reading_of_each_series() {
    let dir = tempfile::tempdir().unwrap();
    let plan: Vec<String> = farm(&dir)
        .read_blocking(|conn| {
            let mut statement =
                conn.prepare(&format!("EXPLAIN QUERY PLAN {}", super::newest::NEWEST))?;
            let steps = statement.query_map([], |row| row.get(3))?;
            Ok::<_, StoreError>(steps.collect::<Result<_, _>>()?)
        })
        .unwrap();
    assert!(
        !plan.iter().any(|step| step.starts_with("SCAN r")),
        "{plan:#?}"
    );
}
