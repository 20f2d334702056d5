//! Settings of who may come in, and by which protocol.
//!
//! In: the doors, the origins of pages, the key. Not in: who a user is (`identity.rs`).

use ice_api::Origins;
use turn_auth::Secret;
use turn_config::Origin;

use super::settings::Reader;
use crate::{Doors, PeerJsDoor};

impl Reader<'_> {
    pub(super) fn doors(&mut self) -> Doors {
        let closed = self.values.texts("without");
        let is_open = |name: &str| !closed.iter().any(|closed| closed == name);
        Doors {
            native: is_open("native"),
            stream: is_open("stream"),
            peerjs: is_open("peerjs").then(|| self.peerjs()),
            socket_io: is_open("socket.io"),
        }
    }

    fn peerjs(&mut self) -> PeerJsDoor {
        let path = self.values.text("peerjs-path").unwrap_or_default();
        let key = self.values.text("peerjs-key").unwrap_or_default();
        if path == "/web" || path.starts_with("/web/") {
            let remedy = "Choose another path.";
            self.problem("peerjs-path", "the pages' own files are there", remedy);
        }
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.~".contains(letter);
        if key.is_empty() || !key.chars().all(is_plain) {
            let remedy = "Write letters, digits and dashes, as in the client's option `key`.";
            self.problem("peerjs-key", format!("{key:?} cannot be used"), remedy);
        }
        let path = path.trim_matches('/');
        PeerJsDoor {
            path: if path.is_empty() {
                "/".to_owned()
            } else {
                format!("/{path}/")
            },
            key,
            discovery: self.values.flag("peerjs-discovery"),
        }
    }

    pub(super) fn origins(&mut self) -> Origins {
        Origins::new(self.values.texts("allowed-origin")).unwrap_or_else(|error| {
            self.problem(
                "allowed-origin",
                error.to_string(),
                "Write what the browser sends, for example https://app.example.org.",
            );
            Origins::default()
        })
    }

    pub(super) fn join_key(&mut self) -> Option<Secret<String>> {
        let key = self
            .lines("join-key-file")
            .into_iter()
            .next()
            .map(Secret::new);
        let proves = self
            .values
            .text("auth")
            .is_some_and(|auth| auth != "anonymous");
        if key.is_none() && !proves {
            let text = "join-key-file: not given, so everybody who reaches this service may use it and the ICE servers it hands out; --join-key-file=FILE or --auth=jwt decides who may";
            self.report.warn(Origin::Default, text);
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;

    #[test]
    fn each_protocol_can_be_turned_off() {
        let doors = settings(&[
            "--without=native",
            "--without=peerjs",
            "--without=socket.io",
        ])
        .doors;
        assert_eq!(
            (doors.native, doors.stream, doors.peerjs, doors.socket_io),
            (false, true, None, false)
        );
    }
}
