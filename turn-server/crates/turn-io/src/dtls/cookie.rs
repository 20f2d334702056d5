//! Cookies (RFC 6347 §4.2.1): proof that a client receives what is sent to its address, without remembering the client.
//!
//! A cookie is a keyed hash of both addresses and of those parameters that a client must repeat: version, random, session,
//! suites and compression methods. The key changes with time; the one before is still good, so that nobody is sent back in
//! the middle of the exchange.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};

use super::hello::Hello;

/// Bytes of a cookie.
pub(super) const COOKIE: usize = 32;

/// How long a key makes cookies; they are good for up to twice as long. A client that repeats its hello for longer than that
/// begins again.
const PERIOD: Duration = Duration::from_secs(30);

/// The keys of one worker, which sees all that comes from one address to one of its sockets.
pub(crate) struct Cookies {
    root: hmac::Key,
    /// Number of the period that the keys are for.
    period: u64,
    current: hmac::Key,
    previous: hmac::Key,
}

/// Between whom a cookie is exchanged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
}

impl Cookies {
    /// Draws the secret that all keys are made of.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn new() -> io::Result<Self> {
        let mut secret = [0; 32];
        let filled = SystemRandom::new().fill(&mut secret);
        filled.map_err(|_| io::Error::other("the system gives no random numbers"))?;
        Ok(Self::of(&secret))
    }

    fn of(secret: &[u8; 32]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self {
            current: key(&root, 0),
            // Not a key of any period that was.
            previous: key(&root, u64::MAX),
            period: 0,
            root,
        }
    }

    /// The cookie that is asked of a client.
    pub(super) fn ask(&mut self, now: Duration, ends: Ends, hello: &Hello<'_>) -> [u8; COOKIE] {
        self.turn(now);
        cookie(&self.current, ends, hello)
    }

    /// The cookie that a client has returned, if it is one that was asked of it.
    pub(super) fn verify(
        &mut self,
        now: Duration,
        ends: Ends,
        hello: &Hello<'_>,
    ) -> Option<[u8; COOKIE]> {
        let returned: [u8; COOKIE] = hello.cookie.try_into().ok()?;
        self.turn(now);
        let keys = [&self.current, &self.previous];
        keys.into_iter()
            .any(|key| is_same(&cookie(key, ends, hello), &returned))
            .then_some(returned)
    }

    /// Changes the keys when it is time.
    fn turn(&mut self, now: Duration) {
        let period = now.as_secs() / PERIOD.as_secs();
        if period == self.period {
            return;
        }
        self.period = period;
        self.current = key(&self.root, period);
        self.previous = key(&self.root, period.wrapping_sub(1));
    }
}

fn key(root: &hmac::Key, period: u64) -> hmac::Key {
    let key = hmac::sign(root, &period.to_be_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
}

fn cookie(key: &hmac::Key, ends: Ends, hello: &Hello<'_>) -> [u8; COOKIE] {
    let mut context = hmac::Context::with_key(key);
    for end in [ends.client, ends.server] {
        let ip = match end.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        context.update(&ip.octets());
        context.update(&end.port().to_be_bytes());
    }
    context.update(&hello.version);
    context.update(&hello.random);
    // Each with its length, so that no byte can move from one into the next.
    for field in [hello.session, hello.suites, hello.compressions] {
        context.update(&field.len().to_be_bytes());
        context.update(field);
    }
    let mut cookie = [0; COOKIE];
    for (place, byte) in cookie.iter_mut().zip(context.sign().as_ref()) {
        *place = *byte;
    }
    cookie
}

/// Compares in a time that does not tell how much is equal.
fn is_same(one: &[u8; COOKIE], other: &[u8; COOKIE]) -> bool {
    let differences = one.iter().zip(other).map(|(one, other)| one ^ other);
    std::hint::black_box(differences.fold(0, |all, difference| all | difference)) == 0
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use super::{Cookies, Ends, PERIOD};
    use crate::dtls::{
        hello::{Hello, earlier_hello},
        records::Record,
    };

    const START: Duration = Duration::from_secs(1000 * PERIOD.as_secs());

    fn ends(client: &str) -> Ends {
        Ends {
            client: client.parse().unwrap(),
            server: SocketAddr::from(([10, 0, 0, 1], 3478)),
        }
    }

    fn hello(datagram: &[u8]) -> Hello<'_> {
        Hello::read(&Record::first(datagram).unwrap()).unwrap()
    }

    /// Whether a cookie that was asked of one client in the beginning is taken from another one later.
    fn is_taken(later: Duration, from: Ends, change: impl FnOnce(&mut Hello<'_>)) -> bool {
        let datagram = earlier_hello(0);
        let mut cookies = Cookies::of(&[1; 32]);
        let asked = cookies.ask(START, ends("192.0.2.1:5000"), &hello(&datagram));
        let mut again = hello(&datagram);
        again.cookie = &asked;
        change(&mut again);
        cookies.verify(START + later, from, &again).is_some()
    }

    #[test]
    fn a_returned_cookie_is_taken_until_its_key_is_the_last_but_one() {
        let client = ends("192.0.2.1:5000");
        for (later, expected) in [(0, true), (1, true), (2, false), (3, false)] {
            assert_eq!(is_taken(PERIOD * later, client, |_| {}), expected);
        }
        let last = PERIOD * 2 - Duration::from_nanos(1);
        assert!(is_taken(last, client, |_| {}));
    }

    #[test]
    fn a_cookie_is_for_one_client_and_one_socket() {
        for other in ["192.0.2.2:5000", "192.0.2.1:5001", "[2001:db8::1]:5000"] {
            assert!(!is_taken(Duration::ZERO, ends(other), |_| {}), "{other}");
        }
        let elsewhere = Ends {
            server: SocketAddr::from(([10, 0, 0, 1], 5349)),
            ..ends("192.0.2.1:5000")
        };
        assert!(!is_taken(Duration::ZERO, elsewhere, |_| {}));
    }

    #[test]
    fn a_cookie_is_for_one_hello() {
        let client = ends("192.0.2.1:5000");
        let is_taken = |change: fn(&mut Hello<'_>)| is_taken(Duration::ZERO, client, change);
        assert!(!is_taken(|hello| hello.version = [0xFE, 0xFF]));
        assert!(!is_taken(|hello| hello.random[31] ^= 1));
        assert!(!is_taken(|hello| hello.session = &[0]));
        assert!(!is_taken(|hello| hello.suites = &[0xC0, 0x2B]));
        assert!(!is_taken(|hello| hello.compressions = &[0, 1]));
        // RFC 6347 §4.2.1: these change from one hello to the next.
        assert!(is_taken(|hello| hello.number += 1));
        assert!(is_taken(|hello| hello.message_seq += 1));
    }

    #[test]
    fn other_cookies_are_not_taken() {
        let client = ends("192.0.2.1:5000");
        let is_taken = |change: fn(&mut Hello<'_>)| is_taken(Duration::ZERO, client, change);
        assert!(!is_taken(|hello| hello.cookie = &[]));
        assert!(!is_taken(|hello| hello.cookie = &[0; 32]));
        assert!(!is_taken(|hello| hello.cookie = &hello.cookie[..31]));
    }

    #[test]
    fn another_server_has_other_cookies() {
        let datagram = earlier_hello(0);
        let ask = |mut cookies: Cookies| cookies.ask(START, ends("192.0.2.1:1"), &hello(&datagram));
        assert_ne!(ask(Cookies::new().unwrap()), ask(Cookies::new().unwrap()));
    }
}
