//! What an error of a conn means: that it is closed, or that one packet went wrong.

use std::{io::ErrorKind, time::Duration};

use webrtc_util::Error;

/// The longest pause between two tries of a conn that fails again and again.
const LONGEST: Duration = Duration::from_secs(1);

/// Patience with a conn that is read from: errors are passed over, ever more slowly if nothing comes in between.
#[derive(Default)]
pub(super) struct Patience {
    pause: Duration,
}

impl Patience {
    /// Something was received.
    pub(super) fn restore(&mut self) {
        self.pause = Duration::ZERO;
    }

    /// Waits until it is worth reading again; tells when it is not, ever.
    ///
    /// The first error costs nothing: it is ICMP about an earlier packet, or the like, and packets may wait behind it.
    pub(super) async fn endure(&mut self, error: &Error) -> bool {
        if is_closed(error) {
            return false;
        }
        tracing::debug!(%error, "receiving failed");
        if self.pause.is_zero() {
            self.pause = Duration::from_millis(1);
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(self.pause).await;
            self.pause = LONGEST.min(self.pause * 2);
        }
        true
    }
}

/// Tells whether an error is the conn's way to say that it is closed. `vnet` and the crate's pipes have these.
fn is_closed(error: &Error) -> bool {
    match error {
        Error::ErrBufferClosed
        | Error::ErrClosedListener
        | Error::ErrUseClosedNetworkConn
        | Error::ErrAlreadyClosed
        | Error::ErrVnetDisabled => true,
        Error::Io(error) => matches!(
            error.0.kind(),
            ErrorKind::ConnectionAborted
                | ErrorKind::NotConnected
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
        ),
        _ => false,
    }
}
