//! The wire: what is packed comes back, what is hostile is refused, and what is small stays small.

use proptest::prelude::*;
use sync::{
    Site, Value,
    facts::Run,
    marks::{Hash, Mark},
    records::{Cell, Row, Span, Version},
    wire::{self, Have, Head, MESSAGE_BYTES, PROTOCOL, Part, Reply, Request, Stream, WireError},
};

use crate::dice::Dice;

const SITE: Site = Site([7; 16]);

fn request() -> Request {
    Request {
        protocol: PROTOCOL,
        schema: 7,
        epoch: 1,
        site: SITE,
        heads: vec![Head {
            stream: "milking".to_owned(),
            upto: 3,
        }],
        have: vec![Have {
            stream: Stream {
                site: SITE,
                name: "milking".to_owned(),
            },
            mark: Mark::default(),
        }],
        skip: Vec::new(),
        wait_s: 55,
        room: 65_536,
    }
}

fn mark(upto: i64) -> Mark {
    Mark {
        upto,
        hash: Hash([9; 16]),
    }
}

fn size(parts: &[Part]) -> usize {
    let idle = wire::encode(&request(), &[]).expect("it is small").len();
    wire::encode(&request(), parts).expect("it is small").len() - idle
}

/// A noisy number around `mean`, as meters give them.
fn about(dice: &mut Dice, mean: i64, spread: usize) -> i64 {
    mean + dice.small(spread) + dice.small(spread) - i64::try_from(spread).expect("small")
}

/// Bytes for each of `rows`, in tenths.
fn tenths(bytes: usize, rows: usize) -> usize {
    bytes * 10 / rows
}

#[test]
fn a_day_of_milkings_is_small() {
    let mut dice = Dice(1);
    let columns = [
        "animal",
        "stall",
        "at",
        "duration_s",
        "yield_ml",
        "peak_ml_min",
        "conductivity_us",
        "fat_ppm",
        "snf_ppm",
        "clock",
    ];
    let mut at = 1_760_000_000_000_i64;
    let rows: Vec<Vec<Value>> = (0..3_600)
        .map(|n| {
            at += 2_000 + 100 * dice.small(60);
            [
                dice.small(1_200),
                n % 24,
                at / 100,
                about(&mut dice, 380, 60),
                about(&mut dice, 960, 200) * 10,
                about(&mut dice, 36, 12) * 100,
                about(&mut dice, 560, 30) * 10,
                about(&mut dice, 410, 30) * 100,
                about(&mut dice, 860, 20) * 100,
                1,
            ]
            .map(Value::Integer)
            .to_vec()
        })
        .collect();
    let run = Run {
        log: "milking".to_owned(),
        site: SITE,
        from: mark(0),
        columns: columns.map(str::to_owned).to_vec(),
        rows,
    };
    let bytes = tenths(size(&[Part::Facts(run)]), 3_600);
    println!("{bytes} tenths of a byte a milking");
    assert!(bytes <= 100, "{bytes} tenths of a byte a milking");
}

#[test]
fn new_records_are_small() {
    let mut dice = Dice(2);
    let mut ms = 1_760_000_000_000_i64;
    let versions = (1..=500)
        .map(|number| {
            ms += dice.small(60_000);
            let mut id = ms.to_be_bytes()[2..].to_vec();
            id.extend((0..10).map(|_| u8::try_from(dice.roll(256)).expect("a byte")));
            let cell = |column: &str, value| Cell {
                column: column.to_owned(),
                value,
                edits: 1,
            };
            let cells = vec![
                cell(
                    "breed",
                    Value::Text(["Deshi", "Sahiwal", "Friesian"][dice.roll(3)].to_owned()),
                ),
                cell("created_at", Value::Integer(ms)),
                cell("dam", Value::Null),
                cell("number", Value::Text(format!("{}", 1_000 + number))),
                cell("note", Value::Null),
                cell("sex", Value::Text("f".to_owned())),
                cell("status", Value::Text("milking".to_owned())),
                cell(
                    "weight_g",
                    Value::Integer(about(&mut dice, 400, 60) * 1_000),
                ),
            ];
            let row = Row {
                table: "animal".to_owned(),
                key: vec![Value::Blob(id)],
                life: 1,
                turned: false,
                cells,
            };
            Version {
                number,
                rows: vec![row],
            }
        })
        .collect();
    let span = Span {
        site: SITE,
        from: mark(0),
        to: 500,
        versions,
    };
    let bytes = tenths(size(&[Part::Records(span)]), 500);
    println!("{bytes} tenths of a byte a record");
    assert!(bytes <= 350, "{bytes} tenths of a byte a record");
}

