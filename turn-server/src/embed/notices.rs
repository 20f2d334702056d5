//! News of ended allocations for the program (the crate's `alloc_close_notify`).

use tokio::sync::mpsc;
use turn::allocation::AllocationInfo;

/// News that wait at most. A program that does not read its channel loses the rest, and nobody waits for it.
const BACKLOG: usize = 1024;

/// The near end of a backlog that a task hands on as fast as the program takes it.
#[derive(Clone, Default)]
pub(super) struct Notices(Option<mpsc::Sender<AllocationInfo>>);

impl Notices {
    /// Starts the task, which ends when every near end is gone and all is handed on, or the program has dropped its end.
    pub(super) fn to(program: Option<mpsc::Sender<AllocationInfo>>) -> Self {
        Self(program.map(|program| {
            let (near, mut far) = mpsc::channel(BACKLOG);
            tokio::spawn(async move {
                while let Some(info) = far.recv().await {
                    if program.send(info).await.is_err() {
                        break;
                    }
                }
            });
            near
        }))
    }

    pub(super) fn tell(&self, info: AllocationInfo) {
        if let Some(near) = &self.0
            && near.try_send(info).is_err()
        {
            tracing::warn!("nobody takes the news of ended allocations: one is lost");
        }
    }
}
