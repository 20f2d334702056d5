//! ClientHello, read without keeping anything, and the two things that are said to one without keeping anything.
//!
//! A hello may come in fragments. The first is enough here if all that a cookie covers lies in it: version, random, session,
//! suites and compression methods stand before the extensions, which make a hello long. Later fragments say nothing to whom
//! nothing is known of.

use super::{
    cookie::COOKIE,
    records::{ALERT, DTLS_1_0, HANDSHAKE, HEADER, Record},
};

/// The message types of the handshake that are looked at (RFC 6347 §4.3.2).
pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const HELLO_VERIFY_REQUEST: u8 = 3;

/// Bytes before the body of a handshake message.
const MESSAGE_HEADER: usize = 12;
/// Bytes of a HelloVerifyRequest's body: version, the cookie's length, cookie.
const VERIFY_BODY: usize = 2 + 1 + COOKIE;
/// Bytes of a datagram with a HelloVerifyRequest. No hello is as short: its fields alone take more.
pub(super) const VERIFY: usize = HEADER + MESSAGE_HEADER + VERIFY_BODY;

/// Bytes of a datagram with a refusal.
pub(super) const REFUSAL: usize = HEADER + 2;

/// What a client that wants an association says first (RFC 6347 §4.2.1), or the first fragment of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello<'a> {
    /// The number of its record.
    pub(super) number: u64,
    /// How many handshake messages the client has sent before.
    pub(super) message_seq: u16,
    pub(super) version: [u8; 2],
    pub(super) random: [u8; 32],
    pub(super) session: &'a [u8],
    pub(super) cookie: &'a [u8],
    /// The cipher suites that it offers, as they are written.
    pub(super) suites: &'a [u8],
    pub(super) compressions: &'a [u8],
}

impl<'a> Hello<'a> {
    /// Reads the first record of a datagram.
    pub(super) fn read(record: &Record<'a>) -> Option<Self> {
        if !record.is_plain_handshake(CLIENT_HELLO) {
            return None;
        }
        let mut message = Reader(record.body);
        let _type_and_length = message.array::<4>()?;
        let message_seq = u16::from_be_bytes(message.array()?);
        let (offset, length) = (message.u24()?, message.u24()?);
        if offset != 0 {
            return None;
        }
        let mut body = Reader(message.take(length)?);
        Some(Self {
            number: record.number,
            message_seq,
            version: body.array()?,
            random: body.array()?,
            session: body.short()?,
            cookie: body.short()?,
            suites: body.long()?,
            compressions: body.short()?,
        })
    }

    /// The cipher suites, in the client's order.
    pub(super) fn offers(&self) -> impl Iterator<Item = u16> {
        let read = |pair: &[u8; 2]| u16::from_be_bytes(*pair);
        self.suites.as_chunks().0.iter().map(read)
    }

    /// Asks it to come again with a cookie. Both numbers are those of the hello, so that whoever asks needs to remember none.
    pub(super) fn verify_request(&self, cookie: &[u8; COOKIE]) -> [u8; VERIFY] {
        let mut request = [0; VERIFY];
        let [_, _, number @ ..] = self.number.to_be_bytes();
        let [high, low] = self.message_seq.to_be_bytes();
        let length = VERIFY_BODY as u8;
        let parts: [&[u8]; 12] = [
            &[HANDSHAKE],
            &DTLS_1_0,
            &[0, 0],
            &number,
            &[0, MESSAGE_HEADER as u8 + length],
            &[HELLO_VERIFY_REQUEST, 0, 0, length],
            &[high, low],
            &[0, 0, 0],
            &[0, 0, length],
            // Whatever is spoken later (§4.2.1).
            &DTLS_1_0,
            &[COOKIE as u8],
            cookie,
        ];
        let bytes = parts.into_iter().flatten();
        for (place, byte) in request.iter_mut().zip(bytes) {
            *place = *byte;
        }
        request
    }

    /// Says to it that there will be no association, and why (RFC 5246 §7.2).
    pub(super) fn refusal(&self, reason: Alert) -> [u8; REFUSAL] {
        let [_, _, n1, n2, n3, n4, n5, n6] = self.number.to_be_bytes();
        let [major, minor] = DTLS_1_0;
        let fatal = 2;
        [
            ALERT,
            major,
            minor,
            0,
            0,
            n1,
            n2,
            n3,
            n4,
            n5,
            n6,
            0,
            2,
            fatal,
            reason as u8,
        ]
    }
}

/// Why a client gets no association (RFC 5246 §7.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alert {
    /// No cipher suite is common.
    HandshakeFailure = 40,
    /// DTLS 1.2 is not among what it offers.
    ProtocolVersion = 70,
}

