//! The borrowed view and the codec's decoder never read one message in two ways.

use arbitrary::Unstructured;
use turn_wire::{IntegrityKey, Method, RequestBuilder};

use crate::{agreement, bytes};

const KEY: &[u8] = b"swordfish";

/// The first byte chooses between the bytes as they are and a message that is made of them.
pub(crate) fn run(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    let message = match how & 3 {
        0 => rest.to_vec(),
        1 => {
            let mut raw = rest.to_vec();
            if raw.len() >= 20 {
                raw[0] &= 0x3F;
                raw[4..8].copy_from_slice(&0x2112_A442_u32.to_be_bytes());
                raw.truncate(raw.len() / 4 * 4);
                bytes::set_length(&mut raw);
            }
            raw
        }
        how => made_of(rest, how == 2).unwrap_or_default(),
    };
    agreement::view_reads_what_the_codec_reads(&message);
    agreement::refusals_are_justified(&message);
    agreement::integrity_is_judged_alike(&message, KEY);
    agreement::fingerprints_are_judged_alike(&message);
}

/// A message of chosen attributes, some of them behind its integrity.
fn made_of(data: &[u8], signed: bool) -> arbitrary::Result<Vec<u8>> {
    let mut source = Unstructured::new(data);
    let method = source.arbitrary::<u16>()? & 0xFFF;
    let method = Method::from_number(method).expect("twelve bits");
    let builder = RequestBuilder::new(method, source.arbitrary()?);
    let builder = bytes::attributes(&mut source, builder)?;
    let key = IntegrityKey::new(KEY);
    let mut message = builder.finish(signed.then_some(&key), source.arbitrary()?);
    message.extend(bytes::encoded(&mut source)?);
    bytes::set_length(&mut message);
    if let Ok(at) = source.choose_index(message.len()) {
        message[at] ^= source.arbitrary::<u8>().unwrap_or_default();
    }
    Ok(message)
}
