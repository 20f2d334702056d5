//! A conversation with a STUN/TURN server in which every word is chosen by the test, and an account of what was answered.
//!
//! An answer is reduced to what two sound servers must agree on: class, code, the set of attributes, and those values that
//! do not depend on chance. The codec is webrtc-rs', so that neither of the compared servers reads its own handwriting.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use stun::agent::TransactionId;
use stun::attributes::{ATTR_NONCE, ATTR_REALM, ATTR_USERNAME, AttrType};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{Message, Setter};
use stun::xoraddr::XorMappedAddress;

use crate::answer::{self, Facts};
use crate::line::{Line, Received, Transport};

/// How long an answer may take when the server is known to be alive; a whole test run may be on two cores.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer may take that was overtaken by the answer to a later request.
const OVERTAKEN: Duration = Duration::from_millis(150);

/// How a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signed {
    /// USERNAME, REALM, NONCE and MESSAGE-INTEGRITY, as they should be.
    #[default]
    Well,
    /// Nothing of these.
    Not,
    /// With a key made of another password.
    WrongPassword,
    /// As a user whom nobody knows.
    Stranger,
    /// As another user of this server.
    OtherUser,
    /// With a realm that is not the server's.
    WrongRealm,
    /// With a nonce that the server has never issued.
    WrongNonce,
    /// With everything but USERNAME.
    NoUsername,
    /// With everything but REALM.
    NoRealm,
    /// With everything but NONCE.
    NoNonce,
    /// USERNAME, REALM and NONCE, without MESSAGE-INTEGRITY.
    NoIntegrity,
}

/// One message to be sent.
#[derive(Debug, Clone)]
pub struct Say {
    typ: u16,
    attributes: Vec<Attribute>,
    after_integrity: Vec<Attribute>,
    signed: Signed,
    fingerprint: bool,
    id: Option<TransactionId>,
    mangle: Option<fn(&mut Vec<u8>)>,
}

/// One attribute of it.
#[derive(Debug, Clone)]
pub enum Attribute {
    /// A value as it stands.
    Plain(u16, Vec<u8>),
    /// An address, XORed.
    Address(u16, SocketAddr),
}

/// Begins a message of a type that is given as its 16 bits.
pub fn say(typ: u16) -> Say {
    Say {
        typ,
        attributes: Vec::new(),
        after_integrity: Vec::new(),
        signed: Signed::Well,
        fingerprint: false,
        id: None,
        mangle: None,
    }
}

impl Say {
    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, attribute: Attribute) -> Self {
        self.attributes.push(attribute);
        self
    }

    /// Adds an attribute behind MESSAGE-INTEGRITY.
    #[must_use]
    pub fn behind_integrity(mut self, attribute: Attribute) -> Self {
        self.after_integrity.push(attribute);
        self
    }

    /// Chooses how it is signed.
    #[must_use]
    pub fn signed(mut self, signed: Signed) -> Self {
        self.signed = signed;
        self
    }

    /// Leaves all credentials out.
    #[must_use]
    pub fn unsigned(self) -> Self {
        self.signed(Signed::Not)
    }

    /// Ends it with FINGERPRINT.
    #[must_use]
    pub fn fingerprint(mut self) -> Self {
        self.fingerprint = true;
        self
    }

    /// Uses this transaction ID in place of a new one.
    #[must_use]
    pub fn id(mut self, id: u8) -> Self {
        self.id = Some(TransactionId([id; 12]));
        self
    }

    /// Changes the finished bytes.
    #[must_use]
    pub fn mangled(mut self, mangle: fn(&mut Vec<u8>)) -> Self {
        self.mangle = Some(mangle);
        self
    }
}

/// Two accounts that the server knows.
#[derive(Debug, Clone, Copy)]
pub struct Accounts {
    /// Name and password of the one that is used.
    pub user: (&'static str, &'static str),
    /// Name and password of the other one.
    pub other: (&'static str, &'static str),
}

/// A client in the middle of a conversation.
#[derive(Debug)]
pub struct Conversation {
    line: Line,
    transport: Transport,
    server: SocketAddr,
    accounts: Accounts,
    realm: String,
    nonce: String,
    facts: Facts,
    heard: Vec<Vec<u8>>,
    account: Account,
    ended: Vec<Line>,
}

/// What was answered, step by step.
pub type Account = Vec<(String, String)>;

