//! Redis's protocol (RESP 2), as far as six commands need it.
//!
//! In: bytes of a request, replies out of bytes; pure. Not in: the connection (`link.rs`). A client library would bring ten
//! crates for this, and decide by itself what a lost connection means, which is what the fleet has to decide.

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
#[error("what came is not Redis's protocol")]
pub(crate) struct Malformed;

/// Lists within lists: XREAD's answer has five levels.
const MAX_DEPTH: usize = 8;

/// Bytes of a line that announces a length or reports an error.
const MAX_LINE: usize = 4096;

/// Bytes of one value; Redis's own limit.
const MAX_VALUE: usize = 512 * 1024 * 1024;

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

/// Reads one reply and says how many bytes it had; `None` while it is not all there.
pub(crate) fn reply(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Malformed> {
    let mut reader = Reader { bytes, at: 0 };
    match reader.reply(0) {
        Ok(reply) => Ok(Some((reply, reader.at))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Malformed) => Err(Malformed),
    }
}

enum Stop {
    Incomplete,
    Malformed,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn reply(&mut self, depth: usize) -> Result<Reply, Stop> {
        let line = self.line()?;
        let (kind, rest) = line.split_first().ok_or(Stop::Malformed)?;
        let text = std::str::from_utf8(rest).map_err(|_| Stop::Malformed)?;
        match kind {
            b'+' => Ok(Reply::Status(text.to_owned())),
            b'-' => Ok(Reply::Error(text.to_owned())),
            b':' => text
                .parse()
                .map(Reply::Integer)
                .map_err(|_| Stop::Malformed),
            b'$' => match length(text)? {
                None => Ok(Reply::Nil),
                Some(length) => Ok(Reply::Bytes(self.value(length)?.to_vec())),
            },
            b'*' if depth < MAX_DEPTH => match length(text)? {
                None => Ok(Reply::Nil),
                // Grows as items come: an announced length is no reason to take memory.
                Some(length) => {
                    let mut items = Vec::new();
                    for _ in 0..length {
                        items.push(self.reply(depth + 1)?);
                    }
                    Ok(Reply::List(items))
                }
            },
            _ => Err(Stop::Malformed),
        }
    }

    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let within = rest.get(..MAX_LINE).unwrap_or(rest);
        match within.windows(2).position(|two| two == b"\r\n") {
            Some(end) => {
                self.at += end + 2;
                Ok(within.get(..end).unwrap_or_default())
            }
            None if rest.len() > MAX_LINE => Err(Stop::Malformed),
            None => Err(Stop::Incomplete),
        }
    }

    fn value(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.get(length..length + 2).ok_or(Stop::Incomplete)?;
        if end != b"\r\n" {
            return Err(Stop::Malformed);
        }
        self.at += length + 2;
        Ok(rest.get(..length).unwrap_or_default())
    }
}

/// Reads a length; `None` is what is not there.
fn length(text: &str) -> Result<Option<usize>, Stop> {
    match text {
        "-1" => Ok(None),
        text => match text.parse() {
            Ok(length) if length <= MAX_VALUE => Ok(Some(length)),
            _ => Err(Stop::Malformed),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Reply {
        Reply::Bytes(text.into())
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
            ("$0\r\n\r\n", bytes("")),
            ("*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\ne\r\n$2\r\n\r\n\r\n", entry),
        ] {
            for cut in 0..written.len() {
                assert_eq!(
                    reply(&written.as_bytes()[..cut]),
                    Ok(None),
                    "{written:?} cut at {cut}"
                );
            }
            let followed = format!("{written}+next\r\n");
            assert_eq!(
                reply(followed.as_bytes()),
                Ok(Some((expected, written.len())))
            );
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
            "$536870913\r\n",
            "$-2\r\n",
            "$1\r\nxyz",
            ":x\r\n",
            &deep,
            &long,
        ] {
            assert_eq!(reply(written.as_bytes()), Err(Malformed), "{written:?}");
        }
        assert_eq!(reply(b"*536870912\r\n"), Ok(None));
    }
}