#[test]
fn samples_are_small() {
    let mut dice = Dice(3);
    let mut values = [38_500_i64; 50];
    let rows: Vec<Vec<Value>> = (0..50 * 288)
        .map(|n: usize| {
            values[n % 50] += 100 * (dice.small(3) - 1);
            let at = i64::try_from(n / 50).expect("small") * 300;
            [i64::try_from(n % 50).expect("small"), at, values[n % 50]]
                .map(Value::Integer)
                .to_vec()
        })
        .collect();
    let run = Run {
        log: "sample".to_owned(),
        site: SITE,
        from: mark(0),
        columns: ["series", "at", "value"].map(str::to_owned).to_vec(),
        rows,
    };
    let bytes = tenths(size(&[Part::Facts(run)]), 50 * 288);
    println!("{bytes} tenths of a byte a sample");
    assert!(bytes <= 30, "{bytes} tenths of a byte a sample");
}

#[test]
fn an_idle_exchange_is_small() {
    let mut dice = Dice(4);
    let mut random = || [(); 16].map(|()| u8::try_from(dice.roll(256)).expect("a byte"));
    let sites = [(); 5].map(|()| Site(random()));
    let mut have = Vec::new();
    for site in sites {
        for stream in ["", "milking", "animal_event", "audit"] {
            have.push(Have {
                stream: Stream {
                    site,
                    name: stream.to_owned(),
                },
                mark: Mark {
                    upto: 100_000,
                    hash: Hash(random()),
                },
            });
        }
    }
    let bytes = wire::encode(&Request { have, ..request() }, &[])
        .unwrap()
        .len();
    println!("{bytes} bytes of an idle request");
    assert!(bytes <= 600, "{bytes} bytes");
}

#[test]
fn bombs_and_strangers_are_refused() {
    let read = |bytes: &[u8]| wire::decode::<Reply>(bytes).unwrap_err();
    assert_eq!(read(b"<html>Please log in</html>"), WireError::Foreign);
    assert_eq!(read(b""), WireError::Foreign);
    assert_eq!(read(&vec![0; MESSAGE_BYTES + 1]), WireError::TooLarge);
    let bomb = [
        b"KHS1".to_vec(),
        zstd::bulk::compress(&vec![0; 1 << 28], 3).unwrap(),
    ]
    .concat();
    assert!(bomb.len() < 32 * 1024);
    assert_eq!(read(&bomb), WireError::Torn);
}

/// Anybody may ask to join: what comes with that is not unpacked.
#[test]
fn a_message_without_parts_is_small_or_refused() {
    let packed =
        |open: &[u8]| [b"KHS1", zstd::bulk::compress(open, 3).unwrap().as_slice()].concat();
    let said = wire::encode(&"4GZ7", &[]).unwrap();
    assert_eq!(wire::decode_bare::<String>(&said).unwrap(), "4GZ7");
    // A part of one column with four million nothings, in a few hundred bytes.
    let open = postcard::to_stdvec(&(
        "4GZ7",
        1_u8,
        1_u8,
        SITE,
        mark(0),
        "",
        0_u8,
        0_u8,
        1_u8,
        4_u8,
    ));
    let mut open = open.unwrap();
    let short = packed(&open);
    open.extend(postcard::to_stdvec(&4_000_000_u32).unwrap());
    open.resize(open.len() + 4_000_000, 0);
    let bomb = packed(&open);
    assert!(bomb.len() < 1_000, "{}", bomb.len());
    for (message, why) in [(bomb, WireError::Torn), (short, WireError::Malformed)] {
        assert_eq!(wire::decode_bare::<String>(&message).unwrap_err(), why);
    }
}

