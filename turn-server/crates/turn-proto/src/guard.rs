//! What keeps strangers and the greedy in check, as the operator has set it. The default guards nothing.

use std::sync::Arc;

use crate::{Caps, ClientLists, ReplyLimit};

/// The operator's measures against abuse.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Whose packets are taken at all.
    pub clients: ClientLists,
    /// How much everybody may have.
    pub caps: Caps,
    /// What becomes of an allocation when the credential that made it expires.
    pub expiry: CredentialExpiry,
    /// How often strangers are answered; `None` is as often as they ask. Shared by all workers.
    pub replies: Option<Arc<ReplyLimit>>,
}

/// What becomes of an allocation when the time-limited credential that made it expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialExpiry {
    /// Nothing, as in coturn: a call outlives its credential.
    #[default]
    Ignored,
    /// A Refresh gets what an Allocate would get, 401: the allocation lasts for what was granted, and no longer. Browsers
    /// end a relayed connection at any error but 438, so the code matters to nobody; a Refresh that ends it is obeyed.
    RefuseRefresh,
    /// No lifetime is granted that is longer than the credential's, so both end at once. A Refresh after that is too late.
    EndSession,
}
