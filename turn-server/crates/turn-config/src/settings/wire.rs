//! What messages carry besides what the RFCs ask for.

use crate::values::Values;

/// Says what messages carry on request of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// FINGERPRINT in every answer; otherwise only where the request had one.
    pub fingerprint: bool,
    /// SOFTWARE in answers.
    pub software: bool,
    /// The reason of an error in words.
    pub reasons: bool,
    /// MAPPED-ADDRESS in Binding answers, besides XOR-MAPPED-ADDRESS.
    pub mapped_address: bool,
    /// Answers to Binding requests without a magic cookie (RFC 3489).
    pub classic_stun: bool,
}

impl Wire {
    pub(super) fn build(values: &Values) -> Wire {
        Wire {
            fingerprint: values.flag("fingerprint"),
            software: values.flag("software-attribute"),
            reasons: values.flag("include-reason-string"),
            mapped_address: values.flag("stun-backward-compatibility"),
            classic_stun: values.flag("rfc3489-compatibility"),
        }
    }
}
