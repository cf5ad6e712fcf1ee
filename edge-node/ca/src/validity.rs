//! From when until when a certificate is good.
//!
//! A Pi without a clock battery may think that it is 1970, and so may a device. The authority's own dates are therefore fixed,
//! and a certificate begins no earlier than they do and a day before it was made.

use farm_model::UnixMillis;
use rcgen::CertificateParams;
use time::OffsetDateTime;

const DAY_MS: i64 = 86_400_000;
/// 2026-01-01: no certificate of this program is older.
const FIRST: UnixMillis = UnixMillis(1_767_225_600_000);
/// 2049-12-31, the last year that every X.509 library reads in the same form.
const LAST: UnixMillis = UnixMillis(2_524_521_600_000);
/// Days that a device's certificate is good.
const DEVICE_DAYS: i64 = 730;
/// Days that the appliance's own is good; browsers take at most 398.
const SERVER_DAYS: i64 = 365;

/// A span of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// Its begin.
    pub not_before: UnixMillis,
    /// Its end.
    pub not_after: UnixMillis,
}

impl Validity {
    /// That of a device's certificate made now.
    pub fn of_device(now: UnixMillis) -> Self {
        Self::lasting(now, DEVICE_DAYS)
    }

    /// That of the appliance's certificate made now.
    pub fn of_server(now: UnixMillis) -> Self {
        Self::lasting(now, SERVER_DAYS)
    }

    /// That of the authority.
    pub(crate) fn of_authority() -> Self {
        Self {
            not_before: FIRST,
            not_after: LAST,
        }
    }

    fn lasting(now: UnixMillis, days: i64) -> Self {
        let now = now.clamp(FIRST.plus(DAY_MS), LAST.plus(-days * DAY_MS));
        Self {
            not_before: now.plus(-DAY_MS),
            not_after: now.plus(days * DAY_MS),
        }
    }

    /// Whether a third, or less, is left of it.
    pub fn wants_renewal(&self, now: UnixMillis) -> bool {
        self.not_after.since(now) < self.not_after.since(self.not_before) / 3
    }

    /// As a certificate says it: whole seconds.
    pub(crate) fn write(&self, params: &mut CertificateParams) {
        params.not_before = moment(self.not_before);
        params.not_after = moment(self.not_after);
    }
}

fn moment(at: UnixMillis) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_makes_certificates_that_are_good_later() {
        let now = UnixMillis(1_795_140_000_000);
        for wrong in [0, i64::MIN, i64::MAX, now.0] {
            let validity = Validity::of_device(UnixMillis(wrong));
            assert!(validity.not_before >= FIRST && validity.not_after <= LAST);
            let days = validity.not_after.since(validity.not_before) / DAY_MS;
            assert_eq!(days, DEVICE_DAYS + 1);
        }
        assert!(Validity::of_device(UnixMillis(0)).not_after > now);
    }

    #[test]
    fn renewal_is_due_when_a_third_is_left() {
        let made = UnixMillis(1_795_140_000_000);
        let validity = Validity::of_server(made);
        assert!(!validity.wants_renewal(made.plus(200 * DAY_MS)));
        assert!(validity.wants_renewal(made.plus(250 * DAY_MS)));
        assert!(validity.wants_renewal(made.plus(500 * DAY_MS)));
    }
}
