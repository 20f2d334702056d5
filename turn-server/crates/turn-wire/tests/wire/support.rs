//! What the tests of this crate share: bytes as hexadecimal text, addresses, and a view that must parse.

use std::net::SocketAddr;

use turn_wire::{MessageView, Packet, TransactionId, parse};

/// The transaction id of all messages written here.
pub(crate) const ID: TransactionId = *b"turnpike-txn";

/// Cookie and transaction id, which follow type and length in every STUN message; `COMMON` in hexadecimal text here.
const COMMON: &str = "2112a442 7475726e70696b652d74786e";

/// Writes bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads hexadecimal text, with `COMMON` in it, passing over white space.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let text = text.replace("COMMON", COMMON);
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect()
}

/// Reads an address literal.
pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address literal")
}

/// Parses bytes that must be a STUN message.
pub(crate) fn view(bytes: &[u8]) -> MessageView<'_> {
    match parse(bytes) {
        Ok(Packet::Stun(view)) => view,
        other => panic!("not a STUN message: {other:?}"),
    }
}
