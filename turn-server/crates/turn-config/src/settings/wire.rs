//! What messages carry besides what the RFCs ask for.

/// Says what messages carry on request of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// FINGERPRINT in every answer; otherwise only where the request had one.
    pub fingerprint: bool,
    /// SOFTWARE in answers.
    pub software: bool,
}
