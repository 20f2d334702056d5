//! Which clients are served at all.

use crate::client_range::{ClientRange, Listeners};
use crate::diagnostics::Report;
use crate::values::{Given, Values};

/// The options, in the order of the lists below.
const ALLOWED: &str = "allowed-client-ip";
const DENIED: &str = "denied-client-ip";

/// Says whose packets and connections are taken. For each listener, the entries that mean it count together: `allowed` beats
/// `denied`, and `allowed` alone admits nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Whose clients are served even if `denied` says no.
    pub allowed: Vec<ClientRange>,
    /// Whose clients are not served.
    pub denied: Vec<ClientRange>,
}

impl Clients {
    /// All entries, each with the option that it is of.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &ClientRange)> {
        let allowed = self.allowed.iter().map(|entry| (ALLOWED, entry));
        allowed.chain(self.denied.iter().map(|entry| (DENIED, entry)))
    }

    pub(super) fn build(values: &Values, report: &mut Report) -> Clients {
        let (allowed, denied) = (values.list(ALLOWED), values.list(DENIED));
        warn_of_the_unheard(&allowed, &denied, report);
        warn_of_the_unnamed(&allowed, &denied, report);
        if !values.is_given("proxy-protocol-from") && !values.is_given("tcp-proxy-port") {
            warn_of_families(ALLOWED, &allowed, report);
            warn_of_families(DENIED, &denied, report);
        }
        let entries = |given: Vec<Given<ClientRange>>| {
            let entries = given.into_iter();
            entries.map(|given| given.value).collect()
        };
        Clients {
            allowed: entries(allowed),
            denied: entries(denied),
        }
    }
}

/// What is allowed as well is not denied.
fn warn_of_the_unheard(
    allowed: &[Given<ClientRange>],
    denied: &[Given<ClientRange>],
    report: &mut Report,
) {
    for deny in denied {
        let stronger = (allowed.iter()).find(|allow| allow.value.covers(&deny.value));
        if let Some(allow) = stronger {
            report.warn(
                deny.origin.clone(),
                format!(
                    "{DENIED}={} has no effect: {ALLOWED}={} ({}) beats it; remove one of them",
                    deny.value, allow.value, allow.origin
                ),
            );
        }
    }
}

/// Who allows some and denies others, and means that nobody else is served.
fn warn_of_the_unnamed(
    allowed: &[Given<ClientRange>],
    denied: &[Given<ClientRange>],
    report: &mut Report,
) {
    for allow in allowed {
        let ClientRange { range, listeners } = allow.value;
        let mut there = denied
            .iter()
            .filter(|deny| deny.value.listeners.meets(listeners))
            .peekable();
        let Some(first) = there.peek().copied() else {
            continue;
        };
        let is_exception = there.any(|deny| {
            let denied = deny.value.range;
            denied.contains(range.first()) && denied.contains(range.last())
        });
        if !is_exception {
            report.warn(
                allow.origin.clone(),
                format!(
                    "{ALLOWED}={} is no exception to a {DENIED}, and with {DENIED}={} ({}) clients that neither names are served \
                     there; to serve nobody else, write {DENIED}=0.0.0.0/0 and {DENIED}=::/0",
                    allow.value, first.value, first.origin
                ),
            );
        }
    }
}

/// Clients of one family do not come to an address of the other, unless a proxy names them.
fn warn_of_families(option: &str, entries: &[Given<ClientRange>], report: &mut Report) {
    for Given { value, origin } in entries {
        if let Listeners::At(at) = value.listeners
            && at.is_ipv4() != value.range.first().is_ipv4()
        {
            report.warn(
                origin.clone(),
                format!(
                    "{option}={value} has no effect: nobody of {} comes to {at}",
                    value.range
                ),
            );
        }
    }
}
