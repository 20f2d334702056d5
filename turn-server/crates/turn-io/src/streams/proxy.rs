//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): a proxy says in front of a connection whose it is.
//!
//! Not in here: which connections have such a header (`bytes.rs`), and whose word counts (`Config::proxies`).
//!
//! ```text
//! v1  PROXY TCP4 192.0.2.7 198.51.100.1 50000 3478\r\n
//! v2  ├─signature, 12─┤version, command┤family┤length, 2┤addresses… TLVs…┤
//! ```

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// The longest header that is read. Addresses take 52 bytes; the rest is for TLVs, a client certificate's name among them.
pub(crate) const LONGEST: usize = 2048;

/// The longest header of version 1, its end included (section 2.1).
const LONGEST_V1: usize = 107;

const SIGNATURE_V1: &[u8] = b"PROXY ";
pub(crate) const SIGNATURE_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What stands at the beginning of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// The beginning of a header.
    Incomplete,
    /// A header.
    Whole {
        /// Its length.
        length: usize,
        /// Whose connection it is; `None` where it is the proxy's own, or nobody can say.
        client: Option<SocketAddr>,
    },
}

/// The bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no PROXY header")]
pub(crate) struct Malformed;

/// Reads a header; what follows it is left alone.
pub(crate) fn parse(bytes: &[u8]) -> Result<Header, Malformed> {
    let begins = |signature: &[u8]| {
        let common = bytes.len().min(signature.len());
        bytes.get(..common) == signature.get(..common)
    };
    if begins(SIGNATURE_V2) {
        version_2(bytes)
    } else if begins(SIGNATURE_V1) {
        version_1(bytes)
    } else {
        Err(Malformed)
    }
}

fn version_1(bytes: &[u8]) -> Result<Header, Malformed> {
    let line = bytes.get(..LONGEST_V1).unwrap_or(bytes);
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        // Section 2.1: a receiver may refuse as soon as no end can come any more.
        return if line.len() == LONGEST_V1 {
            Err(Malformed)
        } else {
            Ok(Header::Incomplete)
        };
    };
    let text = std::str::from_utf8(line.get(..end).unwrap_or_default()).map_err(|_| Malformed)?;
    let mut words = text.split(' ').skip(1);
    let client = match words.next() {
        Some("TCP4") => Some(addresses_v1::<Ipv4Addr>(words)?),
        Some("TCP6") => Some(addresses_v1::<Ipv6Addr>(words)?),
        // What follows is to be passed over.
        Some("UNKNOWN") => None,
        _ => return Err(Malformed),
    };
    Ok(Header::Whole {
        length: end + 2,
        client,
    })
}

/// Source, destination and their ports; the source is the client.
fn addresses_v1<'t, Ip: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'t str>,
) -> Result<SocketAddr, Malformed> {
    let mut word = || words.next().ok_or(Malformed);
    let mut address = || word()?.parse::<Ip>().map_err(|_| Malformed);
    let (source, _destination) = (address()?.into(), address()?);
    let mut port = || {
        let text = word()?;
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let digits = digits && (text.len() == 1 || !text.starts_with('0'));
        text.parse::<u16>().ok().filter(|_| digits).ok_or(Malformed)
    };
    let (port, _destination_port) = (port()?, port()?);
    match words.next() {
        None => Ok(canonical(source, port)),
        Some(_) => Err(Malformed),
    }
}

fn version_2(bytes: &[u8]) -> Result<Header, Malformed> {
    let Some(fixed) = bytes.get(SIGNATURE_V2.len()..SIGNATURE_V2.len() + 4) else {
        return Ok(Header::Incomplete);
    };
    let &[version_and_command, family, high, low] = fixed else {
        return Err(Malformed);
    };
    let start = SIGNATURE_V2.len() + fixed.len();
    let length = start + usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Err(Malformed);
    }
    // Section 2.2: an unknown version or command is refused, and so is a reserved family or protocol.
    let is_local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed),
    };
    if family >> 4 > 3 || family & 0xF > 2 {
        return Err(Malformed);
    }
    let Some(body) = bytes.get(start..length) else {
        return Ok(Header::Incomplete);
    };
    let client = match family {
        // The proxy asks for itself, to see whether we are well.
        _ if is_local => None,
        0x11 => Some(addresses_v2::<4>(body)?),
        0x21 => Some(addresses_v2::<16>(body)?),
        // Unspecified, or of a kind that no client of ours can have: "fall back to the UNSPEC mode".
        _ => None,
    };
    Ok(Header::Whole { length, client })
}

/// Two addresses of `N` bytes, then two ports; the first of each is the client's.
fn addresses_v2<const N: usize>(body: &[u8]) -> Result<SocketAddr, Malformed>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = body.split_first_chunk::<N>().ok_or(Malformed)?;
    let (_destination, rest) = rest.split_first_chunk::<N>().ok_or(Malformed)?;
    let (ports, _tlvs) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
    let port = u16::from_be_bytes([ports[0], ports[1]]);
    Ok(canonical(IpAddr::from(*source), port))
}

/// An IPv4 address inside IPv6 is the IPv4 address: no address may have two names.
fn canonical(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}
