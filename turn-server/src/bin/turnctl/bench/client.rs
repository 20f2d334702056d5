//! A small TURN client over UDP: challenge, allocation, channels, permissions; retransmission, and whether answers are genuine.
//!
//! Not in here: pushing packets through what it sets up (`load`), and many clients at once (`cycles`).

use anyhow::{Context, Result, bail};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use turn_auth::LongTermKey;
use turn_wire::{Class, IntegrityKey, Method, Packet, RequestBuilder, TransactionId, attr};

/// First retransmission after this long, then doubled each time (RFC 8489 §6.2.1 starts at 500 ms; paths here are shorter).
const RETRANSMIT_AFTER: Duration = Duration::from_millis(250);
/// Sendings of one request: with the doubling 15.75 s in all.
const SENDINGS: u32 = 6;
/// Protocol number of UDP.
const UDP: u8 = 17;
/// Requests that a stale or first nonce may cost before the server is thought to be confused.
const CHALLENGES: u32 = 3;

/// Who the client says it is.
#[derive(Clone)]
pub(crate) struct Account {
    user: String,
    password: String,
}

impl Account {
    pub(crate) fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    #[cfg(test)]
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// The key for a realm (RFC 8489 §9.2.2).
    pub(crate) fn key(&self, realm: &str) -> IntegrityKey {
        IntegrityKey::new(LongTermKey::derive(&self.user, realm, &self.password).as_bytes())
    }
}

/// What a challenge taught, together with the account: enough to sign requests.
#[derive(Clone)]
pub(crate) struct Credentials {
    user: String,
    realm: String,
    nonce: Vec<u8>,
    key: IntegrityKey,
}

impl Credentials {
    /// Answers a challenge; `known` saves deriving the key again for the same realm.
    pub(crate) fn from_challenge(
        account: &Account,
        challenge: &Answer,
        known: Option<&Self>,
    ) -> Option<Self> {
        let realm = challenge.realm.clone()?;
        let nonce = challenge.nonce.clone()?;
        let key = match known.filter(|known| known.realm == realm) {
            Some(known) => known.key.clone(),
            None => account.key(&realm),
        };
        Some(Self {
            user: account.user.clone(),
            realm,
            nonce,
            key,
        })
    }

    pub(crate) fn sign(&self, request: RequestBuilder) -> Vec<u8> {
        request
            .username(&self.user)
            .realm(&self.realm)
            .nonce(&self.nonce)
            .finish(Some(&self.key), false)
    }
}

/// A Binding request without any attribute.
pub(crate) fn binding_request(id: TransactionId) -> Vec<u8> {
    RequestBuilder::new(Method::BINDING, id).finish(None, false)
}

/// An Allocate request for a UDP relay.
pub(crate) fn allocate_request(id: TransactionId) -> RequestBuilder {
    RequestBuilder::new(Method::ALLOCATE, id).requested_transport(UDP)
}

/// A Refresh request; zero seconds end the allocation.
pub(crate) fn refresh_request(id: TransactionId, seconds: u32) -> RequestBuilder {
    RequestBuilder::new(Method::REFRESH, id).lifetime(seconds)
}

/// What the bench reads in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `None` for a success.
    pub(crate) error: Option<u16>,
    pub(crate) realm: Option<String>,
    pub(crate) nonce: Option<Vec<u8>>,
    pub(crate) relayed: Option<SocketAddr>,
    pub(crate) mapped: Option<SocketAddr>,
}

impl Answer {
    /// Reads an answer with its transaction; `None` for anything else.
    pub(crate) fn read(datagram: &[u8]) -> Option<(TransactionId, Self)> {
        let Packet::Stun(view) = turn_wire::parse(datagram).ok()? else {
            return None;
        };
        let error = match view.class() {
            Class::Success => None,
            // An error without a code is still one.
            Class::Error => Some(view.error_code().unwrap_or(0)),
            Class::Request | Class::Indication => return None,
        };
        let answer = Self {
            error,
            realm: view.realm().map(str::to_owned),
            nonce: view.nonce().map(<[u8]>::to_vec),
            relayed: view.xor_address(attr::XOR_RELAYED_ADDRESS),
            mapped: view.xor_address(attr::XOR_MAPPED_ADDRESS),
        };
        Some((view.transaction_id(), answer))
    }

