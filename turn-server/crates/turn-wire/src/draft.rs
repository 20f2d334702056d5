//! One message being written: the codec's `Message`, reused, and the ways to add to it.
//!
//! Not in: which attributes a message may carry (`responder`, `request_builder`).

use stun::agent::TransactionId as CodecId;
use stun::attributes::AttrType;
use stun::message::{Message, Setter};

use crate::attr::fingerprint::{FINGERPRINT_LEN, FingerprintSetter};
use crate::integrity::{BOTH_LEN, IntegrityKey};
use crate::method::{Class, Method, join_type};
use crate::{ATTRIBUTE_HEADER_LEN, HEADER_LEN, TransactionId};

/// Most that attributes may take before the closing ones: the length field has 16 bits and counts in fours.
const MAX_PLAIN: usize = 65_532 - BOTH_LEN - FINGERPRINT_LEN;

/// Most that an attribute added through its type takes: an IPv6 address with its headers.
const MAX_TYPED: usize = 24;

/// A message under construction, over buffers that are kept.
pub(crate) struct Draft {
    message: Message,
    scratch: Vec<u8>,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self {
            message: Message::new(),
            scratch: Vec::new(),
        }
    }

    /// Starts over with an empty message.
    pub(crate) fn begin(&mut self, method: Method, class: Class, id: TransactionId) {
        self.message.reset();
        // As in `append`.
        self.message.raw.resize(HEADER_LEN, 0);
        self.message.typ.read_value(join_type(method, class));
        self.message.transaction_id = CodecId(id);
        self.message.write_header();
    }

    /// Returns the id that addresses are disguised with.
    pub(crate) fn transaction_id(&self) -> &TransactionId {
        &self.message.transaction_id.0
    }

    /// Adds an attribute by its bytes. One that would make the message too long for its length field is left out.
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) {
        let needed = ATTRIBUTE_HEADER_LEN + value.len().next_multiple_of(4);
        if self.message.length as usize + needed <= MAX_PLAIN {
            append(&mut self.message, kind, value);
        }
    }

    /// Adds an attribute whose bytes are put together first, in a buffer that is kept.
    pub(crate) fn put_with(&mut self, kind: u16, compose: impl FnOnce(&mut Vec<u8>)) {
        let mut value = std::mem::take(&mut self.scratch);
        value.clear();
        compose(&mut value);
        self.put(kind, &value);
        self.scratch = value;
    }

    /// Adds an attribute of at most 20 bytes through its type; left out as in [`Draft::put`].
    pub(crate) fn set(&mut self, attribute: &impl Setter) {
        if self.message.length as usize + MAX_TYPED <= MAX_PLAIN {
            self.add(attribute);
        }
    }

    /// Adds the closing attributes in their order (RFC 8489 §14.5, §14.7).
    pub(crate) fn close(&mut self, integrity: Option<&IntegrityKey>, fingerprint: bool) {
        if let Some(key) = integrity {
            self.add(key);
        }
        if fingerprint {
            self.add(&FingerprintSetter);
        }
    }

    fn add(&mut self, attribute: &impl Setter) {
        // A setter fails on values that are too long or of the wrong length; the callers' types exclude both.
        let outcome = attribute.add_to(&mut self.message);
        debug_assert!(outcome.is_ok(), "{outcome:?}");
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.message.raw
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.message.raw
    }
}

/// Adds an attribute to a message whose buffer ends where its length says.
pub(crate) fn append(message: &mut Message, kind: u16, value: &[u8]) {
    // The codec grows its buffer through a second one; a buffer that is long enough already spares it that.
    let needed = ATTRIBUTE_HEADER_LEN + value.len().next_multiple_of(4);
    message.raw.resize(message.raw.len() + needed, 0);
    message.add(AttrType(kind), value);
}
