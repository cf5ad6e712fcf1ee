//! The body of a fact: what many series did in one span, by column, so that it is small and packs well.
//!
//! Series stand in the order of their numbers, as steps; values are cut into planes of bytes, because the upper ones are the same from
//! one fact to the next. What is the rule costs a bit: one reading, good, without a spread. Invariant: reading takes any bytes, never panics,
//! and holds no more than the bytes could mean.

use farm_model::{Flaw, Quality};

/// The layout that this program writes.
const LAYOUT: u8 = 1;
/// Longest tag.
const MAX_TAG: usize = 64;
/// No number of readings is greater, nor the amount of a value: sums of them fit.
const MAX_COUNT: i64 = 1 << 20;
const MAX_VALUE: i64 = 1 << 42;
const IDENTITY: usize = 16;

const GOOD: u8 = 1;
const MANY: u8 = 2;
const SPREAD: u8 = 4;
const BAD: u8 = 8;
const LAST: u8 = 16;
const TAG: u8 = 32;

/// What a number of the site's own stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spelt {
    pub(super) n: i64,
    pub(super) device: [u8; IDENTITY],
    /// The quantity's code; `None` when the series only tells that the device was heard.
    pub(super) quantity: Option<u8>,
}

/// Good values of a span. [`Sums::last`] is the newest of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sums {
    pub(super) count: i64,
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) sum: i64,
    pub(super) last: i64,
}

/// The newest reading of a span, where it was not good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Doubtful {
    pub(super) quality: Quality,
    pub(super) flaw: Option<Flaw>,
    pub(super) value: Option<i64>,
}

/// What a series did in a span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sample {
    pub(super) n: i64,
    /// Seconds from the span's beginning to the newest reading.
    pub(super) second: u16,
    pub(super) good: Option<Sums>,
    /// Readings that were flagged or missing.
    pub(super) bad: i64,
    pub(super) last: Option<Doubtful>,
    pub(super) tag: Option<String>,
}

/// What a fact tells.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Body {
    pub(super) spelt: Vec<Spelt>,
    /// In the order of their numbers.
    pub(super) samples: Vec<Sample>,
}

impl Sums {
    fn is_flat(&self) -> bool {
        (self.min, self.max) == (self.last, self.last) && self.over() == 0
    }

    /// How far the sum lies above what it would be if each value had been the last.
    fn over(&self) -> i64 {
        self.sum
            .saturating_sub(self.count.saturating_mul(self.last))
    }

    /// Whether the layout can say it; a value of another world is told as doubtful.
    pub(super) fn fits(&self) -> bool {
        let is_sound = |value: i64| (-MAX_VALUE..=MAX_VALUE).contains(&value);
        is_sound(self.min)
            && is_sound(self.max)
            && (self.min..=self.max).contains(&self.last)
            && (1..=MAX_COUNT).contains(&self.count)
    }
}

impl Sample {
    fn flags(&self) -> u8 {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let good = self.good.as_ref();
        flag(good.is_some(), GOOD)
            | flag(good.is_some_and(|sums| sums.count > 1), MANY)
            | flag(good.is_some_and(|sums| !sums.is_flat()), SPREAD)
            | flag(self.bad > 0, BAD)
            | flag(self.last.is_some(), LAST)
            | flag(self.tag().is_some(), TAG)
    }

    fn tag(&self) -> Option<&str> {
        self.tag.as_deref().filter(|tag| tag.len() <= MAX_TAG)
    }
}

impl Body {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = vec![LAYOUT];
        put(&mut bytes, self.spelt.len() as u64);
        for spelt in &self.spelt {
            put(&mut bytes, spelt.n as u64);
            bytes.extend(spelt.device);
            bytes.push(spelt.quantity.unwrap_or(0));
        }
        let all = &self.samples;
        put(&mut bytes, all.len() as u64);
        let mut before = 0;
        for sample in all {
            put(&mut bytes, (sample.n - before) as u64);
            before = sample.n;
        }
        bytes.extend(all.iter().map(Sample::flags));
        bytes.extend(all.iter().map(|s| s.second as u8));
        bytes.extend(all.iter().map(|s| (s.second >> 8) as u8));
        let good: Vec<Sums> = all.iter().filter_map(|s| s.good).collect();
        let values: Vec<u64> = good.iter().map(|sums| zigzag(sums.last)).collect();
        put_planes(&mut bytes, &values);
        for sums in good.iter().filter(|sums| sums.count > 1) {
            put(&mut bytes, sums.count as u64);
        }
        for sums in good.iter().filter(|sums| !sums.is_flat()) {
            put(&mut bytes, (sums.last - sums.min) as u64);
            put(&mut bytes, (sums.max - sums.last) as u64);
            put(&mut bytes, zigzag(sums.over()));
        }
        for bad in all.iter().map(|s| s.bad).filter(|bad| *bad > 0) {
            put(&mut bytes, bad.min(MAX_COUNT) as u64);
        }
        for last in all.iter().filter_map(|s| s.last) {
            bytes.push(last.quality as u8);
            bytes.push(last.flaw.map_or(0, |flaw| flaw as u8));
            put(&mut bytes, u64::from(last.value.is_some()));
            put(&mut bytes, zigzag(last.value.unwrap_or(0)));
        }
        for tag in all.iter().filter_map(Sample::tag) {
            put(&mut bytes, tag.len() as u64);
            bytes.extend(tag.as_bytes());
        }
        bytes
    }

    /// What the bytes say; `None` when they are of a layout that this program does not know, or of none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        if from.byte()? != LAYOUT {
            return None;
        }
        let mut body = Self::default();
        for _ in 0..from.count()? {
            body.spelt.push(Spelt {
                n: from.number()?,
                device: from.take(IDENTITY)?.try_into().ok()?,
                quantity: Some(from.byte()?).filter(|code| *code > 0),
            });
        }
        let count = from.count()?;
        let mut numbers = Vec::new();
        let mut n = 0_i64;
        for _ in 0..count {
            n = n.checked_add(from.number()?).filter(|next| *next > n)?;
            numbers.push(n);
        }
        let flags = from.take(count)?;
        let (low, high) = (from.take(count)?, from.take(count)?);
        let seconds = low
            .iter()
            .zip(high)
            .map(|(l, h)| u16::from_le_bytes([*l, *h]));
        let good = from.sums(flags)?;
        let bad = from.each(flags, BAD, Reader::number)?;
        let last = from.each(flags, LAST, Reader::doubtful)?;
        let tags = from.each(flags, TAG, Reader::tag)?;
        let told = good.into_iter().zip(bad).zip(last.into_iter().zip(tags));
        for ((n, second), ((good, bad), (last, tag))) in numbers.into_iter().zip(seconds).zip(told)
        {
            body.samples.push(Sample {
                n,
                second,
                good,
                bad: bad.unwrap_or(0),
                last,
                tag,
            });
        }
        from.0.is_empty().then_some(body)
    }
}

