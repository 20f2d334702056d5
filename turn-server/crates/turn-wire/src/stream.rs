//! Frames on TCP and TLS: where a message ends, from its first bytes (RFC 8656 §12.5, RFC 8489 §6.2.2).
//!
//! Not in: buffers, limits in time, and what a frame holds; a whole frame goes to `parse`.

use crate::channel_data::CHANNEL_HEADER_LEN;
use crate::{HEADER_LEN, MAGIC_COOKIE};

/// Longest frame there can be, in bytes: a STUN header and the longest body in fours.
pub const MAX_FRAME: usize = HEADER_LEN + 65_532;

/// What the bytes received so far begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Not yet a whole frame.
    Incomplete,
    /// A frame of that many bytes, padding included.
    Whole(usize),
}

/// The bytes cannot begin a frame: the stream has lost its step, or never spoke this protocol. It is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a frame of STUN or ChannelData")]
pub struct FramingError;

/// Finds the end of the first frame in `buffered`. Errs at the first byte that shows that there is none.
pub fn next_frame(buffered: &[u8]) -> Result<Frame, FramingError> {
    let Some(&first) = buffered.first() else {
        return Ok(Frame::Incomplete);
    };
    let length = match buffered {
        &[_, _, high, low, ..] => Some(usize::from(u16::from_be_bytes([high, low]))),
        _ => None,
    };
    let whole = match first >> 6 {
        0b00 => {
            let cookie = MAGIC_COOKIE.to_be_bytes();
            let agrees = buffered
                .iter()
                .skip(4)
                .zip(cookie)
                .all(|(&byte, expected)| byte == expected);
            if !agrees || length.is_some_and(|length| !length.is_multiple_of(4)) {
                return Err(FramingError);
            }
            length.map(|length| HEADER_LEN + length)
        }
        0b01 => length.map(|length| (CHANNEL_HEADER_LEN + length).next_multiple_of(4)),
        _ => return Err(FramingError),
    };
    Ok(match whole {
        Some(whole) if buffered.len() >= whole => Frame::Whole(whole),
        _ => Frame::Incomplete,
    })
}
