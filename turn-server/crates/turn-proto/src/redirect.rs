//! Where clients are sent instead: ALTERNATE-SERVER and ALTERNATE-DOMAIN (RFC 8489 §10, RFC 8656 §7.2).

use std::net::SocketAddr;

use crate::{Path, Transport};

/// A server that clients are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternate {
    /// Its address.
    pub server: SocketAddr,
    /// A name in its certificate, if that is another than ours (RFC 8489 §10).
    pub domain: Option<Box<str>>,
}

/// The servers that clients are sent to, by the transport that they come over. Where a list is empty, `any` counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alternates {
    /// For whoever no other list is for.
    pub any: Vec<Alternate>,
    /// For UDP and DTLS.
    pub udp: Vec<Alternate>,
    /// For TCP.
    pub tcp: Vec<Alternate>,
    /// For TLS, and for DTLS before `any`.
    pub tls: Vec<Alternate>,
}

impl Alternates {
    /// The servers for a client: of its own family, for it may have no other, and none if this very server is one of the list, or
    /// two servers would send their clients to each other for ever.
    fn of(&self, path: &Path) -> &[Alternate] {
        let lists: &[&Vec<Alternate>] = match path.transport {
            Transport::Udp => &[&self.udp],
            Transport::Tcp => &[&self.tcp],
            Transport::Tls => &[&self.tls],
            Transport::Dtls => &[&self.udp, &self.tls],
        };
        let list = lists.iter().find(|list| !list.is_empty());
        let list = list.map_or(&self.any, |list| *list);
        if list.iter().any(|held| held.server == path.server) {
            &[]
        } else {
            list
        }
    }

    /// Whether a client is sent elsewhere.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.of(path)
            .iter()
            .any(|held| held.server.is_ipv4() == path.client.is_ipv4())
    }

    /// The server that is `turn`'s, one after the other.
    pub(crate) fn pick(&self, path: &Path, turn: usize) -> Option<&Alternate> {
        let same = |held: &&Alternate| held.server.is_ipv4() == path.client.is_ipv4();
        let count = self.of(path).iter().filter(same).count();
        let at = turn.checked_rem(count)?;
        self.of(path).iter().filter(same).nth(at)
    }
}
