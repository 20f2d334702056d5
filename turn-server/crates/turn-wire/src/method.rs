//! Message types: the method, the class, and the 14 bits that carry both (RFC 8489 §5).
//!
//! Not in: which methods this server answers.

use std::fmt;

/// Says which procedure a message belongs to; 12 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method(u16);

impl Method {
    /// Binding (RFC 8489 §6).
    pub const BINDING: Self = Self(0x001);
    /// Allocate (RFC 8656 §7).
    pub const ALLOCATE: Self = Self(0x003);
    /// Refresh (RFC 8656 §8).
    pub const REFRESH: Self = Self(0x004);
    /// Send, an indication from the client (RFC 8656 §11).
    pub const SEND: Self = Self(0x006);
    /// Data, an indication to the client (RFC 8656 §11).
    pub const DATA: Self = Self(0x007);
    /// CreatePermission (RFC 8656 §10).
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// ChannelBind (RFC 8656 §12).
    pub const CHANNEL_BIND: Self = Self(0x009);
    /// Connect (RFC 6062 §6.1).
    pub const CONNECT: Self = Self(0x00A);
    /// ConnectionBind (RFC 6062 §6.1).
    pub const CONNECTION_BIND: Self = Self(0x00B);
    /// ConnectionAttempt, an indication to the client (RFC 6062 §6.1).
    pub const CONNECTION_ATTEMPT: Self = Self(0x00C);

    /// Names a method by its number; `None` above 12 bits.
    pub const fn from_number(number: u16) -> Option<Self> {
        if number <= 0xFFF {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Returns the registered number.
    pub const fn number(self) -> u16 {
        self.0
    }

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::BINDING => "Binding",
            Self::ALLOCATE => "Allocate",
            Self::REFRESH => "Refresh",
            Self::SEND => "Send",
            Self::DATA => "Data",
            Self::CREATE_PERMISSION => "CreatePermission",
            Self::CHANNEL_BIND => "ChannelBind",
            Self::CONNECT => "Connect",
            Self::CONNECTION_BIND => "ConnectionBind",
            Self::CONNECTION_ATTEMPT => "ConnectionAttempt",
            _ => return None,
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "method {:#05x}", self.0),
        }
    }
}

/// Says whether a message asks, tells or answers; 2 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Asks, and is answered.
    Request,
    /// Tells, and is not answered.
    Indication,
    /// Answers: done.
    Success,
    /// Answers: not done, with an ERROR-CODE.
    Error,
}

/// Splits a message type field whose top two bits are zero.
///
/// ```text
///  0 0 M M M M M C M M M C M M M M
///      11      7 1 6   4 0 3     0
/// ```
pub(crate) fn split_type(field: u16) -> (Method, Class) {
    let method = (field & 0x000F) | ((field & 0x00E0) >> 1) | ((field & 0x3E00) >> 2);
    let class = match (field & 0x0100 != 0, field & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    };
    (Method(method), class)
}

/// Joins method and class into a message type field.
pub(crate) fn join_type(method: Method, class: Class) -> u16 {
    let number = method.0;
    let spread = (number & 0x000F) | ((number & 0x0070) << 1) | ((number & 0x0F80) << 2);
    spread
        | match class {
            Class::Request => 0x0000,
            Class::Indication => 0x0010,
            Class::Success => 0x0100,
            Class::Error => 0x0110,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stun::message::MessageType;

    #[test]
    fn every_type_field_splits_as_the_codec_splits_it_and_joins_back() {
        for field in 0..0x4000_u16 {
            let (method, class) = split_type(field);
            let mut theirs = MessageType::default();
            theirs.read_value(field);
            let ours = MessageType {
                method: codec_method(method),
                class: codec_class(class),
            };
            assert_eq!(ours, theirs, "{field:#06x}");
            assert_eq!(join_type(method, class), field);
        }
    }

    #[test]
    fn a_method_above_twelve_bits_has_no_name() {
        assert_eq!(Method::from_number(0xFFF).map(Method::number), Some(0xFFF));
        assert_eq!(Method::from_number(0x1000), None);
    }

    #[test]
    fn methods_are_displayed_by_name_or_number() {
        assert_eq!(Method::CREATE_PERMISSION.to_string(), "CreatePermission");
        assert_eq!(Method(0x0AB).to_string(), "method 0x0ab");
    }

    fn codec_method(method: Method) -> stun::message::Method {
        // The field of the codec's method is private; class 0 leaves only the method.
        let mut typ = MessageType::default();
        typ.read_value(join_type(method, Class::Request));
        typ.method
    }

    fn codec_class(class: Class) -> stun::message::MessageClass {
        match class {
            Class::Request => stun::message::CLASS_REQUEST,
            Class::Indication => stun::message::CLASS_INDICATION,
            Class::Success => stun::message::CLASS_SUCCESS_RESPONSE,
            Class::Error => stun::message::CLASS_ERROR_RESPONSE,
        }
    }
}
