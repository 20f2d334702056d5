//! Redis's protocol (RESP 2), as far as six commands need it.
//!
//! In: bytes of a request, replies out of bytes; pure. Not in: the connection (`client.rs`).
//!
//! # Why no library
//! Libraries do this well, and one would be here if it could be had. `redis` 1.8.1, the one that is kept best, was tried:
//!
//! * It cannot be built without `xxhash-rust`, whose licence (BSL-1.0) is none of those that `deny.toml` allows.
//! * It brings 33 crates to the 141 of this program, 24 of them to read internationalised host names in URLs (`url`).
//! * What a reply costs has no bound: of one that announces nine terabytes it had taken 1.3 GB when its two seconds were over.
//!   Here a reply has [`MAX_REPLY`] bytes, and what it costs to read grows with its bytes however they arrive.
//! * Its own TLS reads the authorities from the disk at each connection and ends in a panic where the program has two
//!   providers of cryptography. One would give it a connection that is open, as `client.rs` does, which is what is left of it then.
//!
//! `fred` is older (its last release is of March 2025), and `rustis` reconnects by itself: what a lost connection means is what
//! the fleet has to decide.

/// What Redis says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Nil,
    Integer(i64),
    Status(String),
    Error(String),
    Bytes(Vec<u8>),
    List(Vec<Reply>),
}

/// What cannot be a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("what came is not Redis's protocol")]
    Foreign,
    #[error("a reply is larger than any can be")]
    TooLarge,
}

/// Lists within lists: XREAD's answer has five levels.
const MAX_DEPTH: usize = 8;

/// Bytes of a line that announces a length or reports an error.
const MAX_LINE: usize = 4096;

/// Bytes of a reply. The largest is the state of the whole service, some hundred bytes for each who is there.
const MAX_REPLY: usize = 256 * 1024 * 1024;

/// Replies in a reply: XREAD's answer has six for each of its 256 entries. An empty one takes less on the wire than here.
const MAX_ITEMS: usize = 16 * 1024;

/// Writes a command.
pub(crate) fn command(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        bytes.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Reads replies out of bytes, which come in pieces.
#[derive(Default)]
pub(crate) struct Reader {
    received: Vec<u8>,
    /// What of that was read.
    at: usize,
    /// Lists that are not complete, the outermost first.
    open: Vec<Open>,
    /// Bytes and replies that the reply in the making has had.
    bytes: usize,
    items: usize,
}

struct Open {
    missing: usize,
    items: Vec<Reply>,
}

/// What the next bytes are.
enum Piece {
    Reply(Reply),
    /// The beginning of a list of so many.
    List(usize),
}

impl Reader {
    /// Where what comes is put behind what came.
    pub(crate) fn received(&mut self) -> &mut Vec<u8> {
        &mut self.received
    }

    /// The next reply; `None` while it is not all there.
    pub(crate) fn next(&mut self) -> Result<Option<Reply>, Malformed> {
        loop {
            let before = self.at;
            let Some(piece) = self.piece()? else {
                self.received.drain(..self.at);
                self.at = 0;
                return match self.bytes + self.received.len() > MAX_REPLY {
                    true => Err(Malformed::TooLarge),
                    false => Ok(None),
                };
            };
            self.bytes += self.at - before;
            self.items += 1;
            if self.bytes > MAX_REPLY || self.items > MAX_ITEMS {
                return Err(Malformed::TooLarge);
            }
            let reply = match piece {
                Piece::Reply(reply) => reply,
                Piece::List(0) => Reply::List(Vec::new()),
                Piece::List(_) if self.open.len() >= MAX_DEPTH => return Err(Malformed::Foreign),
                // Grows as items come: an announced length is no reason to take memory.
                Piece::List(missing) => {
                    let items = Vec::new();
                    self.open.push(Open { missing, items });
                    continue;
                }
            };
            if let Some(whole) = self.put(reply) {
                (self.bytes, self.items) = (0, 0);
                return Ok(Some(whole));
            }
        }
    }

    /// Puts a reply where it belongs; returns it, or the list that it was the last of, if that is in no list.
    fn put(&mut self, mut reply: Reply) -> Option<Reply> {
        while let Some(list) = self.open.last_mut() {
            list.items.push(reply);
            list.missing -= 1;
            if list.missing > 0 {
                return None;
            }
            reply = Reply::List(self.open.pop()?.items);
        }
        Some(reply)
    }

    fn piece(&mut self) -> Result<Option<Piece>, Malformed> {
        let rest = self.received.get(self.at..).unwrap_or_default();
        let Some(line) = line(rest)? else {
            return Ok(None);
        };
        let mut end = line.len() + 2;
        let (kind, text) = line.split_first().ok_or(Malformed::Foreign)?;
        let text = std::str::from_utf8(text).map_err(|_| Malformed::Foreign)?;
        let piece = match kind {
            b'+' => Piece::Reply(Reply::Status(text.to_owned())),
            b'-' => Piece::Reply(Reply::Error(text.to_owned())),
            b':' => Piece::Reply(Reply::Integer(
                text.parse().map_err(|_| Malformed::Foreign)?,
            )),
            b'$' => match length(text)? {
                None => Piece::Reply(Reply::Nil),
                Some(length) => {
                    let Some(value) = rest.get(end..end + length + 2) else {
                        return Ok(None);
                    };
                    let value = value.strip_suffix(b"\r\n").ok_or(Malformed::Foreign)?;
                    end += length + 2;
                    Piece::Reply(Reply::Bytes(value.to_vec()))
                }
            },
            b'*' => length(text)?.map_or(Piece::Reply(Reply::Nil), Piece::List),
            _ => return Err(Malformed::Foreign),
        };
        self.at += end;
        Ok(Some(piece))
    }
}

/// The first line, without its end.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let within = bytes.get(..MAX_LINE).unwrap_or(bytes);
    match within.windows(2).position(|two| two == b"\r\n") {
        Some(end) => Ok(within.get(..end)),
        None if bytes.len() > MAX_LINE => Err(Malformed::Foreign),
        None => Ok(None),
    }
}

