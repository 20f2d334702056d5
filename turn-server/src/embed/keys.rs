//! Who a user is: the program's `AuthHandler`, asked where it can hold up nobody.
//!
//! The handler is synchronous, and its program may well ask a database in it. So it runs on the runtime's threads for
//! blocking work and not where packets are read; that costs some microseconds once per allocation, because the key is
//! kept as long as the allocation lives.

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::Semaphore;
use turn::auth::AuthHandler;

/// The program's handler.
pub(crate) type SharedHandler = Arc<dyn AuthHandler + Send + Sync>;

/// Requests that wait for a key at most, 64 KiB each at worst. More are dropped, and their clients ask again.
const WAITING: usize = 1024;

/// Handlers that run at the same time. The runtime has 512 threads for blocking work, and they are the program's.
const RUNNING: usize = 16;

/// The program's handler and its bounds.
pub(super) struct Keys {
    handler: SharedHandler,
    realm: String,
    waiting: Semaphore,
    running: Semaphore,
}

impl Keys {
    pub(super) fn new(handler: SharedHandler, realm: String) -> Self {
        Self {
            handler,
            realm,
            waiting: Semaphore::new(WAITING),
            running: Semaphore::new(RUNNING),
        }
    }

    /// Takes a place among those who wait, if there is one; it is given back when the permit is dropped.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Admitted> {
        let permit = self.waiting.try_acquire().ok()?;
        permit.forget();
        Some(Admitted(Arc::clone(self)))
    }
}

/// A place among those who wait for a key.
pub(super) struct Admitted(Arc<Keys>);

impl Admitted {
    /// Asks for a key. A handler that fails in whatever way does not know the user.
    pub(super) async fn find(self, username: Box<str>, client: SocketAddr) -> Option<Vec<u8>> {
        let keys = Arc::clone(&self.0);
        let _turn = keys.running.acquire().await.ok()?;
        let asked = Arc::clone(&keys);
        let answer = tokio::task::spawn_blocking(move || {
            asked.handler.auth_handle(&username, &asked.realm, client)
        });
        match answer.await {
            Ok(Ok(key)) => Some(key),
            Ok(Err(error)) => {
                tracing::debug!(%error, %client, "the user is not known");
                None
            }
            Err(error) => {
                tracing::error!(%error, "the authentication handler panicked");
                None
            }
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.waiting.add_permits(1);
    }
}
