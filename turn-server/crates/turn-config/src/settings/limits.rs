//! Quotas and lifetimes.

use std::time::Duration;

use crate::values::Values;

/// Says how many allocations may be held at once; `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// By one user.
    pub per_user: Option<u32>,
    /// By all together.
    pub total: Option<u32>,
    /// Answers per second and source network to requests that prove nothing; `None` is unlimited.
    pub unauth_replies_per_second: Option<u32>,
}

/// Says how long things live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// The longest lifetime that an allocation is granted at once.
    pub max_allocation: Duration,
    /// A channel, from each ChannelBind on.
    pub channel: Duration,
    /// A permission, from each CreatePermission on.
    pub permission: Duration,
}

impl Quotas {
    pub(super) fn build(values: &Values) -> Quotas {
        let limit = |option| {
            values
                .number(option)
                .filter(|limit| *limit > 0)
                .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX))
        };
        Quotas {
            per_user: limit("user-quota"),
            total: limit("total-quota"),
            unauth_replies_per_second: limit("unauth-reply-rate"),
        }
    }
}

impl Lifetimes {
    pub(super) fn build(values: &Values) -> Lifetimes {
        let seconds = |option| Duration::from_secs(values.number(option).unwrap_or_default());
        Lifetimes {
            max_allocation: seconds("max-allocate-lifetime"),
            channel: seconds("channel-lifetime"),
            permission: seconds("permission-lifetime"),
        }
    }
}
