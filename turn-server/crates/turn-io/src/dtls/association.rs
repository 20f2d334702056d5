//! One association: the engine, fed with datagrams and polled for what they lead to.
//!
//! The engine is the one place that a client's bytes reach in the clear before anybody is known, and it is not ours. A panic in
//! it ends this association and nothing else.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use dimpl::Output;
use turn_proto::{Path, Secured};

use super::{
    hello::{HELLO_VERIFY_REQUEST, Hello, earlier_hello},
    provider::with_cookie,
    records::{Finish, Record},
    settings::{Dtls, Suite},
};

/// How often a client may have been asked for a cookie: by keys that have changed meanwhile, for it is asked once otherwise.
const ASKED: u16 = 4;

/// Bytes of a datagram of whoever has no allocation: requests and handshakes are smaller, and anybody can begin.
const STRANGER: usize = 4 * 1024;

/// Bytes of payload of one record (RFC 6347 §4.1.1, RFC 5246 §6.2.1).
const PAYLOAD: usize = 1 << 14;

/// Bytes that a record is longer than its payload: header, nonce and tag.
const OVERHEAD: usize = 13 + 8 + 16;

/// Whatever is given back when an association ends.
pub(crate) type Ticket = Box<dyn Send>;

/// An association with a client, from its verified hello on.
pub(crate) struct Association {
    pub(crate) path: Path,
    /// The socket that it lives on.
    pub(crate) place: u32,
    /// Whether the client has an allocation.
    pub(crate) allocated: bool,
    /// Its place among the connections that its network may have.
    pub(super) ticket: Option<Ticket>,
    /// When it is to be woken; nothing wakes it once it is open.
    pub(super) wake_at: Option<Duration>,
    settings: Dtls,
    engine: Box<dimpl::Dtls>,
    /// The random of the hello that it began with: what tells a repeated hello from a new one.
    random: [u8; 32],
    /// What the engine is to believe, until it has answered the hello.
    cookie: Option<[u8; 32]>,
    finish: Finish,
    stage: Stage,
    /// Whether the client has shown a certificate that is trusted.
    certified: bool,
    /// OpenSSL's name for the cipher suite.
    cipher: Option<&'static str>,
}

/// How far an association has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Handshake,
    Open,
}

/// What the engine has for the outside. Bytes lie at the beginning of the buffer that it was polled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// A datagram for the client.
    Datagram(usize),
    /// What the client has sent.
    Data(usize),
    /// The handshake is complete.
    Opened,
    /// The client has said good-bye.
    Closed,
    /// Nothing until more comes, or until this moment.
    Nothing(Instant),
}

