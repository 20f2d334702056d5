//! Quotas and lifetimes.

use std::time::Duration;

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
