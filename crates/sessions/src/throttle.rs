//! How long somebody who was wrong must wait before the next attempt to sign in.
//!
//! An attempt is counted in three ways. What one address does to one account is slowed down most and hurts nobody else;
//! an address that tries many accounts, and an account that is tried from many addresses, come later. The wait for an
//! account alone is short, as strangers can cause it: a right password after it is let in.

use std::net::{IpAddr, Ipv6Addr};

use chrono::{DateTime, TimeDelta, Utc};

use crate::opaque;

/// One failure is forgiven after so long.
const LEAK: TimeDelta = TimeDelta::minutes(5);

/// How attempts that have something in common are slowed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Failures that cost nothing.
    free: i32,
    /// The longest wait, in seconds.
    longest: i64,
}

const PAIR: Rule = Rule {
    free: 4,
    longest: 900,
};
const ADDRESS: Rule = Rule {
    free: 20,
    longest: 900,
};
const ACCOUNT: Rule = Rule {
    free: 50,
    longest: 30,
};

/// What is known of earlier attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) failures: i32,
    pub(crate) counted_at: DateTime<Utc>,
    pub(crate) blocked_until: DateTime<Utc>,
}

impl Rule {
    /// The count after one more attempt, which is a failure until it turns out to be none.
    pub(crate) fn next(self, count: Count, now: DateTime<Utc>) -> Count {
        let forgiven = (now - count.counted_at).num_seconds() / LEAK.num_seconds();
        let forgiven = i32::try_from(forgiven.max(0)).unwrap_or(i32::MAX);
        let failures = count
            .failures
            .saturating_sub(forgiven)
            .max(0)
            .saturating_add(1);
        Count {
            failures,
            counted_at: now,
            blocked_until: now + self.wait(failures),
        }
    }

    /// Doubles with each failure that is not free.
    fn wait(self, failures: i32) -> TimeDelta {
        let Ok(beyond) = u32::try_from(failures - self.free) else {
            return TimeDelta::zero();
        };
        match beyond {
            0 => TimeDelta::zero(),
            more => TimeDelta::seconds((1_i64 << (more - 1).min(30)).min(self.longest)),
        }
    }
}

/// An attempt's three counts, by what is common: their keys, in the order in which their rows are locked.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// Of this address for this account.
    pub(crate) pair: Vec<u8>,
    pub(crate) keys: Vec<(Vec<u8>, Rule)>,
}

impl Attempt {
    /// `account` is the user's id, or the name that nobody has.
    pub(crate) fn new(account: &str, client_address: &str) -> Self {
        let address = common_part(client_address);
        // The lengths keep apart what would read alike put together.
        let pair = opaque::hash(&format!("pair {} {account} {address}", account.len()));
        let mut keys = vec![
            (pair.clone(), PAIR),
            (opaque::hash(&format!("address {address}")), ADDRESS),
            (opaque::hash(&format!("account {account}")), ACCOUNT),
        ];
        keys.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Self { pair, keys }
    }
}

/// What the addresses of one client have in common: an IPv6 client has 2^64 of them.
fn common_part(address: &str) -> String {
    match address
        .parse::<IpAddr>()
        .map(|address| address.to_canonical())
    {
        Ok(IpAddr::V4(address)) => address.to_string(),
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
        Err(_) => "unknown".to_owned(),
    }
}
