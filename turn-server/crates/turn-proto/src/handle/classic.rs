//! Binding for clients of RFC 3489, where the operator wants it (RFC 8489 §11; coturn's `rfc3489-compatibility`).

use turn_wire::{ChangeRequest, ClassicPlaces, ParseError, parse_classic_binding};

use crate::{Action, Now, Output, Path, Transport, relay::Relay};

impl Relay {
    /// Answers a packet that is no STUN message of today, if it is one of the past.
    pub(crate) fn unreadable(
        &mut self,
        now: Now,
        path: &Path,
        packet: &[u8],
        error: ParseError,
    ) -> Output<'_> {
        let config = &self.config;
        let wanted = config.classic_stun && config.binding && !config.binding_needs_credentials;
        // The cookie is what its clients do not have; whatever else is wrong with a packet was wrong then.
        let request = (wanted && error == ParseError::Cookie)
            .then(|| parse_classic_binding(packet).ok())
            .flatten();
        let Some(mut request) = request else {
            self.stats.dropped_malformed += 1;
            return Output::Nothing;
        };
        self.stats.binding_requests += 1;
        if !self.may_answer_stranger(now, path) {
            return Output::Nothing;
        }
        let changed = request.change() != ChangeRequest::default();
        let discovery = self.config.discovery.as_ref();
        let from = discovery.and_then(|held| held.origin(path.server, request.change()));
        if changed && (from.is_none() || path.transport != Transport::Udp) {
            request.refuse_change();
        }
        let places = from.map(|(origin, changed)| ClassicPlaces {
            source: origin.public,
            changed,
        });
        let bytes = request.answer(path.client, places);
        if request.is_refused() {
            self.stats.binding_errors += 1;
        } else {
            self.stats.binding_responses += 1;
            if let Some((origin, _)) = from.filter(|_| changed) {
                let path = Path {
                    link: origin.link,
                    server: origin.local,
                    ..*path
                };
                self.act(Action::Send { path, bytes });
                return Output::Nothing;
            }
        }
        self.again = bytes;
        Output::Reply(&self.again)
    }
}
