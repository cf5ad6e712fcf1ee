//! How often one address may try: a bucket that fills again, in memory.
//!
//! Lock-outs of accounts ([`hub_accounts::lockout`]) are on disk; this keeps one address from trying many accounts, and from
//! keeping the machine busy with argon2.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use hub_store::Micros;

/// Addresses remembered at once; when there are more, those whose bucket is full again are forgotten, or all are.
const REMEMBERED: usize = 50_000;

/// A limit per address.
#[derive(Debug)]
pub(crate) struct Limit {
    /// Tries that a full bucket holds, and that come back in a minute.
    tries: i64,
    spent: Mutex<HashMap<IpAddr, Bucket>>,
}

/// What an address spent, in microtries, at a moment.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    spent: i64,
    at: Micros,
}

impl Limit {
    /// So many tries a minute.
    pub(crate) fn per_minute(tries: i64) -> Self {
        Self {
            tries,
            spent: Mutex::default(),
        }
    }

    /// Takes one try, if there is one.
    pub(crate) fn take(&self, address: IpAddr, now: Micros) -> bool {
        let address = network(address);
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.len() >= REMEMBERED {
            spent.retain(|_, bucket| self.left(bucket, now) > 0);
            if spent.len() >= REMEMBERED {
                spent.clear();
            }
        }
        let bucket = spent.entry(address).or_insert(Bucket { spent: 0, at: now });
        bucket.spent = self.left(bucket, now);
        bucket.at = now;
        let may = bucket.spent <= (self.tries - 1) * TRY;
        if may {
            bucket.spent += TRY;
        }
        may
    }

    /// What is still spent at `now`.
    fn left(&self, bucket: &Bucket, now: Micros) -> i64 {
        let back = now
            .0
            .saturating_sub(bucket.at.0)
            .max(0)
            .saturating_mul(self.tries)
            / 60;
        (bucket.spent - back).max(0)
    }
}

/// A try, in microtries.
const TRY: i64 = 1_000_000;

/// One household of IPv6 has 64 bits of addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(bits.into())
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_back_with_time() {
        let limit = Limit::per_minute(3);
        let (one, other): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let start = Micros(1_000);
        let taken = (0..5).filter(|_| limit.take(one, start)).count();
        assert_eq!(taken, 3);
        assert!(limit.take(other, start));
        assert!(!limit.take(one, start.plus_seconds(19)));
        assert!(limit.take(one, start.plus_seconds(21)));
        assert!(!limit.take(one, start.plus_seconds(21)));
    }

    #[test]
    fn a_household_is_one_address() {
        let limit = Limit::per_minute(1);
        assert!(limit.take("2001:db8::1".parse().unwrap(), Micros(0)));
        assert!(!limit.take("2001:db8::2".parse().unwrap(), Micros(0)));
        assert!(limit.take("2001:db8:0:1::2".parse().unwrap(), Micros(0)));
    }
}