/// Bytes that are read from their front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            value |= bits.checked_shl(shift).filter(|v| v >> shift == bits)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// How many of something follow: no more than there are bytes.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.varint()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    /// A positive number of bounded size.
    fn number(&mut self) -> Option<i64> {
        let number = i64::try_from(self.varint()?).ok()?;
        (1..=MAX_COUNT).contains(&number).then_some(number)
    }

    /// One of these for each sample that has this flag.
    fn each<T>(
        &mut self,
        flags: &[u8],
        flag: u8,
        read: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<Option<T>>> {
        flags
            .iter()
            .map(|flags| match flags & flag {
                0 => Some(None),
                _ => read(self).map(Some),
            })
            .collect()
    }

    fn sums(&mut self, flags: &[u8]) -> Option<Vec<Option<Sums>>> {
        let mut values = self.planes(flags.iter().filter(|f| *f & GOOD > 0).count())?;
        let counts = self.each(flags, MANY, Self::number)?;
        let spreads = self.each(flags, SPREAD, |from| {
            let below = i64::try_from(from.varint()?).ok()?;
            let above = i64::try_from(from.varint()?).ok()?;
            Some((below, above, unzigzag(from.varint()?)))
        })?;
        let mut sums = Vec::new();
        for (flags, (count, spread)) in flags.iter().zip(counts.into_iter().zip(spreads)) {
            if flags & GOOD == 0 {
                sums.push(None);
                continue;
            }
            let (last, count) = (values.next()?, count.unwrap_or(1));
            let (below, above, over) = spread.unwrap_or_default();
            let told = Sums {
                count,
                min: last.checked_sub(below)?,
                max: last.checked_add(above)?,
                sum: count.checked_mul(last)?.checked_add(over)?,
                last,
            };
            // The mean lies between the least and the greatest, or somebody is lying.
            let is_true = told.fits()
                && told.sum >= count.checked_mul(told.min)?
                && told.sum <= count.checked_mul(told.max)?;
            sums.push(Some(told).filter(|_| is_true));
            sums.last()?.as_ref()?;
        }
        Some(sums)
    }

    fn doubtful(&mut self) -> Option<Doubtful> {
        let quality = Quality::from_code(self.byte()?.into());
        let flaw = Flaw::from_code(self.byte()?.into());
        let is_there = self.varint()? > 0;
        Some(Doubtful {
            quality,
            flaw,
            value: Some(unzigzag(self.varint()?)).filter(|_| is_there),
        })
    }

    fn tag(&mut self) -> Option<String> {
        let len = self.count().filter(|len| *len <= MAX_TAG)?;
        String::from_utf8(self.take(len)?.to_vec()).ok()
    }

    fn planes(&mut self, count: usize) -> Option<std::vec::IntoIter<i64>> {
        let width = usize::from(self.byte()?);
        if width > size_of::<u64>() {
            return None;
        }
        let planes = self.take(count.checked_mul(width)?)?;
        let values: Option<Vec<i64>> = (0..count)
            .map(|i| {
                let mut bytes = [0; size_of::<u64>()];
                for (plane, byte) in bytes.iter_mut().enumerate().take(width) {
                    *byte = planes[plane * count + i];
                }
                Some(unzigzag(u64::from_le_bytes(bytes)))
                    .filter(|v| (-MAX_VALUE..=MAX_VALUE).contains(v))
            })
            .collect();
        values.map(Vec::into_iter)
    }
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// The lowest byte of each value, then the second of each, as many as the greatest needs.
fn put_planes(bytes: &mut Vec<u8>, values: &[u64]) {
    let greatest = values.iter().fold(0, |all, value| all | value);
    let width = (u64::BITS - greatest.leading_zeros()).div_ceil(8);
    bytes.push(width as u8);
    for plane in 0..width {
        bytes.extend(values.iter().map(|value| (value >> (8 * plane)) as u8));
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}