    /// Whether it asks for credentials, or for newer ones (RFC 8489 §9.2.5).
    pub(crate) fn is_challenge(&self) -> bool {
        matches!(self.error, Some(401 | 438)) && self.realm.is_some() && self.nonce.is_some()
    }
}

/// A request that the server refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) method: Method,
    pub(crate) code: u16,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self.code {
            401 => ": the user name or the password is wrong",
            403 => ": the server forbids this peer",
            437 => ": the server has another idea of this client's allocation",
            486 => ": the quota of this user is used up",
            508 => ": the server has no port left",
            _ => "",
        };
        write!(
            f,
            "{} was answered by error {}{meaning}",
            self.method, self.code
        )
    }
}

impl std::error::Error for Refused {}

/// One client with its own socket: one 5-tuple.
pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
    server: SocketAddr,
    account: Account,
    credentials: Option<Credentials>,
    /// Requests that had to be sent again.
    pub(crate) retransmissions: u64,
}

impl Client {
    /// Opens a socket towards the server.
    ///
    /// # Errors
    /// No socket can be had, or there is no route.
    pub(crate) fn open(server: SocketAddr, account: &Account) -> Result<Self> {
        Ok(Self {
            socket: connected_socket(server)?,
            server,
            account: account.clone(),
            credentials: None,
            retransmissions: 0,
        })
    }

    /// Asks for the address the server sees.
    ///
    /// # Errors
    /// No answer, or an error as answer.
    pub(crate) fn bind(&mut self) -> Result<Answer> {
        let id = rand::random();
        self.transact(Method::BINDING, id, &binding_request(id))
    }

    /// Allocates a relayed address over UDP.
    ///
    /// # Errors
    /// No answer, or [`Refused`].
    pub(crate) fn allocate(&mut self) -> Result<Answer> {
        let answer = self.request(Method::ALLOCATE, &allocate_request)?;
        if answer.relayed.is_none() {
            bail!("the Allocate success has no relayed address");
        }
        Ok(answer)
    }

    /// Binds a channel, which gives the permission too.
    ///
    /// # Errors
    /// No answer, or [`Refused`].
    pub(crate) fn bind_channel(&mut self, number: u16, peer: SocketAddr) -> Result<()> {
        self.request(Method::CHANNEL_BIND, &|id| {
            RequestBuilder::new(Method::CHANNEL_BIND, id)
                .channel_number(number)
                .xor_peer_address(peer)
        })?;
        Ok(())
    }

    /// Gives a permission.
    ///
    /// # Errors
    /// No answer, or [`Refused`].
    pub(crate) fn permit(&mut self, peer: SocketAddr) -> Result<()> {
        self.request(Method::CREATE_PERMISSION, &|id| {
            RequestBuilder::new(Method::CREATE_PERMISSION, id).xor_peer_address(peer)
        })?;
        Ok(())
    }

    /// Ends the allocation.
    ///
    /// # Errors
    /// No answer, or [`Refused`].
    pub(crate) fn release(&mut self) -> Result<()> {
        self.request(Method::REFRESH, &|id| refresh_request(id, 0))?;
        Ok(())
    }

    /// Sends a request, meets challenges, and checks that a success is signed with our key.
    fn request(
        &mut self,
        method: Method,
        build: &dyn Fn(TransactionId) -> RequestBuilder,
    ) -> Result<Answer> {
        for _ in 0..=CHALLENGES {
            let id = rand::random();
            let bytes = match &self.credentials {
                Some(credentials) => credentials.sign(build(id)),
                None => build(id).finish(None, false),
            };
            let answer = self.transact(method, id, &bytes)?;
            match answer.error {
                None => return Ok(answer),
                // A 401 to a signed request means the password; only a new nonce is worth another try.
                Some(code)
                    if !answer.is_challenge() || code == 401 && self.credentials.is_some() =>
                {
                    return Err(Refused { method, code }.into());
                }
                Some(_) => {
                    self.credentials = Credentials::from_challenge(
                        &self.account,
                        &answer,
                        self.credentials.as_ref(),
                    );
                }
            }
        }
        bail!("the server keeps asking for new credentials")
    }

