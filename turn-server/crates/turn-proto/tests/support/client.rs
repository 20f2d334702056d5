//! A client that knows the long-term mechanism, and how it reads answers.

use std::net::{IpAddr, SocketAddr};

use turn_auth::LongTermKey;
use turn_proto::{LinkId, Path, Transport};
use turn_wire::{Class, IntegrityKey, MessageView, Method, Packet, RequestBuilder};

use super::{Got, REALM, SECRET, SERVER, World, address};

pub struct Client {
    pub path: Path,
    pub username: String,
    pub key: IntegrityKey,
    pub nonce: Vec<u8>,
    pub realm: String,
    pub fingerprint: bool,
    next: u64,
}

impl Client {
    pub fn new(address: &str, username: &str, password: &str) -> Self {
        let key = LongTermKey::derive(username, REALM, password);
        Self {
            path: udp(address),
            username: username.into(),
            key: IntegrityKey::new(key.as_bytes()),
            nonce: Vec::new(),
            realm: REALM.into(),
            fingerprint: false,
            next: 0,
        }
    }

    pub fn ann(address: &str) -> Self {
        Self::new(address, "ann", "secret of ann")
    }

    pub fn bob(address: &str) -> Self {
        Self::new(address, "bob", "secret of bob")
    }

    /// A client with a time-limited credential.
    pub fn timed(address: &str, user: &str, ttl: u64, world: &World) -> Self {
        let minted = turn_auth::rest::mint(SECRET, user, ttl, world.now().unix, ':');
        Self::new(address, &minted.username, &minted.password)
    }

    pub fn over(mut self, transport: Transport, link: u32) -> Self {
        (self.path.transport, self.path.link) = (transport, LinkId(link));
        self
    }

    pub fn id(&mut self) -> [u8; 12] {
        self.next += 1;
        let mut id = [0xA5; 12];
        id[..8].copy_from_slice(&self.next.to_be_bytes());
        id[8..10].copy_from_slice(&self.path.client.port().to_be_bytes());
        id
    }

    /// Signs a request with the nonce at hand.
    pub fn sign(&self, request: RequestBuilder) -> Vec<u8> {
        let request = request
            .username(&self.username)
            .realm(&self.realm)
            .nonce(&self.nonce);
        request.finish(Some(&self.key), self.fingerprint)
    }

    /// Asks without credentials for a nonce.
    pub fn challenge(&mut self, world: &mut World) -> Answer {
        let packet = RequestBuilder::new(Method::ALLOCATE, self.id())
            .requested_transport(17)
            .finish(None, false);
        let answer = Answer::of(world.send(&self.path, &packet));
        self.nonce = answer.attribute(0x0015).unwrap_or_default();
        answer
    }

    /// Sends a signed request, getting a nonce first if there is none.
    pub fn ask(
        &mut self,
        world: &mut World,
        method: Method,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Answer {
        if self.nonce.is_empty() {
            assert_eq!(self.challenge(world).code(), Some(401));
        }
        let id = self.id();
        let packet = self.sign(build(RequestBuilder::new(method, id)));
        let answer = Answer::of(world.send(&self.path, &packet));
        assert_eq!(answer.view().transaction_id(), id);
        assert_eq!(answer.view().method(), method);
        answer
    }

    /// Makes an allocation and returns its relayed address.
    pub fn allocate(&mut self, world: &mut World) -> SocketAddr {
        let answer = self.ask(world, Method::ALLOCATE, |request| {
            request.requested_transport(17)
        });
        assert!(answer.signed_by(&self.key));
        answer.relayed()
    }

    pub fn permit(&mut self, world: &mut World, peer: &str) -> Answer {
        self.ask(world, Method::CREATE_PERMISSION, |request| {
            request.xor_peer_address(address(peer))
        })
    }

    pub fn bind(&mut self, world: &mut World, number: u16, peer: &str) -> Answer {
        let build = |request: RequestBuilder| {
            request
                .channel_number(number)
                .xor_peer_address(address(peer))
        };
        self.ask(world, Method::CHANNEL_BIND, build)
    }

    pub fn refresh(&mut self, world: &mut World, lifetime: u32) -> Answer {
        self.ask(world, Method::REFRESH, |request| request.lifetime(lifetime))
    }

    pub fn send_indication(&mut self, world: &mut World, peer: &str, data: &[u8]) -> Got {
        let send = RequestBuilder::indication(Method::SEND, self.id());
        world.send(
            &self.path,
            &send
                .xor_peer_address(address(peer))
                .data(data)
                .finish(None, false),
        )
    }

    pub fn channel_data(&mut self, world: &mut World, number: u16, data: &[u8]) -> Got {
        let mut frame = number.to_be_bytes().to_vec();
        frame.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        frame.extend(data);
        world.send(&self.path, &frame)
    }
}

pub fn udp(client: &str) -> Path {
    Path {
        transport: Transport::Udp,
        link: LinkId(0),
        client: address(client),
        server: address(SERVER),
    }
}

/// A response, read by its bytes and not by the code that wrote it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn of(got: Got) -> Self {
        let Got::Reply(bytes) = got else {
            panic!("no answer: {got:?}")
        };
        Self { bytes }
    }

    pub fn view(&self) -> MessageView<'_> {
        let Ok(Packet::Stun(view)) = turn_wire::parse(&self.bytes) else {
            panic!("not a message: {:?}", self.bytes)
        };
        view
    }

    pub fn attribute(&self, kind: u16) -> Option<Vec<u8>> {
        self.view().attribute(kind).map(<[u8]>::to_vec)
    }

    /// The error code, `None` for success.
    pub fn code(&self) -> Option<u16> {
        if self.view().class() == Class::Success {
            return None;
        }
        assert_eq!(self.view().class(), Class::Error);
        let value = self
            .attribute(0x0009)
            .expect("an error response has ERROR-CODE");
        Some(u16::from(value[2]) * 100 + u16::from(value[3]))
    }

    pub fn signed_by(&self, key: &IntegrityKey) -> bool {
        self.view().has_integrity() && self.view().verify(key)
    }

    pub fn lifetime(&self) -> u32 {
        u32::from_be_bytes(
            self.attribute(0x000D)
                .expect("LIFETIME")
                .try_into()
                .unwrap(),
        )
    }

    pub fn relayed(&self) -> SocketAddr {
        assert_eq!(self.code(), None);
        self.xored(0x0016)
    }

    /// Every XOR-RELAYED-ADDRESS, in order.
    pub fn all_relayed(&self) -> Vec<SocketAddr> {
        assert_eq!(self.code(), None);
        let view = self.view();
        let values = view.attributes().filter(|held| held.kind == 0x0016);
        values.map(|held| self.plain(held.value)).collect()
    }

    pub fn peer(&self) -> SocketAddr {
        self.xored(0x0012)
    }

    pub fn mapped(&self) -> SocketAddr {
        self.xored(0x0020)
    }

    fn xored(&self, kind: u16) -> SocketAddr {
        self.plain(&self.attribute(kind).expect("an address"))
    }

    fn plain(&self, value: &[u8]) -> SocketAddr {
        let port = u16::from_be_bytes([value[2], value[3]]) ^ 0x2112;
        let mask = &self.bytes[4..20];
        let plain: Vec<u8> = value[4..]
            .iter()
            .zip(mask)
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        let ip: IpAddr = match value[1] {
            1 => <[u8; 4]>::try_from(plain).unwrap().into(),
            2 => <[u8; 16]>::try_from(plain).unwrap().into(),
            other => panic!("family {other}"),
        };
        SocketAddr::new(ip, port)
    }
}
