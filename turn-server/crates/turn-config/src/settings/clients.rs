//! Which clients are served at all.

use crate::ip_range::IpRange;
use crate::values::Values;

/// Says whose packets and connections are taken. `allowed` beats `denied`; `allowed` alone admits nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Ranges whose clients are served even if `denied` says no.
    pub allowed: Vec<IpRange>,
    /// Ranges whose clients are not served.
    pub denied: Vec<IpRange>,
}

impl Clients {
    pub(super) fn build(values: &Values) -> Clients {
        let ranges = |option| {
            let given = values.list(option).into_iter();
            given.map(|given| given.value).collect()
        };
        Clients {
            allowed: ranges("allowed-client-ip"),
            denied: ranges("denied-client-ip"),
        }
    }
}
