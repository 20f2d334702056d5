//! The names of things: users, connections, members, rooms, calls.
//!
//! In: what a name may look like, checked once when it is made. Not in: who may use it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;

/// Bytes of UTF-8 that a name of a user, room or call may have.
pub const MAX_NAME: usize = 128;

/// A text of 1 to [`MAX_NAME`] bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Checks `text`; `None` when it is empty, too long or has control characters.
    pub fn parse(text: &str) -> Option<Name> {
        let fits = (1..=MAX_NAME).contains(&text.len());
        (fits && !text.chars().any(char::is_control)).then(|| Name(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        let text = String::deserialize(deserializer)?;
        Name::parse(&text).ok_or_else(|| D::Error::custom("not a name"))
    }
}

/// A user: one person or program, on one or several connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub Name);

/// A call; the caller makes the name up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub Name);

/// A peer; it makes the name up or is given one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerId(pub Name);

/// The secret by which a peer shows that an id is its own; it has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct PeerToken(pub Name);

impl PeerToken {
    /// Compares in constant time.
    pub fn matches(&self, other: &PeerToken) -> bool {
        let (own, shown) = (self.0.as_str().as_bytes(), other.0.as_str().as_bytes());
        own.ct_eq(shown).into()
    }
}

/// A room, within its kind: the mesh `x` and the stream `x` are different rooms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomId {
    /// What the members are to each other.
    pub kind: RoomKind,
    /// The name that clients use.
    pub name: Name,
}

/// What the members of a room are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RoomKind {
    /// Equals; everybody may signal everybody.
    Mesh,
    /// One sender and its receivers.
    Stream,
}

/// A connection of this process; random, so that it is unique among many processes too. Clients never see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A member of a room, as the other members know it. It outlives its connection for the grace period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for MemberId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<MemberId, Self::Err> {
        u64::from_str_radix(text, 16).map(MemberId)
    }
}

impl Serialize for MemberId {
    /// Writes the same as `Display`, without the machinery of formats: it is in every signal.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = [0; 16];
        for (digit, byte) in digits.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            digit.copy_from_slice(&[hex(byte >> 4), hex(byte & 0xf)]);
        }
        match std::str::from_utf8(&digits) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_str(self),
        }
    }
}

/// The digit for a number below sixteen.
const fn hex(number: u8) -> u8 {
    match number {
        0..10 => b'0' + number,
        _ => b'a' + (number - 10),
    }
}

impl<'de> Deserialize<'de> for MemberId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MemberId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The secret by which a member takes its place in a room again; it has no `Debug`.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct ResumeKey(pub u128);

impl ResumeKey {
    /// Compares in constant time.
    pub fn matches(&self, other: &ResumeKey) -> bool {
        self.0.to_be_bytes().ct_eq(&other.0.to_be_bytes()).into()
    }
}

impl FromStr for ResumeKey {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<ResumeKey, Self::Err> {
        u128::from_str_radix(text, 16).map(ResumeKey)
    }
}

impl fmt::Display for ResumeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_printable() {
        assert!(Name::parse("Zoë 🎥").is_some());
        assert!(Name::parse(&"x".repeat(128)).is_some());
        for text in [
            "",
            "a\nb",
            "\u{7f}",
            "\u{85}",
            &"x".repeat(129),
            &"é".repeat(65),
        ] {
            assert_eq!(Name::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn ids_read_back_as_written() {
        for (number, text) in [
            (0x1f, "000000000000001f"),
            (0x0123_4567_89ab_cdef, "0123456789abcdef"),
        ] {
            let member = MemberId(number);
            assert_eq!(member.to_string(), text);
            assert_eq!(text.parse(), Ok(member));
            let json = serde_json::to_string(&member).unwrap();
            assert_eq!(json, format!("\"{text}\""));
        }
        let key = ResumeKey(u128::MAX - 1);
        assert!(key.to_string().parse::<ResumeKey>().unwrap().matches(&key));
        assert!(!ResumeKey(0).matches(&key));
        for text in ["", "xyz", "10000000000000000", "-1"] {
            assert!(text.parse::<MemberId>().is_err(), "{text}");
        }
    }
}
