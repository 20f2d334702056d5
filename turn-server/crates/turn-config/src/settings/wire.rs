//! What messages carry besides what the RFCs ask for.

use crate::values::Values;

/// Says what messages carry on request of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// FINGERPRINT in every answer; otherwise only where the request had one.
    pub fingerprint: bool,
    /// SOFTWARE in answers.
    pub software: bool,
}

impl Wire {
    pub(super) fn build(values: &Values) -> Wire {
        Wire {
            fingerprint: values.flag("fingerprint"),
            software: values.flag("software-attribute"),
        }
    }
}
