//! Binding (RFC 8489 §7.3.1): tells a client its address as the server sees it; and where discovery is on, from which of
//! our sockets it is told so (RFC 5780 §6).

use turn_wire::{ChangeRequest, MessageView, Method, attr};

use crate::{
    Action, Event, Now, Output, Path, Transport,
    auth::{Lookup, Requester, Unproven},
    discovery::{NatDiscovery, Origin},
    reject::Reject,
    relay::Relay,
};

/// How an answer differs from one along the way that the request came.
#[derive(Default)]
struct Detour {
    /// Where it comes from, and what is told of the opposite place.
    from: Option<(Origin, std::net::SocketAddr)>,
    /// Whether it comes from there because the client asked for another place.
    changed: bool,
    /// The port that it goes to.
    to_port: Option<u16>,
}

impl Relay {
    pub(crate) fn binding(
        &mut self,
        now: Now,
        path: &Path,
        view: &MessageView<'_>,
        lookup: Lookup<'_>,
    ) -> Output<'_> {
        if !self.config.binding {
            self.stats.dropped_unexpected += 1;
            return Output::Nothing;
        }
        self.stats.binding_requests += 1;
        let mut requester = None;
        if self.config.binding_needs_credentials {
            match self.authenticate(now, path, view, lookup) {
                Ok(proven) => requester = Some(proven),
                Err(Unproven::NeedsKey(username)) => {
                    // It comes again with its key, and is counted then.
                    self.stats.binding_requests -= 1;
                    return Output::NeedsKey { username };
                }
                Err(Unproven::Refused(reject)) => {
                    return self.refuse_binding(now, path, view, &reject, None);
                }
            }
        }
        let requester = requester.as_ref();
        let is_proven = requester.is_some_and(|held| held.key.is_some());
        match detour(self.config.discovery.as_ref(), path, view) {
            Ok(_) if !is_proven && !self.may_answer_stranger(now, path) => Output::Nothing,
            Ok(detour) => self.answer_binding(path, view, &detour, requester),
            Err(reject) => self.refuse_binding(now, path, view, &reject, requester),
        }
    }

    fn answer_binding(
        &mut self,
        path: &Path,
        view: &MessageView<'_>,
        detour: &Detour,
        requester: Option<&Requester>,
    ) -> Output<'_> {
        self.stats.binding_responses += 1;
        if self.config.reported.bindings {
            self.act(Action::Event(Event::Bound { path: *path }));
        }
        let elsewhere = detour.changed || detour.to_port.is_some();
        let Some((origin, _)) = detour.from.filter(|_| elsewhere) else {
            return Output::Reply(self.write_binding(path, view, detour, requester));
        };
        let bytes = self.write_binding(path, view, detour, requester).to_vec();
        let mut path = Path {
            link: origin.link,
            server: origin.local,
            ..*path
        };
        // Only the port: an answer never goes to an address that has not asked for it.
        path.client
            .set_port(detour.to_port.unwrap_or(path.client.port()));
        self.act(Action::Send { path, bytes });
        Output::Nothing
    }

    fn write_binding(
        &mut self,
        path: &Path,
        view: &MessageView<'_>,
        detour: &Detour,
        requester: Option<&Requester>,
    ) -> &[u8] {
        let fingerprint = self.wants_fingerprint(view);
        let mut answer = self
            .responder
            .success(Method::BINDING, view.transaction_id())
            .xor_mapped_address(path.client);
        if self.config.mapped_address {
            answer = answer.mapped_address(path.client);
        }
        if let Some((origin, other)) = detour.from {
            answer = answer.response_origin(origin.public).other_address(other);
        }
        answer.finish(requester.and_then(Requester::integrity), fingerprint)
    }

    fn refuse_binding(
        &mut self,
        now: Now,
        path: &Path,
        view: &MessageView<'_>,
        reject: &Reject,
        requester: Option<&Requester>,
    ) -> Output<'_> {
        self.stats.binding_errors += 1;
        self.refuse(now, path, view, reject, requester)
    }
}

/// Reads what a client asks of discovery (RFC 5780 §6.1). Where discovery is off, its attributes are unknown ones, apart
/// from a CHANGE-REQUEST that asks for no change: clients of the RFC 3489 age send it always, and coturn answers them.
fn detour(
    discovery: Option<&NatDiscovery>,
    path: &Path,
    view: &MessageView<'_>,
) -> Result<Detour, Reject> {
    let here = ChangeRequest::default();
    let takes_part = discovery.is_some_and(|held| held.origin(path.server, here).is_some());
    let change = view.change_request()?.unwrap_or_default();
    // RFC 8489 §6.3.1: unknown attributes that must be understood. PADDING is one of them: honoured, it would make 1,500
    // bytes of 24.
    Reject::of_unknown(view.unknown_required().filter(|kind| match *kind {
        attr::CHANGE_REQUEST => !takes_part && change != here,
        attr::RESPONSE_PORT => !takes_part,
        _ => true,
    }))?;
    let to_port = view.response_port()?;
    let changed = change != here;
    // Both are about datagrams; and port 0 is nobody's.
    let about_datagrams = changed || to_port.is_some();
    if (about_datagrams && path.transport != Transport::Udp) || to_port == Some(0) {
        return Err(Reject::BadRequest);
    }
    Ok(Detour {
        from: discovery.and_then(|held| held.origin(path.server, change)),
        changed,
        to_port,
    })
}
