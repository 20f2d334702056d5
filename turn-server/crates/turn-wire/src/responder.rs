//! Answers: success and error responses, and indications of the server, one at a time in a kept buffer (RFC 8489 §6.3).
//!
//! What an unproven source can provoke is added by its bytes, for floods are answered here too; the rest goes through
//! the codec's types. Not in: which answer to give.

use std::net::SocketAddr;
use std::time::Duration;

use stun::addr::MappedAddress;
use turn::proto::lifetime::Lifetime;
use turn::proto::relayaddr::RelayedAddress;
use turn::proto::rsrvtoken::ReservationToken;

use crate::TransactionId;

use crate::attr::discovery::PlainAddress;
use crate::attr::{self, family::Family, xor_address};
use crate::draft::Draft;
use crate::integrity::IntegrityKey;
use crate::method::{Class, Method};

/// Builds one answer at a time into a buffer that it keeps.
pub struct Responder {
    draft: Draft,
}

impl Responder {
    /// Makes a responder with an empty buffer.
    pub fn new() -> Self {
        Self {
            draft: Draft::new(),
        }
    }

    /// Begins a success response.
    pub fn success(&mut self, method: Method, id: TransactionId) -> Answer<'_> {
        self.draft.begin(method, Class::Success, id);
        Answer {
            draft: &mut self.draft,
        }
    }

    /// Begins an indication to a client, such as ConnectionAttempt (RFC 6062 §5.3).
    pub fn indication(&mut self, method: Method, id: TransactionId) -> Answer<'_> {
        self.draft.begin(method, Class::Indication, id);
        Answer {
            draft: &mut self.draft,
        }
    }

    /// Begins an error response with its ERROR-CODE; `reason` may be empty (RFC 8489 §14.8).
    pub fn error(
        &mut self,
        method: Method,
        id: TransactionId,
        code: u16,
        reason: &str,
    ) -> Answer<'_> {
        self.draft.begin(method, Class::Error, id);
        self.draft.put_with(attr::ERROR_CODE, |value| {
            // The class is the hundreds digit, 3 to 6, in three bits.
            value.extend_from_slice(&[0, 0, (code / 100) as u8 & 0b111, (code % 100) as u8]);
            value.extend_from_slice(reason.as_bytes());
        });
        Answer {
            draft: &mut self.draft,
        }
    }
}

impl Default for Responder {
    fn default() -> Self {
        Self::new()
    }
}

/// An answer that is being built; attributes stand in the order they are added.
#[must_use = "an answer is bytes only once it is finished"]
pub struct Answer<'r> {
    draft: &'r mut Draft,
}

impl<'r> Answer<'r> {
    /// Adds XOR-MAPPED-ADDRESS, where the request came from (RFC 8489 §14.2).
    pub fn xor_mapped_address(self, address: SocketAddr) -> Self {
        let value = xor_address::encode(address, self.draft.transaction_id());
        self.draft.put(attr::XOR_MAPPED_ADDRESS, value.as_slice());
        self
    }

    /// Adds MAPPED-ADDRESS, the same for clients of RFC 3489 (RFC 8489 §14.1).
    pub fn mapped_address(self, address: SocketAddr) -> Self {
        self.draft.set(&MappedAddress {
            ip: address.ip(),
            port: address.port(),
        });
        self
    }

    /// Adds RESPONSE-ORIGIN, where the answer comes from (RFC 5780 §7.3).
    pub fn response_origin(self, address: SocketAddr) -> Self {
        self.plain_address(attr::RESPONSE_ORIGIN, address)
    }

    /// Adds OTHER-ADDRESS, where an answer comes from whose address and port are both changed (RFC 5780 §7.4).
    pub fn other_address(self, address: SocketAddr) -> Self {
        self.plain_address(attr::OTHER_ADDRESS, address)
    }

    fn plain_address(self, kind: u16, address: SocketAddr) -> Self {
        self.draft.set(&PlainAddress { kind, address });
        self
    }

    /// Adds XOR-RELAYED-ADDRESS (RFC 8656 §18.5).
    pub fn xor_relayed_address(self, address: SocketAddr) -> Self {
        self.draft.set(&RelayedAddress {
            ip: address.ip(),
            port: address.port(),
        });
        self
    }