impl Conversation {
    /// Opens a conversation.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn open(transport: Transport, server: SocketAddr, accounts: Accounts) -> Result<Self> {
        let line = Line::open(transport, SocketAddr::new(server.ip(), 0), server)?;
        let facts = Facts::new(line.local()?);
        Ok(Self {
            line,
            transport,
            server,
            accounts,
            realm: String::new(),
            nonce: String::new(),
            facts,
            heard: Vec::new(),
            account: Vec::new(),
            ended: Vec::new(),
        })
    }

    /// Opens another conversation with the same server; what is answered there is told apart by `step`.
    ///
    /// # Errors
    /// As [`Conversation::open`].
    pub fn another(&self) -> Result<Self> {
        Self::open(self.transport, self.server, self.accounts)
    }

    /// Tells over what it is held.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Gives the account. The connections are kept open by their owner, because a later conversation from the same port
    /// would meet the allocation of this one.
    pub fn end(mut self) -> (Account, Vec<Line>) {
        self.ended.push(self.line);
        (self.account, self.ended)
    }

    /// Takes over what another conversation has noted.
    pub fn note_all(&mut self, other: Self) {
        let (account, lines) = other.end();
        self.account.extend(account);
        self.ended.extend(lines);
    }

    /// Notes something that the test has seen.
    pub fn note(&mut self, step: &str, seen: impl Into<String>) {
        self.account.push((step.to_owned(), seen.into()));
    }

    /// Tells the relayed address that the last Allocate was given.
    ///
    /// # Errors
    /// When there is none.
    pub fn relayed(&self) -> Result<SocketAddr> {
        self.facts.relayed.context("no relayed address was given")
    }

    /// Tells the token that the last Allocate was given.
    pub fn token(&self) -> Vec<u8> {
        self.facts.token.clone().unwrap_or_else(|| vec![0xee; 8])
    }

    /// Tells the mobility ticket that came last.
    pub fn ticket(&self) -> Vec<u8> {
        let none = || b"no such ticket, of any length!!!".to_vec();
        self.facts.ticket.clone().unwrap_or_else(none)
    }

    /// Asks for realm and nonce, as a client does first; an Allocate without credentials.
    ///
    /// # Errors
    /// When the server does not challenge.
    pub fn challenge(&mut self) -> Result<()> {
        let request = say(0x0003)
            .unsigned()
            .with(Attribute::Plain(0x0019, vec![17, 0, 0, 0]));
        let answer = self.exchange(&request)?;
        if self.nonce.is_empty() {
            bail!("no challenge: {answer}");
        }
        Ok(())
    }

    /// Sends a message and notes what was answered.
    ///
    /// # Errors
    /// When the connection fails, or the answer is none that can be read.
    pub fn ask(&mut self, step: &str, request: &Say) -> Result<()> {
        let answer = self.exchange(request)?;
        self.note(step, answer);
        Ok(())
    }

    /// Sends bytes as they are and notes what was answered.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn ask_raw(&mut self, step: &str, bytes: &[u8]) -> Result<()> {
        self.line.send(bytes);
        let answer = self.settle(None)?;
        self.note(step, answer);
        Ok(())
    }

    /// Sends a ChannelData message, padded where the transport wants that.
    pub fn channel_data(&mut self, number: u16, payload: &[u8]) {
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.extend(
            u16::try_from(payload.len())
                .unwrap_or(u16::MAX)
                .to_be_bytes(),
        );
        bytes.extend(payload);
        if self.transport == Transport::Tcp {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        self.line.send(&bytes);
    }

    /// Notes what the server has sent on its own account, after everything that was asked is answered.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn listen(&mut self, step: &str) -> Result<()> {
        if self.heard.is_empty() {
            match self.line.receive(OVERTAKEN * 2)? {
                Received::Message(message) => self.heard.push(message),
                Received::Silence | Received::Closed => {}
            }
        }
        let heard: Vec<String> = std::mem::take(&mut self.heard)
            .iter()
            .map(|message| answer::unasked(message, &mut self.facts))
            .collect();
        let heard = if heard.is_empty() {
            "nothing".to_owned()
        } else {
            heard.join(", ")
        };
        self.note(step, heard);
        Ok(())
    }

    /// Notes what a peer has received.
    ///
    /// # Errors
    /// When its socket fails.
    pub fn peer_hears(&mut self, step: &str, peer: &UdpSocket) -> Result<()> {
        peer.set_read_timeout(Some(OVERTAKEN * 2))?;
        let mut buffer = [0_u8; 2048];
        let heard = match peer.recv_from(&mut buffer) {
            Ok((length, from)) => {
                let whose = if Some(from) == self.facts.relayed {
                    "relayed"
                } else {
                    "somebody"
                };
                format!("{whose}: {}", String::from_utf8_lossy(&buffer[..length]))
            }
            Err(_) => "nothing".to_owned(),
        };
        self.note(step, heard);
        Ok(())
    }

    fn exchange(&mut self, request: &Say) -> Result<String> {
        let message = self.build(request)?;
        let mut bytes = message.raw.clone();
        if let Some(mangle) = request.mangle {
            mangle(&mut bytes);
        }
        self.line.send(&bytes);
        self.settle(Some(message.transaction_id))
    }

    /// Waits for the answer to `asked`. That none comes is certain once a Binding request sent later is answered.
    fn settle(&mut self, asked: Option<TransactionId>) -> Result<String> {
        let mut fence = Message::new();
        fence.new_transaction_id()?;
        fence.write_header();
        fence.raw[..2].copy_from_slice(&0x0001_u16.to_be_bytes());
        self.line.send(&fence.raw);
        let (mut patience, mut seen, mut fenced) = (PATIENCE, None, false);
        loop {
            let bytes = match self.line.receive(patience)? {
                Received::Message(bytes) => bytes,
                Received::Silence if fenced || seen.is_some() => {
                    return Ok(seen.unwrap_or_else(|| "silence".to_owned()));
                }
                Received::Silence => return Ok("nothing, and the connection hangs".to_owned()),
                Received::Closed => {
                    return Ok(seen.map_or_else(
                        || "closed".to_owned(),
                        |seen| format!("{seen}, then closed"),
                    ));
                }
            };
            match answer::transaction(&bytes) {
                Some(id) if id == fence.transaction_id.0 => {
                    fenced = true;
                    if seen.is_some() {
                        return Ok(seen.unwrap_or_default());
                    }
                    patience = OVERTAKEN;
                }
                // Without a transaction of its own, the first answer counts: it may bear any.
                Some(id)
                    if answer::is_answer(&bytes) && asked.is_none_or(|asked| asked.0 == id) =>
                {
                    seen = Some(self.read(&bytes)?);
                    if fenced {
                        return Ok(seen.unwrap_or_default());
                    }
                }
                _ => self.heard.push(bytes),
            }
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<String> {
        let read = answer::read(bytes, &self.keys(), &mut self.facts)?;
        if let Some(realm) = read.realm {
            self.realm = realm;
        }
        if let Some(nonce) = read.nonce {
            self.nonce = nonce;
        }
        Ok(read.account)
    }

    fn keys(&self) -> [MessageIntegrity; 2] {
        let key = |(user, password): (&str, &str)| self.key(user, &self.realm, password);
        [key(self.accounts.user), key(self.accounts.other)]
    }

    fn key(&self, user: &str, realm: &str, password: &str) -> MessageIntegrity {
        MessageIntegrity::new_long_term_integrity(
            user.to_owned(),
            realm.to_owned(),
            password.to_owned(),
        )
    }

    fn build(&self, request: &Say) -> Result<Message> {
        let mut message = Message::new();
        match request.id {
            Some(id) => message.transaction_id = id,
            None => message.new_transaction_id()?,
        }
        message.write_header();
        message.raw[..2].copy_from_slice(&request.typ.to_be_bytes());
        // The codec writes the type again with each length it writes, from here.
        message.typ.read_value(request.typ);
        for attribute in &request.attributes {
            add(&mut message, attribute)?;
        }
        if request.signed != Signed::Not {
            self.sign(&mut message, request.signed)?;
        }
        for attribute in &request.after_integrity {
            add(&mut message, attribute)?;
        }
        if request.fingerprint {
            FINGERPRINT.add_to(&mut message)?;
        }
        Ok(message)
    }

    fn sign(&self, message: &mut Message, signed: Signed) -> Result<()> {
        let (user, password) = match signed {
            Signed::OtherUser => self.accounts.other,
            Signed::Stranger => ("nobody", self.accounts.user.1),
            Signed::WrongPassword => (self.accounts.user.0, "wrong"),
            _ => self.accounts.user,
        };
        let realm = if signed == Signed::WrongRealm {
            "wrong.example"
        } else {
            &self.realm
        };
        let nonce = if signed == Signed::WrongNonce {
            "0123456789abcdef"
        } else {
            &self.nonce
        };
        let mut parts = vec![
            (ATTR_USERNAME, user),
            (ATTR_REALM, realm),
            (ATTR_NONCE, nonce),
        ];
        parts.retain(|(kind, _)| match signed {
            Signed::NoUsername => *kind != ATTR_USERNAME,
            Signed::NoRealm => *kind != ATTR_REALM,
            Signed::NoNonce => *kind != ATTR_NONCE,
            _ => true,
        });
        for (kind, value) in parts {
            message.add(kind, value.as_bytes());
        }
        if signed != Signed::NoIntegrity {
            self.key(user, realm, password).add_to(message)?;
        }
        Ok(())
    }
}

fn add(message: &mut Message, attribute: &Attribute) -> Result<()> {
    match attribute {
        Attribute::Plain(kind, value) => message.add(AttrType(*kind), value),
        Attribute::Address(kind, address) => XorMappedAddress {
            ip: address.ip(),
            port: address.port(),
        }
        .add_to_as(message, AttrType(*kind))?,
    }
    Ok(())
}
