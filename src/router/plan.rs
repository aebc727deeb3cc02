//! How a router, or a plain querier, is to work.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sys::mroute::MAX_VIFS;
use crate::wire::igmp::Version;

/// What a [`Forwarder`](super::Forwarder) is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwarderPlan {
    /// Its interfaces, 32 at most. With one alone nothing is forwarded: it is a querier.
    pub interfaces: Vec<String>,
    /// How it asks.
    pub querier: QuerierPlan,
}

/// How a querier asks: the names and the usual values are RFC 3376's, section 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuerierPlan {
    /// The version of its queries.
    pub version: Version,
    /// Time between two general queries.
    pub query_interval: Duration,
    /// The longest a host may take to answer one; in steps of 0.1 s.
    pub max_response: Duration,
    /// Time between the two questions after a leave, and the longest a host may take to answer one; in steps of 0.1 s.
    pub last_member_interval: Duration,
}

/// The robustness variable: how often things are said that might get lost.
pub(super) const ROBUSTNESS: u8 = 2;

impl Default for QuerierPlan {
    fn default() -> Self {
        QuerierPlan {
            version: Version::V3,
            query_interval: Duration::from_secs(125),
            max_response: Duration::from_secs(10),
            last_member_interval: Duration::from_secs(1),
        }
    }
}

impl QuerierPlan {
    /// One general query when it starts and none again within a run: who has joined stays joined, who leaves is out after
    /// 0.2 s. So no query falls into a measurement. (The second of the two at the start comes six hours later.)
    #[must_use]
    pub fn quiet() -> Self {
        QuerierPlan {
            query_interval: Duration::from_secs(86_400),
            max_response: Duration::from_millis(100),
            last_member_interval: Duration::from_millis(100),
            ..QuerierPlan::default()
        }
    }

    /// How long a member that does not answer stays one.
    #[must_use]
    pub fn membership_interval(&self) -> Duration {
        u32::from(ROBUSTNESS) * self.query_interval + self.max_response
    }

    /// How long one that was asked after a leave stays one.
    #[must_use]
    pub fn last_member_time(&self) -> Duration {
        u32::from(ROBUSTNESS) * self.last_member_interval
    }
}

impl ForwarderPlan {
    /// Looks whether it can be done.
    ///
    /// # Errors
    /// Usage: no interfaces, too many, one of them twice; an interval of nothing or of more than a week.
    pub fn check(&self) -> Result<()> {
        const LONGEST: Duration = Duration::from_secs(7 * 86_400);
        let count = self.interfaces.len();
        if !(1..=MAX_VIFS).contains(&count) {
            return Err(Error::usage(format!("{count} interfaces; a multicast router has 1 to {MAX_VIFS}")));
        }
        for (index, name) in self.interfaces.iter().enumerate() {
            if self.interfaces[..index].contains(name) {
                return Err(Error::usage(format!("interface {name} is named twice")));
            }
        }
        let QuerierPlan { query_interval, max_response, last_member_interval, .. } = self.querier;
        for (what, time) in [
            ("query interval", query_interval),
            ("longest response", max_response),
            ("last member interval", last_member_interval),
        ] {
            if time.is_zero() || time > LONGEST {
                return Err(Error::usage(format!("a {what} of {time:?}; it is more than nothing and at most a week")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_intervals_are_those_of_the_rfc() {
        let usual = QuerierPlan::default();
        assert_eq!(usual.membership_interval(), Duration::from_secs(260));
        assert_eq!(usual.last_member_time(), Duration::from_secs(2));
    }

    #[test]
    fn what_cannot_be_is_wrong_usage() {
        let plan = |names: &[&str], querier| ForwarderPlan {
            interfaces: names.iter().map(|name| (*name).to_owned()).collect(),
            querier,
        };
        let usual = QuerierPlan::default();
        assert!(plan(&["a", "b"], usual).check().is_ok());
        assert!(plan(&["a"], QuerierPlan::quiet()).check().is_ok());
        let many: Vec<_> = (0..=MAX_VIFS).map(|number| format!("i{number}")).collect();
        for (bad, why) in [
            (plan(&[], usual), "1 to 32"),
            (ForwarderPlan { interfaces: many, querier: usual }, "1 to 32"),
            (plan(&["a", "b", "a"], usual), "a is named twice"),
            (plan(&["a"], QuerierPlan { query_interval: Duration::ZERO, ..usual }), "query interval"),
            (plan(&["a"], QuerierPlan { max_response: Duration::MAX, ..usual }), "longest response"),
        ] {
            let error = bad.check().unwrap_err();
            assert_eq!(error.class().code(), 2);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
