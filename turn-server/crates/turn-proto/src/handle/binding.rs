//! Binding (RFC 8489 §7.3.1): tells a client its address as the server sees it.

use turn_wire::{MessageView, Method};

use crate::{Now, Output, Path, reject::Reject, relay::Relay};

impl Relay {
    pub(crate) fn binding(&mut self, now: Now, path: &Path, view: &MessageView<'_>) -> Output<'_> {
        if !self.config.binding {
            self.stats.dropped_unexpected += 1;
            return Output::Nothing;
        }
        self.stats.binding_requests += 1;
        let mut key = None;
        if self.config.binding_needs_credentials {
            match self.authenticate(now, path, view) {
                Ok(requester) => key = requester.key,
                Err(reject) => return self.refuse_binding(now, path, view, &reject),
            }
        }
        // §6.3.1: unknown attributes that must be understood.
        let unknown: Vec<u16> = view.unknown_required().collect();
        if !unknown.is_empty() {
            return self.refuse_binding(now, path, view, &Reject::UnknownAttributes(unknown));
        }
        self.stats.binding_responses += 1;
        let fingerprint = self.wants_fingerprint(view);
        let answer = self
            .responder
            .success(Method::BINDING, view.transaction_id());
        Output::Reply(
            answer.xor_mapped_address(path.client).finish(
                key.as_ref()
                    .map(|key: &crate::allocation::SessionKey| &key.ready),
                fingerprint,
            ),
        )
    }

    fn refuse_binding(
        &mut self,
        now: Now,
        path: &Path,
        view: &MessageView<'_>,
        reject: &Reject,
    ) -> Output<'_> {
        self.stats.binding_errors += 1;
        self.refuse(now, path, view, reject, None)
    }
}