/// Few bytes on the line that say the same large value a million times.
#[test]
fn a_column_that_unfolds_without_end_is_refused() {
    let value = Value::Text("x".repeat(200_000));
    let part = Part::Facts(Run {
        log: "milking".to_owned(),
        site: SITE,
        from: mark(0),
        columns: vec!["body".to_owned()],
        rows: vec![vec![value]; 2_000],
    });
    let message = wire::encode(&request(), &[part]).unwrap();
    assert!(message.len() < 1_000);
    let refused = wire::decode::<Request>(&message).unwrap_err();
    assert_eq!(refused, WireError::Malformed);
}

#[test]
fn a_torn_or_altered_message_is_found() {
    let message = wire::encode(&request(), &[]).unwrap();
    for n in 0..message.len() {
        assert!(
            wire::decode::<Request>(&message[..n]).is_err(),
            "cut at {n}"
        );
        let mut altered = message.clone();
        altered[n] ^= 1;
        let same = wire::decode::<Request>(&altered).is_ok_and(|(head, _)| head == request());
        assert!(
            wire::decode::<Request>(&altered).is_err() || same,
            "altered at {n}"
        );
    }
}

/// The layouts of a column of numbers are what earlier builds send: they stay.
#[test]
fn layouts_of_numbers_are_frozen() {
    let packed = |column: Vec<u8>| {
        let part = (
            1_u8,
            1_u8,
            SITE,
            mark(0),
            "milking",
            ["n"].as_slice(),
            3_u32,
        );
        let mut open = postcard::to_stdvec(&(request(), part, 1_u8)).unwrap();
        open.extend(column);
        [b"KHS1", zstd::bulk::compress(&open, 3).unwrap().as_slice()].concat()
    };
    let bytes = |column: postcard::Result<Vec<u8>>| packed(column.unwrap());
    let read = |message: Vec<u8>| match wire::decode::<Request>(&message)?.1.remove(0) {
        Part::Facts(run) => Ok(run.rows.concat()),
        Part::Records(_) => panic!("these are facts"),
    };
    let some = [100, 200, 500].map(Value::Integer).to_vec();
    let digits = bytes(postcard::to_stdvec(&(
        1_u8,
        100_i64,
        true,
        vec![1_i64, 1, 3],
    )));
    assert_eq!(read(digits).as_ref(), Ok(&some));
    // Distances 0, 1 and 4 from the least, three bits each.
    let bits =
        |widths: &[u8], bits: &[u8]| (100_i64, false, vec![1_i64], widths.to_vec(), bits.to_vec());
    let noise = |widths: &[u8], of: &[u8]| bytes(postcard::to_stdvec(&(5_u8, bits(widths, of))));
    assert_eq!(read(noise(&[3], &[0b0000_1000, 0b1])).as_ref(), Ok(&some));
    let gappy = bytes(postcard::to_stdvec(&(
        6_u8,
        vec![0b110_u8],
        bits(&[3], &[0b10_0000]),
    )));
    let with_gap = vec![Value::Null, Value::Integer(100), Value::Integer(500)];
    assert_eq!(read(gappy), Ok(with_gap));

    for (widths, of) in [
        (&[3_u8][..], &[8_u8][..]),
        (&[3], &[8, 1, 0]),
        (&[65], &[0; 25]),
        (&[3, 3], &[8, 1]),
        (&[], &[8, 1]),
    ] {
        assert_eq!(
            read(noise(widths, of)),
            Err(WireError::Malformed),
            "{widths:?} {of:?}"
        );
    }
}

/// Small ones, one far off now and then, any.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![20 => 900_i64..1_400, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        (0_i64..5).prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Real),
        ".{0,9}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Blob),
        prop::array::uniform16(any::<u8>()).prop_map(|id| Value::Blob(id.to_vec())),
    ]
}

fn rows() -> impl Strategy<Value = Vec<Vec<Value>>> {
    (0_usize..5)
        .prop_flat_map(|width| prop::collection::vec(prop::collection::vec(value(), width), 0..30))
}

