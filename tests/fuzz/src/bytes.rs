//! Turning a fuzzer's bytes into attributes and choices.

use arbitrary::{Result, Unstructured};
use turn_wire::{RequestBuilder, attr};

/// Kinds that some rule speaks of; others come up as any number.
const KINDS: [u16; 16] = [
    attr::USERNAME,
    attr::REALM,
    attr::NONCE,
    attr::LIFETIME,
    attr::XOR_PEER_ADDRESS,
    attr::DATA,
    attr::CHANNEL_NUMBER,
    attr::REQUESTED_TRANSPORT,
    attr::EVEN_PORT,
    attr::RESERVATION_TOKEN,
    attr::MESSAGE_INTEGRITY,
    attr::MESSAGE_INTEGRITY_SHA256,
    attr::FINGERPRINT,
    attr::REQUESTED_ADDRESS_FAMILY,
    attr::ADDITIONAL_ADDRESS_FAMILY,
    attr::DONT_FRAGMENT,
];

/// One attribute: its kind and its value.
pub(crate) fn attribute<'a>(source: &mut Unstructured<'a>) -> Result<(u16, &'a [u8])> {
    let kind = match usize::from(source.arbitrary::<u8>()?) {
        known if known < KINDS.len() * 12 => KINDS[known / 12],
        _ => source.arbitrary()?,
    };
    let length = usize::from(source.arbitrary::<u8>()? & 0x3F).min(source.len());
    Ok((kind, source.bytes(length)?))
}

/// Up to eight attributes at the end of a message in the making.
pub(crate) fn attributes(
    source: &mut Unstructured<'_>,
    mut message: RequestBuilder,
) -> Result<RequestBuilder> {
    for _ in 0..source.arbitrary::<u8>()? & 7 {
        let (kind, value) = attribute(source)?;
        message = message.attribute(kind, value);
    }
    Ok(message)
}

/// Up to eight attributes as they stand on the wire, for the end of a finished message.
pub(crate) fn encoded(source: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for _ in 0..source.arbitrary::<u8>()? & 7 {
        let (kind, value) = attribute(source)?;
        bytes.extend(kind.to_be_bytes());
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    Ok(bytes)
}

/// Writes a length that fits into a message's header.
pub(crate) fn set_length(message: &mut [u8]) {
    let length = (message.len().saturating_sub(20) as u16).to_be_bytes();
    message[2..4].copy_from_slice(&length);
}
