//! The client's side: requests and indications, for the bench, for tests and for self-checks.
//!
//! Not in: credentials and retransmission.

use std::net::SocketAddr;
use std::time::Duration;

use turn::proto::Protocol;
use turn::proto::channum::ChannelNumber;
use turn::proto::dontfrag::DontFragmentAttr;
use turn::proto::lifetime::Lifetime;
use turn::proto::peeraddr::PeerAddress;
use turn::proto::reqtrans::RequestedTransport;
use turn::proto::rsrvtoken::ReservationToken;

use crate::TransactionId;
use crate::attr;
use crate::attr::even_port::EvenPort;
use crate::attr::family::{AddressFamily, Family};
use crate::attr::password_algorithm::PasswordAlgorithm;
use crate::draft::Draft;
use crate::integrity::IntegrityKey;
use crate::method::{Class, Method};

/// Builds one request or indication; attributes stand in the order they are added.
#[must_use = "a request is bytes only once it is finished"]
pub struct RequestBuilder {
    draft: Draft,
}

impl RequestBuilder {
    /// Begins a request.
    pub fn new(method: Method, id: TransactionId) -> Self {
        Self::with_class(method, Class::Request, id)
    }

    /// Begins an indication, such as Send.
    pub fn indication(method: Method, id: TransactionId) -> Self {
        Self::with_class(method, Class::Indication, id)
    }

    fn with_class(method: Method, class: Class, id: TransactionId) -> Self {
        let mut draft = Draft::new();
        draft.begin(method, class, id);
        Self { draft }
    }

    /// Adds USERNAME (RFC 8489 §14.3).
    pub fn username(self, name: &str) -> Self {
        self.attribute(attr::USERNAME, name.as_bytes())
    }

    /// Adds USERHASH, which stands for a name and a realm (RFC 8489 §14.4).
    pub fn userhash(self, hash: &[u8; 32]) -> Self {
        self.attribute(attr::USERHASH, hash)
    }

    /// Adds PASSWORD-ALGORITHMS, as the server has listed them (RFC 8489 §14.11).
    pub fn password_algorithms(self, listed: &[u8]) -> Self {
        self.attribute(attr::PASSWORD_ALGORITHMS, listed)
    }

    /// Adds PASSWORD-ALGORITHM, the one that the key was made by (RFC 8489 §14.12).
    pub fn password_algorithm(mut self, algorithm: PasswordAlgorithm) -> Self {
        self.draft.set(&algorithm);
        self
    }

    /// Adds ACCESS-TOKEN (RFC 7635 §6.2).
    pub fn access_token(self, token: &[u8]) -> Self {
        self.attribute(attr::ACCESS_TOKEN, token)
    }

    /// Adds REALM (RFC 8489 §14.9).
    pub fn realm(self, realm: &str) -> Self {
        self.attribute(attr::REALM, realm.as_bytes())
    }

    /// Adds NONCE (RFC 8489 §14.10).
    pub fn nonce(self, nonce: &[u8]) -> Self {
        self.attribute(attr::NONCE, nonce)
    }

    /// Adds SOFTWARE (RFC 8489 §14.14).
    pub fn software(self, name: &str) -> Self {
        self.attribute(attr::SOFTWARE, name.as_bytes())
    }

    /// Adds REQUESTED-TRANSPORT by protocol number, 17 for UDP (RFC 8656 §18.8).
    pub fn requested_transport(mut self, protocol: u8) -> Self {
        self.draft.set(&RequestedTransport {
            protocol: Protocol(protocol),
        });
        self
    }

    /// Adds REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6).
    pub fn requested_family(mut self, family: Family) -> Self {
        self.draft.set(&AddressFamily {
            kind: attr::REQUESTED_ADDRESS_FAMILY,
            family,
        });
        self
    }

    /// Adds ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §18.11).
    pub fn additional_family(mut self, family: Family) -> Self {
        self.draft.set(&AddressFamily {
            kind: attr::ADDITIONAL_ADDRESS_FAMILY,
            family,
        });
        self
    }

    /// Adds EVEN-PORT; `reserve_next` asks for the next port to be held (RFC 8656 §18.7).
    pub fn even_port(mut self, reserve_next: bool) -> Self {
        self.draft.set(&EvenPort { reserve_next });
        self
    }

    /// Adds RESERVATION-TOKEN (RFC 8656 §18.10).
    pub fn reservation_token(mut self, token: [u8; 8]) -> Self {
        self.draft.set(&ReservationToken(token.to_vec()));
        self
    }

    /// Adds DONT-FRAGMENT (RFC 8656 §18.9).
    pub fn dont_fragment(mut self) -> Self {
        self.draft.set(&DontFragmentAttr);
        self
    }

    /// Adds LIFETIME in seconds (RFC 8656 §18.2).
    pub fn lifetime(mut self, seconds: u32) -> Self {
        self.draft
            .set(&Lifetime(Duration::from_secs(seconds.into())));
        self
    }

    /// Adds CHANNEL-NUMBER, whatever its range (RFC 8656 §18.1).
    pub fn channel_number(mut self, number: u16) -> Self {
        self.draft.set(&ChannelNumber(number));
        self
    }

    /// Adds XOR-PEER-ADDRESS; several are allowed (RFC 8656 §18.3).
    pub fn xor_peer_address(mut self, peer: SocketAddr) -> Self {
        self.draft.set(&PeerAddress {
            ip: peer.ip(),
            port: peer.port(),
        });
        self
    }

    /// Adds CONNECTION-ID (RFC 6062 §6.2.1).
    pub fn connection_id(self, id: u32) -> Self {
        self.attribute(attr::CONNECTION_ID, &id.to_be_bytes())
    }

    /// Adds MOBILITY-TICKET; an empty one asks for mobility (RFC 8016 §3.1.1).
    pub fn mobility_ticket(self, ticket: &[u8]) -> Self {
        self.attribute(attr::MOBILITY_TICKET, ticket)
    }

    /// Adds DATA (RFC 8656 §18.4).
    pub fn data(self, data: &[u8]) -> Self {
        self.attribute(attr::DATA, data)
    }

    /// Adds any attribute by number and bytes. One that would exceed the length field of the message is left out.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.draft.put(kind, value);
        self
    }

    /// Adds MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 and goes on: a client that knows nothing of its server signs with both
    /// (RFC 8489 §9.1.2).
    pub fn sign(mut self, key: &IntegrityKey) -> Self {
        self.draft.close(Some(key), false);
        self
    }

    /// Adds the closing attributes and returns the bytes.
    #[must_use]
    pub fn finish(mut self, integrity: Option<&IntegrityKey>, fingerprint: bool) -> Vec<u8> {
        self.draft.close(integrity, fingerprint);
        self.draft.into_bytes()
    }
}
