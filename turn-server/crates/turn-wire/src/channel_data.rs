//! ChannelData: four bytes of header before the payload (RFC 8656 §12.4).
//!
//! Not in: which channel numbers may be bound; every number with the frame's first two bits is reported.

use std::ops::Range;

use crate::parse::ParseError;

/// Length of the channel number and length fields.
pub(crate) const CHANNEL_HEADER_LEN: usize = 4;

/// One ChannelData message of a datagram or frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelData {
    /// The channel, 0x4000..=0x7FFF.
    pub number: u16,
    /// Where the payload lies in the packet.
    pub payload: Range<usize>,
}

impl ChannelData {
    /// Reads the header. Up to three bytes of padding may follow the payload (RFC 8656 §12.5), anything more is refused.
    #[inline]
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, ParseError> {
        let (header, rest) = packet
            .split_first_chunk::<CHANNEL_HEADER_LEN>()
            .ok_or(ParseError::TooShort)?;
        let number = u16::from_be_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if rest.len() < length || rest.len() - length > 3 {
            return Err(ParseError::Length);
        }
        Ok(Self {
            number,
            payload: CHANNEL_HEADER_LEN..CHANNEL_HEADER_LEN + length,
        })
    }
}

/// Writes a ChannelData header in front of `payload` and returns the range of the whole message.
///
/// With `pad`, zeroes fill the message to a multiple of four, as streams require (RFC 8656 §12.5). `None` if header or
/// padding does not fit into `buf`, or the payload is longer than 65,535 bytes; `buf` may then be partly written.
#[inline]
pub fn write_channel_data(
    buf: &mut [u8],
    payload: Range<usize>,
    number: u16,
    pad: bool,
) -> Option<Range<usize>> {
    let length = payload.end.checked_sub(payload.start)?;
    let field = u16::try_from(length).ok()?;
    let start = payload.start.checked_sub(CHANNEL_HEADER_LEN)?;
    let padding = if pad {
        length.next_multiple_of(4) - length
    } else {
        0
    };
    let end = payload.end.checked_add(padding)?;

    buf.get_mut(payload.end..end)?.fill(0);
    let header = buf
        .get_mut(start..)?
        .first_chunk_mut::<CHANNEL_HEADER_LEN>()?;
    let [number_high, number_low] = number.to_be_bytes();
    let [length_high, length_low] = field.to_be_bytes();
    *header = [number_high, number_low, length_high, length_low];
    Some(start..end)
}
