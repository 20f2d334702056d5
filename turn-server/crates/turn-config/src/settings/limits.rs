//! Quotas and lifetimes.

use std::time::Duration;

use crate::diagnostics::Report;
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
    /// A connection of a client without an allocation, until twice as long at the latest; `None` is for ever.
    pub connection: Option<Duration>,
    /// A TLS handshake.
    pub handshake: Duration,
    /// What becomes of an allocation when the credential that made it expires.
    pub credential_expiry: CredentialExpiry,
}

/// Says what becomes of an allocation when the credential that made it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialExpiry {
    /// Nothing, as in coturn: a call outlives its credential.
    Ignored,
    /// It is not refreshed any more.
    RefuseRefresh,
    /// It ends with the credential.
    EndSession,
}

impl Quotas {
    pub(super) fn build(values: &Values, report: &mut Report) -> Quotas {
        let limit = |option| {
            values
                .number(option)
                .filter(|limit| *limit > 0)
                .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX))
        };
        Quotas {
            per_user: limit("user-quota"),
            total: limit("total-quota"),
            unauth_replies_per_second: limit(unauth_reply_rate(values, report)),
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
            connection: Some(seconds("max-allocate-timeout")).filter(|time| !time.is_zero()),
            handshake: seconds("handshake-timeout"),
            credential_expiry: match values.text("credential-expiry").as_deref() {
                Some("refuse-refresh") => CredentialExpiry::RefuseRefresh,
                Some("end-session") => CredentialExpiry::EndSession,
                _ => CredentialExpiry::Ignored,
            },
        }
    }
}

/// Which option says how often strangers are answered. coturn's, once turned on, counts unless ours is there as well.
///
/// coturn counts the answers to one address, ours those to its network (/24 or /56); both hold for datagrams only.
fn unauth_reply_rate(values: &Values, report: &mut Report) -> &'static str {
    const OURS: &str = "unauth-reply-rate";
    const COTURNS: &str = "unauthorized-ratelimit-rps";
    if !values.flag("unauthorized-ratelimit") {
        if values.is_given(COTURNS) {
            let reason = format!(
                "{COTURNS} counts only with unauthorized-ratelimit; {OURS} limits in any case"
            );
            report.note(values.origin(COTURNS), reason);
        }
        return OURS;
    }
    if values.is_given(OURS) {
        report.note(
            values.origin("unauthorized-ratelimit"),
            format!("{OURS} takes precedence"),
        );
        return OURS;
    }
    COTURNS
}