/// The association is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl Association {
    /// Begins one with a client whose cookie was good.
    pub(super) fn new(
        now: Instant,
        (path, place): (Path, u32),
        settings: &Dtls,
        (suite, hello): (&Suite, &Hello<'_>),
        scratch: &mut [u8],
    ) -> Result<Self, Broken> {
        if !(1..=ASKED).contains(&hello.message_seq) {
            return Err(Broken);
        }
        let (config, certificate) = (suite.config.clone(), settings.certificate());
        let engine = guarded(|| {
            let mut engine = Box::new(dimpl::Dtls::new_12(config, certificate, now));
            engine.handle_timeout(now)?;
            // What the engine has missed: as many exchanges as the hello says that there were.
            for message_seq in 0..hello.message_seq {
                engine.handle_packet(&earlier_hello(message_seq))?;
                while !matches!(engine.poll_output(scratch), Output::Timeout(_)) {}
            }
            Ok(engine)
        })?;
        let answered = u64::from(hello.message_seq);
        Ok(Self {
            path,
            place,
            allocated: false,
            ticket: None,
            wake_at: None,
            settings: settings.clone(),
            engine,
            random: hello.random,
            cookie: hello.cookie.try_into().ok(),
            finish: Finish {
                ahead: hello.number.wrapping_sub(answered),
                explicit_nonce: suite.explicit_nonce,
            },
            stage: Stage::Handshake,
            certified: !settings.asks_for_certificates(),
            cipher: suite.cipher,
        })
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// How it is secured.
    pub(crate) fn secured(&self) -> Option<Secured> {
        let protocol = "DTLSv1.2";
        self.cipher.map(|cipher| Secured { cipher, protocol })
    }

    /// Whether it began with this very hello.
    pub(super) fn began_with(&self, hello: &Hello<'_>) -> bool {
        self.random == hello.random
    }

    /// Takes a datagram of the client, or of whoever writes its address.
    pub(crate) fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<(), Broken> {
        let limit = if self.allocated {
            PAYLOAD + OVERHEAD
        } else {
            STRANGER
        };
        // Memory that a record has taken stays with the engine.
        if datagram.len() > limit {
            return Ok(());
        }
        let (engine, cookie) = (&mut self.engine, self.cookie);
        guarded(|| {
            engine.handle_timeout(now)?;
            with_cookie(cookie, || engine.handle_packet(datagram))
        })
    }

    /// Does what is due by now: sends a flight again that was not answered.
    pub(crate) fn wake(&mut self, now: Instant) -> Result<(), Broken> {
        let engine = &mut self.engine;
        guarded(|| engine.handle_timeout(now))
    }

    /// Seals a message; the datagram is polled. Tells whether there will be one: none before the handshake is complete, and
    /// none for what fits into no record.
    pub(crate) fn send(&mut self, message: &[u8]) -> Result<bool, Broken> {
        if self.stage != Stage::Open || message.len() > PAYLOAD {
            return Ok(false);
        }
        let engine = &mut self.engine;
        guarded(|| engine.send_application_data(message).map(|_| true))
    }

    /// Says that nothing more will come (RFC 5246 §7.2.1); the datagram is polled.
    pub(crate) fn close(&mut self) -> Result<(), Broken> {
        let engine = &mut self.engine;
        guarded(|| engine.close())
    }

    /// The next thing that the engine has for the outside.
    pub(crate) fn poll(&mut self, unix: u64, scratch: &mut [u8]) -> Result<Polled, Broken> {
        loop {
            let engine = &mut self.engine;
            let polled = guarded(|| {
                Ok(match engine.poll_output(scratch) {
                    Output::Packet(bytes) => Some(Polled::Datagram(bytes.len())),
                    Output::ApplicationData(bytes) => Some(Polled::Data(bytes.len())),
                    Output::PeerCert(certificate) => {
                        self.certified |= self.settings.trusts(certificate, unix);
                        None
                    }
                    Output::Connected => Some(Polled::Opened),
                    Output::CloseNotify => Some(Polled::Closed),
                    Output::Timeout(at) => Some(Polled::Nothing(at)),
                    // Keys for SRTP, of which there is none; and whatever may be added.
                    _ => None,
                })
            })?;
            match polled {
                Some(Polled::Datagram(length)) => {
                    let datagram = scratch.get_mut(..length).ok_or(Broken)?;
                    if is_verify_request(datagram) {
                        continue;
                    }
                    self.finish.apply(datagram);
                    self.cookie = None;
                }
                Some(Polled::Opened) if !self.certified => return Err(Broken),
                Some(Polled::Opened) => self.stage = Stage::Open,
                Some(_) => {}
                None => continue,
            }
            if let Some(polled) = polled {
                return Ok(polled);
            }
        }
    }
}

/// Whether the engine asks for a cookie. The client has been asked already, by somebody else.
fn is_verify_request(datagram: &[u8]) -> bool {
    Record::first(datagram).is_some_and(|record| record.is_plain_handshake(HELLO_VERIFY_REQUEST))
}

/// Asks the engine for something. Each of its errors ends the association, and so does a panic.
fn guarded<R>(ask: impl FnOnce() -> Result<R, dimpl::Error>) -> Result<R, Broken> {
    // What a panic may have left half changed is dropped and never asked again.
    match catch_unwind(AssertUnwindSafe(ask)) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(Broken),
    }
}
