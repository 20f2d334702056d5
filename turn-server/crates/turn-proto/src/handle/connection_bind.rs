//! ConnectionBind (RFC 6062 §5.4): a client's new connection becomes the other half of a peer's.
//!
//! It arrives on whichever worker has accepted the client's connection; the one that has the peer's joins them.

use turn_wire::Request;

use crate::{
    Action, ConnectionId, Now, Path, auth::Requester, connections::Phase, reject::Reject,
    relay::Relay, respond::Done,
};

impl Relay {
    /// Answers a ConnectionBind request.
    pub(crate) fn connection_bind(
        &mut self,
        path: &Path,
        request: &Request,
        requester: &Requester,
    ) -> Result<Done, Reject> {
        // Over a stream, and one of its own: a control connection must stay one.
        if !path.transport.is_stream() || requester.allocation.is_some() {
            return Err(Reject::BadRequest);
        }
        let id = request.connection_id()?.ok_or(Reject::BadRequest)?;
        let connection = ConnectionId(id);
        // It exists, awaits its client and nobody was faster.
        let worker = self.shared.connections.take(connection);
        let worker = worker.ok_or(Reject::BadRequest)?;
        self.act(Action::Join {
            link: path.link,
            connection,
            worker,
        });
        Ok(Done::Success)
    }

    /// Takes the news that the driver holds a client's data connection for a peer's; tells whether they are to be joined.
    pub fn on_join(&mut self, _now: Now, connection: ConnectionId) -> bool {
        let held = self.connections.get_mut(&connection);
        let waiting = held.filter(|held| held.phase == Phase::Waiting);
        waiting.is_some_and(|held| {
            held.phase = Phase::Joined;
            true
        })
    }
}
