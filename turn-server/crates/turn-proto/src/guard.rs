//! What keeps strangers and the greedy in check, as the operator has set it. The default guards nothing.

use std::sync::Arc;

use crate::{ClientLists, ReplyLimit};

/// The operator's measures against abuse.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Whose packets are taken at all.
    pub clients: ClientLists,
    /// How often strangers are answered; `None` is as often as they ask. Shared by all workers.
    pub replies: Option<Arc<ReplyLimit>>,
}