    /// Adds ADDRESS-ERROR-CODE: why a dual allocation lacks a family, 440 or 508 (RFC 8656 §18.12). Rare enough to be said by
    /// its draft's number too.
    pub fn address_error_code(self, family: Family, code: u16) -> Self {
        let (class, number) = ((code / 100) as u8 & 0b111, (code % 100) as u8);
        let value = [family.number(), 0, class, number];
        self.draft.put(attr::ADDRESS_ERROR_CODE, &value);
        self.draft.put(attr::DRAFT_ADDRESS_ERROR_CODE, &value);
        self
    }

    /// Adds ICMP: a type of 7 bits and a code of 9 in one field, and what the type has besides (RFC 8656 §18.13).
    pub fn icmp(self, kind: u8, code: u8, data: u32) -> Self {
        let [high, low] = (u16::from(kind) << 9 | u16::from(code)).to_be_bytes();
        let [a, b, c, d] = data.to_be_bytes();
        let value = [0, 0, high, low, a, b, c, d];
        self.draft.put(attr::ICMP, &value);
        self
    }

    /// Adds LIFETIME in seconds (RFC 8656 §18.2).
    pub fn lifetime(self, seconds: u32) -> Self {
        self.draft
            .set(&Lifetime(Duration::from_secs(seconds.into())));
        self
    }

    /// Adds RESERVATION-TOKEN (RFC 8656 §18.10).
    pub fn reservation_token(self, token: [u8; 8]) -> Self {
        self.draft.set(&ReservationToken(token.to_vec()));
        self
    }

    /// Adds XOR-PEER-ADDRESS (RFC 8656 §18.3).
    pub fn xor_peer_address(self, peer: SocketAddr) -> Self {
        let value = xor_address::encode(peer, self.draft.transaction_id());
        self.draft.put(attr::XOR_PEER_ADDRESS, value.as_slice());
        self
    }

    /// Adds CONNECTION-ID (RFC 6062 §6.2.1).
    pub fn connection_id(self, id: u32) -> Self {
        self.draft.put(attr::CONNECTION_ID, &id.to_be_bytes());
        self
    }

    /// Adds MOBILITY-TICKET (RFC 8016 §3.3).
    pub fn mobility_ticket(self, ticket: &[u8]) -> Self {
        self.draft.put(attr::MOBILITY_TICKET, ticket);
        self
    }

    /// Adds REALM (RFC 8489 §14.9).
    pub fn realm(self, realm: &str) -> Self {
        self.draft.put(attr::REALM, realm.as_bytes());
        self
    }

    /// Adds NONCE (RFC 8489 §14.10).
    pub fn nonce(self, nonce: &[u8]) -> Self {
        self.draft.put(attr::NONCE, nonce);
        self
    }

    /// Adds PASSWORD-ALGORITHMS, those that the server takes, the best first (RFC 8489 §14.11).
    pub fn password_algorithms(self, listed: &[u8]) -> Self {
        self.draft.put(attr::PASSWORD_ALGORITHMS, listed);
        self
    }

    /// Adds THIRD-PARTY-AUTHORIZATION, the name that tokens for this server are made out to (RFC 7635 §6.1).
    pub fn third_party_authorization(self, server: &str) -> Self {
        self.draft
            .put(attr::THIRD_PARTY_AUTHORIZATION, server.as_bytes());
        self
    }

    /// Adds ALTERNATE-SERVER, where to go instead (RFC 8489 §14.15).
    pub fn alternate_server(self, server: SocketAddr) -> Self {
        self.plain_address(attr::ALTERNATE_SERVER, server)
    }

    /// Adds ALTERNATE-DOMAIN, a name in that server's certificate (RFC 8489 §14.16).
    pub fn alternate_domain(self, name: &str) -> Self {
        self.draft.put(attr::ALTERNATE_DOMAIN, name.as_bytes());
        self
    }

    /// Adds UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
    pub fn unknown_attributes(self, kinds: &[u16]) -> Self {
        self.draft.put_with(attr::UNKNOWN_ATTRIBUTES, |value| {
            value.extend(kinds.iter().flat_map(|kind| kind.to_be_bytes()));
        });
        self
    }

    /// Adds SOFTWARE (RFC 8489 §14.14).
    pub fn software(self, name: &str) -> Self {
        self.draft.put(attr::SOFTWARE, name.as_bytes());
        self
    }

    /// Adds the closing attributes and returns the bytes, which stay until the next answer begins.
    pub fn finish(self, integrity: Option<&IntegrityKey>, fingerprint: bool) -> &'r [u8] {
        self.draft.close(integrity, fingerprint);
        self.draft.as_bytes()
    }
}
