//! The form of a fact's body, for any bytes and any samples; and what a reading becomes on its way through the sums.

use farm_model::{Flaw, Quality};
use proptest::{collection::vec, option, prelude::*};

use super::body::{Body, Doubtful, Sample, Spelt, Sums};

fn sums() -> impl Strategy<Value = Sums> {
    let value = -(1_i64 << 41)..(1 << 41);
    vec(value, 1..20).prop_map(|values| Sums {
        count: values.len() as i64,
        min: *values.iter().min().expect("one at least"),
        max: *values.iter().max().expect("one at least"),
        sum: values.iter().sum(),
        last: *values.last().expect("one at least"),
    })
}

fn doubtful() -> impl Strategy<Value = Doubtful> {
    let quality = prop::sample::select(vec![Quality::Stale, Quality::Bad, Quality::Missing]);
    let flaw = option::of(prop::sample::select(Flaw::ALL));
    (quality, flaw, option::of(any::<i64>())).prop_map(|(quality, flaw, value)| Doubtful {
        quality,
        flaw,
        value,
    })
}

fn sample() -> impl Strategy<Value = Sample> {
    (
        option::of(sums()),
        0_i64..1_000,
        0_u16..3_600,
        option::of(doubtful()),
        option::of("[0-9A-F]{0,64}"),
    )
        .prop_map(|(good, bad, second, last, tag)| Sample {
            n: 0,
            second,
            good,
            bad,
            last,
            tag,
        })
}

fn body() -> impl Strategy<Value = Body> {
    let spelt = (1_i64..60_000, any::<[u8; 16]>(), option::of(1_u8..=255));
    let spelt = spelt.prop_map(|(n, device, quantity)| Spelt {
        n,
        device,
        quantity,
    });
    let samples = vec((1_i64..300, sample()), 0..40).prop_map(|steps| {
        let mut n = 0;
        let numbered = steps.into_iter().map(|(step, sample)| {
            n += step;
            Sample { n, ..sample }
        });
        numbered.collect()
    });
    (vec(spelt, 0..5), samples).prop_map(|(spelt, samples)| Body { spelt, samples })
}

proptest! {
    #[test]
    fn a_body_is_read_as_it_was_written(body in body()) {
        prop_assert_eq!(Body::read(&body.write()), Some(body));
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in body(), flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>()) {
        let mut bytes = body.write();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let Some(read) = Body::read(bytes) else { continue };
            for good in read.samples.iter().filter_map(|sample| sample.good) {
                prop_assert!(good.fits(), "{good:?}");
            }
        }
    }

    #[test]
    fn noise_is_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let mut framed = vec![1];
        framed.extend(&bytes);
        for bytes in [bytes, framed] {
            if let Some(body) = Body::read(&bytes) {
                prop_assert!(body.samples.len() + body.spelt.len() <= bytes.len());
            }
        }
    }
}

#[test]
fn the_rule_costs_little() {
    let sample = |n| Sample {
        n,
        second: 17,
        good: Some(Sums {
            count: 1,
            min: 4_100,
            max: 4_100,
            sum: 4_100,
            last: 4_100,
        }),
        bad: 0,
        last: None,
        tag: None,
    };
    let body = |count| Body {
        spelt: Vec::new(),
        samples: (1..=count).map(sample).collect(),
    };
    let (one, many) = (body(1).write().len(), body(51).write().len());
    assert_eq!(
        many - one,
        50 * 6,
        "number, flags, two of time, two of value"
    );
    assert_eq!(one, 4 + 6);
}

#[test]
fn a_layout_of_tomorrow_is_left_alone() {
    let mut bytes = Body::default().write();
    assert_eq!(Body::read(&bytes), Some(Body::default()));
    bytes[0] = 2;
    assert_eq!(Body::read(&bytes), None);
}