/// A hello without a cookie, as a client without extensions would send it: what an engine is told of the exchange of cookies
/// that it has not seen.
pub(super) fn earlier_hello(message_seq: u16) -> Vec<u8> {
    let [major, minor] = super::records::DTLS_1_2;
    let mut body = vec![major, minor];
    body.extend([0; 32]);
    // No session and no cookie; three suites; no compression.
    body.extend([0, 0, 0, 6, 0xC0, 0x2B, 0xC0, 0x2C, 0xCC, 0xA9, 1, 0]);
    let length = body.len() as u8;
    let mut hello = vec![HANDSHAKE, major, minor, 0, 0, 0, 0, 0, 0];
    hello.extend(message_seq.to_be_bytes());
    hello.extend([0, MESSAGE_HEADER as u8 + length]);
    hello.extend([CLIENT_HELLO, 0, 0, length]);
    hello.extend(message_seq.to_be_bytes());
    hello.extend([0, 0, 0, 0, 0, length]);
    hello.extend(body);
    hello
}

/// Bytes that are read from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u24(&mut self) -> Option<usize> {
        let [high, middle, low] = self.array()?;
        Some(u32::from_be_bytes([0, high, middle, low]) as usize)
    }

    /// A field with its length in one byte before it.
    fn short(&mut self) -> Option<&'a [u8]> {
        let [length] = self.array()?;
        self.take(usize::from(length))
    }

    /// A field with its length in two bytes before it.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.array()?);
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests {
    use super::{Alert, CLIENT_HELLO, Hello, VERIFY, earlier_hello};
    use crate::dtls::records::Record;

    #[test]
    fn a_hello_is_read_with_its_numbers_and_fields() {
        let datagram = earlier_hello(3);
        let record = Record::first(&datagram).unwrap();
        let hello = Hello::read(&record).unwrap();
        assert_eq!((hello.number, hello.message_seq), (3, 3));
        assert_eq!(hello.version, [0xFE, 0xFD]);
        assert_eq!(hello.random, [0; 32]);
        assert_eq!((hello.session, hello.cookie), (&[][..], &[][..]));
        let suites: Vec<u16> = hello.offers().collect();
        assert_eq!(suites, [0xC02B, 0xC02C, 0xCCA9]);
        assert_eq!(hello.compressions, [0]);
    }

    #[test]
    fn no_beginning_of_a_hello_is_one() {
        let datagram = earlier_hello(0);
        for length in 0..datagram.len() {
            let record = Record::first(&datagram[..length]);
            assert!(record.is_none_or(|record| Hello::read(&record).is_none()));
        }
        // Lengths that say more than there is.
        for place in [13 + 1, 13 + 9, 13 + 11, 13 + 12 + 34, 13 + 12 + 36] {
            let mut lying = datagram.clone();
            lying[place] = 0xFF;
            let record = Record::first(&lying).unwrap();
            assert!(Hello::read(&record).is_none() || place == 14, "{place}");
        }
    }

    #[test]
    fn later_fragments_and_other_messages_are_no_hello() {
        let hello = earlier_hello(0);
        let read = |place: usize, value: u8| {
            let mut changed = hello.clone();
            changed[place] = value;
            Record::first(&changed).and_then(|record| Hello::read(&record).map(|_| ()))
        };
        assert_eq!(read(13, CLIENT_HELLO), Some(()));
        assert_eq!(read(13, 2), None);
        assert_eq!(read(13 + 8, 1), None, "offset");
        assert_eq!(read(4, 1), None, "epoch");
        assert_eq!(read(0, 23), None, "content type");
    }

    #[test]
    fn a_verify_request_has_the_numbers_of_the_hello_and_is_shorter() {
        let datagram = earlier_hello(2);
        let hello = Record::first(&datagram).and_then(|record| Hello::read(&record));
        let request = hello.unwrap().verify_request(&[0xAB; 32]);
        // RFC 6347 §4.2.1, §4.3.1: record header, message header, DTLS 1.0, cookie.
        let mut expected = vec![22, 0xFE, 0xFF, 0, 0, 0, 0, 0, 0, 0, 2, 0, 47];
        expected.extend([3, 0, 0, 35, 0, 2, 0, 0, 0, 0, 0, 35, 0xFE, 0xFF, 32]);
        expected.extend([0xAB; 32]);
        assert_eq!(request[..], expected);
        assert_eq!(request.len(), VERIFY);
        assert!(VERIFY < datagram.len());
    }

    #[test]
    fn the_shortest_hello_is_longer_than_what_is_said_to_it() {
        // One suite, one compression method, nothing else.
        let shortest = 13 + 12 + 2 + 32 + 1 + 1 + 2 + 2 + 1 + 1;
        assert!(VERIFY < shortest);
    }

    #[test]
    fn a_refusal_is_a_fatal_alert() {
        let datagram = earlier_hello(1);
        let hello = Record::first(&datagram).and_then(|record| Hello::read(&record));
        let alert = hello.unwrap().refusal(Alert::ProtocolVersion);
        let expected = [21, 0xFE, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 70];
        assert_eq!(alert, expected);
    }
}