    /// Sends until the answer to this transaction comes.
    fn transact(&mut self, method: Method, id: TransactionId, request: &[u8]) -> Result<Answer> {
        self.socket.set_nonblocking(false)?;
        let mut wait = RETRANSMIT_AFTER;
        let mut buffer = [0; 2048];
        for sending in 0..SENDINGS {
            self.retransmissions += u64::from(sending > 0);
            self.socket
                .send(request)
                .with_context(|| format!("cannot send to {}", self.server))?;
            let deadline = Instant::now() + wait;
            while let Some(left) = deadline
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())
            {
                self.socket.set_read_timeout(Some(left))?;
                let Ok(len) = self.socket.recv(&mut buffer) else {
                    continue;
                };
                let Some(datagram) = buffer.get(..len) else {
                    continue;
                };
                match Answer::read(datagram) {
                    Some((answered, answer))
                        if answered == id && self.is_genuine(datagram, method, &answer) =>
                    {
                        return Ok(answer);
                    }
                    _ => {}
                }
            }
            wait *= 2;
        }
        bail!("{} does not answer", self.server)
    }

    /// A success to a signed request must be signed too (RFC 8489 §9.2.5); others are ignored as forgeries.
    fn is_genuine(&self, datagram: &[u8], method: Method, answer: &Answer) -> bool {
        match (&self.credentials, turn_wire::parse(datagram)) {
            (Some(credentials), Ok(Packet::Stun(view)))
                if method != Method::BINDING && answer.error.is_none() =>
            {
                view.verify(&credentials.key)
            }
            _ => true,
        }
    }
}

/// A UDP socket with a port of its own, connected to the server.
///
/// # Errors
/// No port or descriptor left, or no route.
pub(crate) fn connected_socket(server: SocketAddr) -> Result<UdpSocket> {
    connected_socket_from(
        match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        },
        server,
    )
}

/// The same, from a local address of one's choice.
///
/// # Errors
/// The address is not this machine's, no port or descriptor is left, or there is no route.
pub(crate) fn connected_socket_from(local: IpAddr, server: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((local, 0))
        .with_context(|| format!("cannot open a UDP socket on {local}"))?;
    socket
        .connect(server)
        .with_context(|| format!("no route to {server}"))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use turn_wire::Responder;

    #[test]
    fn a_success_gives_its_addresses() {
        let relayed: SocketAddr = "192.0.2.1:50000".parse().unwrap();
        let mut responder = Responder::new();
        let bytes = responder
            .success(Method::ALLOCATE, [9; 12])
            .xor_relayed_address(relayed)
            .finish(None, false);
        let (id, answer) = Answer::read(bytes).unwrap();
        assert_eq!(id, [9; 12]);
        assert_eq!(
            answer,
            Answer {
                relayed: Some(relayed),
                ..Answer::default()
            }
        );
    }

    #[test]
    fn a_challenge_is_a_401_or_438_with_realm_and_nonce() {
        let mut responder = Responder::new();
        let bytes = responder
            .error(Method::ALLOCATE, [1; 12], 401, "")
            .realm("r")
            .nonce(b"n")
            .finish(None, false);
        assert!(Answer::read(bytes).unwrap().1.is_challenge());
        let bytes = responder
            .error(Method::ALLOCATE, [1; 12], 438, "")
            .realm("r")
            .nonce(b"n")
            .finish(None, false);
        assert!(Answer::read(bytes).unwrap().1.is_challenge());
        let bytes = responder
            .error(Method::ALLOCATE, [1; 12], 401, "")
            .finish(None, false);
        assert!(!Answer::read(bytes).unwrap().1.is_challenge());
    }

    #[test]
    fn requests_and_noise_are_no_answers() {
        assert_eq!(Answer::read(&binding_request([0; 12])), None);
        assert_eq!(Answer::read(b"noise"), None);
    }

    #[test]
    fn a_signed_request_verifies_with_the_accounts_key() {
        let account = Account::new("user", "pass");
        let challenge = Answer {
            error: Some(401),
            realm: Some("realm".into()),
            nonce: Some(b"nonce".to_vec()),
            ..Answer::default()
        };
        let credentials = Credentials::from_challenge(&account, &challenge, None).unwrap();
        let bytes = credentials.sign(allocate_request([3; 12]));
        let Ok(Packet::Stun(view)) = turn_wire::parse(&bytes) else {
            unreachable!("built above")
        };
        assert!(view.verify(&account.key("realm")));
        assert!(!view.verify(&account.key("another realm")));
        assert_eq!(
            (view.username(), view.realm(), view.nonce()),
            (Some("user"), Some("realm"), Some(b"nonce".as_slice()))
        );
    }
}