proptest! {
    #[test]
    fn facts_come_back(rows in rows(), upto in any::<i64>()) {
        let columns = (0..rows.first().map_or(0, Vec::len)).map(|n| format!("c{n}")).collect();
        let part = Part::Facts(Run { log: "milking".to_owned(), site: SITE, from: mark(upto), columns, rows });
        let message = wire::encode(&request(), std::slice::from_ref(&part)).unwrap();
        let back = wire::decode::<Request>(&message).unwrap();
        prop_assert_eq!(back, (request(), vec![part]));
    }

    /// Many numbers, with a pattern or none, near each other or as far apart as numbers are.
    #[test]
    fn many_numbers_come_back(column in prop::collection::vec(number(), 0..400), unit in 1_i64..1_000, gaps in any::<bool>()) {
        let value = |n: i64| if gaps && n % 7 == 0 { Value::Null } else { Value::Integer(n.wrapping_mul(unit)) };
        let rows = column.into_iter().map(|n| vec![value(n)]).collect();
        let part = Part::Facts(Run { log: "milking".to_owned(), site: SITE, from: mark(0), columns: vec!["yield_ml".to_owned()], rows });
        let message = wire::encode(&request(), std::slice::from_ref(&part)).unwrap();
        let back = wire::decode::<Request>(&message).unwrap();
        prop_assert_eq!(back, (request(), vec![part]));
    }

    /// A column of numbers with gaps is no other than one without.
    #[test]
    fn columns_with_gaps_come_back(column in prop::collection::vec(prop::option::of(0_i64..1_000_000), 0..60)) {
        let rows = column.into_iter().map(|n| vec![n.map_or(Value::Null, Value::Integer)]).collect();
        let part = Part::Facts(Run { log: "milking".to_owned(), site: SITE, from: mark(0), columns: vec!["yield_ml".to_owned()], rows });
        let message = wire::encode(&request(), std::slice::from_ref(&part)).unwrap();
        let back = wire::decode::<Request>(&message).unwrap();
        prop_assert_eq!(back, (request(), vec![part]));
    }

    /// Records come back, with the hash that the sender noted.
    #[test]
    fn records_come_back(drawn in prop::collection::vec((0_usize..3, value(), 1_i64..4, any::<bool>(), prop::collection::btree_map("[a-d]", (value(), any::<i64>()), 0..4)), 0..20)) {
        let rows: Vec<Row> = drawn.into_iter().map(|(table, key, life, turned, cells)| Row {
            table: ["animal", "stay", "pen"][table].to_owned(),
            key: vec![key],
            life,
            turned,
            cells: cells.into_iter().map(|(column, (value, edits))| Cell { column, value, edits }).collect(),
        }).collect();
        let versions = rows.chunks(3).zip(1..).map(|(rows, number)| {
            let mut rows = rows.to_vec();
            rows.sort_unstable();
            Version { number, rows }
        }).collect();
        let span = Span { site: SITE, from: mark(0), to: 50, versions };
        let end = span.end().unwrap();
        let part = Part::Records(span);
        let message = wire::encode(&request(), std::slice::from_ref(&part)).unwrap();
        let (_, back) = wire::decode::<Request>(&message).unwrap();
        prop_assert!(matches!(&back[0], Part::Records(span) if span.end().unwrap() == end));
        prop_assert_eq!(back, vec![part]);
    }

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(wire::decode::<Request>(&bytes).is_err());
        let open = zstd::bulk::compress(&bytes, 1).unwrap();
        drop(wire::decode::<Request>(&[b"KHS1".to_vec(), open].concat()));
        // Behind a sound head the parts themselves are reached.
        let mut inner = wire_head();
        inner.extend(&bytes);
        let open = zstd::bulk::compress(&inner, 1).unwrap();
        drop(wire::decode::<Request>(&[b"KHS1".to_vec(), open].concat()));
    }
}

/// The uncompressed head of a message, without its parts.
fn wire_head() -> Vec<u8> {
    let message = wire::encode(&request(), &[]).expect("it is small");
    let mut open = zstd::bulk::decompress(&message[4..], 1 << 16).expect("it is ours");
    open.pop();
    open
}
