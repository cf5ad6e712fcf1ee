//! Between which bounds the columns lie that other places may tell.
//!
//! What comes with a value outside is set aside with its reason before it stands, so that whoever reads a column finds what it should
//! hold, and sums of what is held fit. The bounds are wide: they keep out what cannot be, never what is only odd.
//!
//! Invariant: what this program writes lies within, or other places would never take it.

use std::ops::RangeInclusive;

use sync::{Replicated, schema::SchemaError};

type Range = RangeInclusive<i64>;

/// An identity: a UUID (RFC 9562) has 16 bytes, and so has the name of a site.
const ID: Range = 16..=16;
/// Milliseconds since 1970 that are a date at all: the years -9999 to 9999, as `jiff::Timestamp` has them.
pub(crate) const TIME: Range = -377_705_023_201_000..=253_402_207_200_999;
/// Milliseconds between two such times.
pub(crate) const SPAN: Range = -(1 << 50)..=1 << 50;
/// Milliseconds by a clock that never jumps, and differences between those and the wall's: exact in JSON's numbers too.
pub(crate) const MONO: Range = 0..=1 << 53;
const SHIFT: Range = -(1 << 54)..=1 << 54;
/// Days since 1970 of the same years, as `jiff::civil::Date` has them.
const DAY: Range = -4_371_587..=2_932_896;
/// A step of five minutes, at which a span of samples begins, of the same years.
const SLOT: Range = -1_259_016_744..=844_674_024;
/// One of some kinds; those to come have room.
const CODE: Range = 0..=255;
const BOOT: Range = 0..=u32::MAX as i64;
const STALL: Range = 0..=u16::MAX as i64;
/// A number that a site has given to somebody of its own.
const HANDLE: Range = 0..=1 << 40;
/// Bits.
const BITS: Range = 0..=i64::MAX;
/// Millilitres: the most that one visit gives is 80 L ([`MOST_ML`](crate::milkings::MOST_ML)); what a broken meter tells is kept up to 1,000 L.
pub(crate) const YIELD_ML: Range = 0..=1_000_000;
/// mL/min: the flow of a moment may be odd, and is shown as it was told.
pub(crate) const FLOW: Range = 0..=1_000_000_000;
/// Thousandths of mS/cm: the sea has 42.9 at 15 °C (UNESCO's scale of 1978), and milk an eighth of that.
pub(crate) const CONDUCTIVITY: Range = 0..=1_000_000;
/// Thousandths of a percent.
pub(crate) const SHARE: Range = 0..=100_000;
/// Minutes of a day.
const MINUTE: Range = 0..=1_440;
const SECONDS: Range = 0..=u32::MAX as i64;
/// The layout of a body says itself what may stand in it; one holds no more series than a site has.
const BODY: Range = 0..=256 << 10;

/// Bounds by table and column.
const BOUNDS: &[(&str, &[(&str, Range)])] = &[
    (
        "alert",
        &[
            ("id", ID),
            ("severity", CODE),
            ("raised_at", TIME),
            ("acknowledged_at", TIME),
            ("closed_at", TIME),
        ],
    ),
    (
        "animal",
        &[
            ("id", ID),
            ("dam", ID),
            ("merged_into", ID),
            ("created_at", TIME),
        ],
    ),
    (
        "animal_tag",
        &[
            ("id", ID),
            ("animal", ID),
            ("from_at", TIME),
            ("until_at", TIME),
        ],
    ),
    (
        "device",
        &[
            ("id", ID),
            ("place", ID),
            ("expect_every_s", SECONDS),
            ("enabled", CODE),
            ("created_at", TIME),
        ],
    ),
    ("place", &[("id", ID)]),
    (
        "session_plan",
        &[
            ("id", ID),
            ("number", CODE),
            ("starts_min", MINUTE),
            ("ends_min", MINUTE),
            ("active", CODE),
        ],
    ),
    ("setting", &[("id", ID)]),
    (
        "staff",
        &[("id", ID), ("active", CODE), ("created_at", TIME)],
    ),
    (
        "animal_event",
        &[
            ("animal", ID),
            ("happened_at", TIME),
            ("at", TIME),
            ("clock", CODE),
            ("boot", BOOT),
            ("mono", MONO),
            ("of_site", ID),
        ],
    ),
    ("audit", &[("at", TIME), ("clock", CODE)]),
    (
        "milking",
        &[
            ("kind", CODE),
            ("visit", ID),
            ("at", TIME),
            ("clock", CODE),
            ("boot", BOOT),
            ("boot_at", SHIFT),
            ("of_site", ID),
            ("ended_ago", SPAN),
            ("lasted", SPAN),
            ("start_shift", SHIFT),
            ("end_shift", SHIFT),
            ("day", DAY),
            ("session", CODE),
            ("who", HANDLE),
            ("animal", ID),
            ("place", HANDLE),
            ("stall", STALL),
            ("meter", ID),
            ("staff", ID),
            ("yield_ml", YIELD_ML),
            ("avg_flow", FLOW),
            ("peak_flow", FLOW),
            ("conductivity", CONDUCTIVITY),
            ("fat", SHARE),
            ("snf", SHARE),
            ("destination", CODE),
            ("findings", BITS),
        ],
    ),
    ("sample", &[("slot", SLOT), ("body", BODY)]),
];

/// Gives the columns their bounds.
pub(super) fn declare(schema: &mut Replicated) -> Result<(), SchemaError> {
    for (table, columns) in BOUNDS {
        for (column, range) in *columns {
            schema.bound(table, column, range)?;
        }
    }
    Ok(())
}