/// Reads a length; `None` is what is not there.
fn length(text: &str) -> Result<Option<usize>, Malformed> {
    match text {
        "-1" => Ok(None),
        text => match text.parse() {
            Ok(length) if length <= MAX_REPLY => Ok(Some(length)),
            Ok(_) => Err(Malformed::TooLarge),
            Err(_) => Err(Malformed::Foreign),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Reply {
        Reply::Bytes(text.into())
    }

    fn read(reader: &mut Reader, bytes: &[u8]) -> Result<Option<Reply>, Malformed> {
        reader.received().extend_from_slice(bytes);
        reader.next()
    }

    #[test]
    fn a_command_is_a_list_of_values() {
        assert_eq!(
            command(&[b"SET", b"k", b"a\r\nb"]),
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n"
        );
    }

    #[test]
    fn replies_of_every_kind_are_read_wherever_they_are_cut() {
        let entry = Reply::List(vec![
            bytes("1-0"),
            Reply::List(vec![bytes("e"), bytes("\r\n")]),
        ]);
        for (written, expected) in [
            ("+OK\r\n", Reply::Status("OK".into())),
            ("-ERR no\r\n", Reply::Error("ERR no".into())),
            (":-7\r\n", Reply::Integer(-7)),
            ("$-1\r\n", Reply::Nil),
            ("*-1\r\n", Reply::Nil),
            ("*0\r\n", Reply::List(Vec::new())),
            ("$0\r\n\r\n", bytes("")),
            ("*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\ne\r\n$2\r\n\r\n\r\n", entry),
        ] {
            let followed = format!("{written}+next\r\n").into_bytes();
            for cut in 0..written.len() {
                let mut reader = Reader::default();
                assert_eq!(read(&mut reader, &followed[..cut]), Ok(None), "{written:?}");
                let rest = read(&mut reader, &followed[cut..]);
                assert_eq!(rest, Ok(Some(expected.clone())), "{written:?} at {cut}");
                assert_eq!(reader.next(), Ok(Some(Reply::Status("next".into()))));
                assert_eq!(reader.next(), Ok(None));
            }
        }
    }

    #[test]
    fn what_is_not_the_protocol_is_refused_without_taking_memory() {
        let deep = "*1\r\n".repeat(9);
        let long = format!("+{}", "x".repeat(5000));
        for written in [
            "HTTP/1.1 400 Bad Request\r\n",
            "\r\n",
            "$99999999999999999999\r\n",
            "$-2\r\n",
            "$1\r\nxyz",
            ":x\r\n",
            &deep,
            &long,
        ] {
            let refused = read(&mut Reader::default(), written.as_bytes());
            assert_eq!(refused, Err(Malformed::Foreign), "{written:?}");
        }
        let announced = read(&mut Reader::default(), b"*268435456\r\n$268435456\r\n");
        assert_eq!(announced, Ok(None));
    }

    #[test]
    fn a_reply_has_bounds_in_bytes_and_in_replies() {
        for announced in ["$268435457\r\n", "*268435457\r\n", "$9000000000000\r\n"] {
            let refused = read(&mut Reader::default(), announced.as_bytes());
            assert_eq!(refused, Err(Malformed::TooLarge), "{announced:?}");
        }
        // Together they are too much, though each is not.
        let mut reader = Reader::default();
        assert_eq!(read(&mut reader, b"*2\r\n$1\r\nx\r\n"), Ok(None));
        reader.bytes = MAX_REPLY - 7;
        assert_eq!(read(&mut reader, b"$5\r\nabc"), Ok(None));
        assert_eq!(read(&mut reader, b"d"), Err(Malformed::TooLarge));
        let mut reader = Reader::default();
        assert_eq!(read(&mut reader, b"*2\r\n$1\r\nx\r\n"), Ok(None));
        reader.bytes = MAX_REPLY - 6;
        assert_eq!(read(&mut reader, b"$1\r\nx\r\n"), Err(Malformed::TooLarge));

        let mut reader = Reader::default();
        assert_eq!(read(&mut reader, b"*100000\r\n"), Ok(None));
        let empty = read(&mut reader, "*0\r\n".repeat(MAX_ITEMS).as_bytes());
        assert_eq!(empty, Err(Malformed::TooLarge));
        // The bounds are a reply's, and not the connection's.
        let mut reader = Reader::default();
        for _ in 0..2 * MAX_ITEMS {
            assert_eq!(read(&mut reader, b"*1\r\n:1\r\n").map(|_| ()), Ok(()));
        }
    }

    #[test]
    fn what_was_read_of_a_list_is_not_read_again() {
        let mut reader = Reader::default();
        assert_eq!(read(&mut reader, b"*2\r\n$3\r\nabc\r\n$3\r\nd"), Ok(None));
        assert_eq!(reader.received().as_slice(), b"$3\r\nd");
        let whole = read(&mut reader, b"ef\r\n");
        let expected = Reply::List(vec![bytes("abc"), bytes("def")]);
        assert_eq!(whole, Ok(Some(expected)));
    }
}
