//! A client that does as it is told, right or wrong. It is made of the webrtc-rs codec and nothing of ours.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use stun::{
    agent::TransactionId,
    attributes::{
        ATTR_CHANNEL_NUMBER, ATTR_DATA, ATTR_LIFETIME, ATTR_NONCE, ATTR_REALM,
        ATTR_REQUESTED_TRANSPORT, ATTR_RESERVATION_TOKEN, ATTR_USERNAME, ATTR_XOR_PEER_ADDRESS,
        ATTR_XOR_RELAYED_ADDRESS, ATTR_XORMAPPED_ADDRESS, AttrType,
    },
    error_code::ErrorCodeAttribute,
    integrity::MessageIntegrity,
    message::{
        CLASS_ERROR_RESPONSE, CLASS_INDICATION, CLASS_REQUEST, Getter, METHOD_ALLOCATE,
        METHOD_BINDING, METHOD_CHANNEL_BIND, METHOD_CREATE_PERMISSION, METHOD_REFRESH, METHOD_SEND,
        Message, MessageType, Method, Setter,
    },
    textattrs::TextAttribute,
    xoraddr::XorMappedAddress,
};

use crate::network::{SharedConn, receive};

/// Attributes as they are.
pub(crate) type Attributes = Vec<(AttrType, Vec<u8>)>;

pub(crate) fn udp() -> Attributes {
    vec![(ATTR_REQUESTED_TRANSPORT, vec![17, 0, 0, 0])]
}

pub(crate) fn lifetime(seconds: u32) -> Attributes {
    vec![(ATTR_LIFETIME, seconds.to_be_bytes().to_vec())]
}

pub(crate) struct Client {
    pub(crate) conn: SharedConn,
    pub(crate) server: SocketAddr,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) nonce: String,
    realm: String,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

pub(crate) fn transaction() -> TransactionId {
    let mut id = [0x5A; 12];
    id[4..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    TransactionId(id)
}

impl Client {
    pub(crate) fn new(conn: SharedConn, server: SocketAddr, user: &str, password: &str) -> Self {
        Self {
            conn,
            server,
            user: user.to_owned(),
            password: password.to_owned(),
            nonce: String::new(),
            realm: String::new(),
        }
    }

    /// Writes a request, signed when there is a nonce.
    pub(crate) fn write(&self, method: Method, attributes: &Attributes) -> Message {
        let mut message = Message::new();
        message
            .build(&[
                Box::new(MessageType::new(method, CLASS_REQUEST)),
                Box::new(transaction()),
            ])
            .unwrap();
        for (kind, value) in attributes {
            add(&mut message, *kind, value);
        }
        if !self.nonce.is_empty() {
            for (kind, text) in [
                (ATTR_USERNAME, &self.user),
                (ATTR_REALM, &self.realm),
                (ATTR_NONCE, &self.nonce),
            ] {
                let text = TextAttribute::new(kind, text.clone());
                text.add_to(&mut message).unwrap();
            }
            let (user, realm) = (self.user.clone(), self.realm.clone());
            MessageIntegrity::new_long_term_integrity(user, realm, self.password.clone())
                .add_to(&mut message)
                .unwrap();
        }
        message.write_header();
        message
    }

    /// Pretends to be of another realm.
    pub(crate) fn set_realm(&mut self, realm: &str) {
        self.realm = realm.to_owned();
    }

    pub(crate) async fn throw(&self, bytes: &[u8]) {
        self.conn.send_to(bytes, self.server).await.unwrap();
    }

    /// Sends a message and waits for its answer, a virtual second at most.
    pub(crate) async fn exchange(&self, message: &Message) -> Option<Answer> {
        self.throw(&message.raw).await;
        loop {
            let (bytes, _) = receive(&self.conn).await?;
            let answer = Answer::read(&bytes);
            if answer.0.transaction_id == message.transaction_id {
                return Some(answer);
            }
        }
    }

    /// Gets a nonce.
    pub(crate) async fn challenge(&mut self) -> Option<Answer> {
        self.nonce.clear();
        let answer = self.exchange(&self.write(METHOD_ALLOCATE, &udp())).await?;
        self.nonce = answer.text(ATTR_NONCE);
        self.realm = answer.text(ATTR_REALM);
        Some(answer)
    }

    /// Sends a signed request, with a nonce of the server's.
    pub(crate) async fn ask(&mut self, method: Method, attributes: Attributes) -> Option<Answer> {
        if self.nonce.is_empty() {
            assert_eq!(self.challenge().await?.code(), Some(401));
        }
        self.exchange(&self.write(method, &attributes)).await
    }

    pub(crate) async fn allocate(&mut self) -> SocketAddr {
        let answer = self.ask(METHOD_ALLOCATE, udp()).await.expect("no answer");
        assert_eq!(answer.code(), None, "{}", answer.0);
        answer.relayed()
    }

    pub(crate) async fn refresh(&mut self, seconds: u32) -> Option<Answer> {
        self.ask(METHOD_REFRESH, lifetime(seconds)).await
    }

    pub(crate) async fn permit(&mut self, peers: &[SocketAddr]) -> Option<Answer> {
        let of = |peer: &SocketAddr| (ATTR_XOR_PEER_ADDRESS, xor(*peer));
        let peers = peers.iter().map(of).collect();
        self.ask(METHOD_CREATE_PERMISSION, peers).await
    }

    pub(crate) async fn bind(&mut self, number: u16, peer: SocketAddr) -> Option<Answer> {
        let [high, low] = number.to_be_bytes();
        let attributes = vec![
            (ATTR_CHANNEL_NUMBER, vec![high, low, 0, 0]),
            (ATTR_XOR_PEER_ADDRESS, xor(peer)),
        ];
        self.ask(METHOD_CHANNEL_BIND, attributes).await
    }

    /// A Send indication.
    pub(crate) async fn send(&self, peer: SocketAddr, data: &[u8]) {
        let mut message = Message::new();
        let typ = MessageType::new(METHOD_SEND, CLASS_INDICATION);
        message
            .build(&[Box::new(typ), Box::new(transaction())])
            .unwrap();
        add(&mut message, ATTR_XOR_PEER_ADDRESS, &xor(peer));
        add(&mut message, ATTR_DATA, data);
        message.write_header();
        self.throw(&message.raw).await;
    }

    pub(crate) async fn channel_data(&self, number: u16, data: &[u8]) {
        let mut frame = number.to_be_bytes().to_vec();
        frame.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        frame.extend(data);
        self.throw(&frame).await;
    }

    /// What comes without having been asked for: the payload of ChannelData or of a Data indication, with the number or
    /// the peer that it is from.
    pub(crate) async fn hear(&self) -> Option<(String, Vec<u8>)> {
        let (bytes, _) = receive(&self.conn).await?;
        if bytes[0] & 0xC0 == 0x40 {
            let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
            let number = u16::from_be_bytes([bytes[0], bytes[1]]);
            return Some((format!("{number:#x}"), bytes[4..4 + length].to_vec()));
        }
        let answer = Answer::read(&bytes);
        let peer = answer.address(ATTR_XOR_PEER_ADDRESS);
        Some((peer.to_string(), answer.0.get(ATTR_DATA).unwrap()))
    }

    /// The client's address as the server sees it.
    pub(crate) async fn mapped(&self) -> Option<SocketAddr> {
        let mut message = Message::new();
        let typ = MessageType::new(METHOD_BINDING, CLASS_REQUEST);
        message
            .build(&[Box::new(typ), Box::new(transaction())])
            .unwrap();
        let answer = self.exchange(&message).await?;
        Some(answer.address(ATTR_XORMAPPED_ADDRESS))
    }
}

/// Appends an attribute, padded.
pub(crate) fn add(message: &mut Message, kind: AttrType, value: &[u8]) {
    message.add(kind, value);
}

/// The value of an XOR address; of IPv4 it does not depend on the transaction.
pub(crate) fn xor(address: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(address) = address else {
        panic!("the tests name IPv4 peers only")
    };
    let mut value = vec![0, 1];
    value.extend((address.port() ^ 0x2112).to_be_bytes());
    value.extend((address.ip().to_bits() ^ 0x2112_A442).to_be_bytes());
    value
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) Message);

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let mut message = Message::new();
        message.unmarshal_binary(bytes).expect("not STUN");
        Self(message)
    }

    /// The error code: 0 for an error response without one, `None` for success.
    pub(crate) fn code(&self) -> Option<u16> {
        (self.0.typ.class == CLASS_ERROR_RESPONSE).then(|| {
            let mut code = ErrorCodeAttribute::default();
            code.get_from(&self.0).map_or(0, |()| code.code.0)
        })
    }

    pub(crate) fn text(&self, kind: AttrType) -> String {
        TextAttribute::get_from_as(&self.0, kind).map_or_else(|_| String::new(), |text| text.text)
    }

    pub(crate) fn relayed(&self) -> SocketAddr {
        self.address(ATTR_XOR_RELAYED_ADDRESS)
    }

    pub(crate) fn address(&self, kind: AttrType) -> SocketAddr {
        let mut address = XorMappedAddress::default();
        address.get_from_as(&self.0, kind).expect("no such address");
        SocketAddr::new(address.ip, address.port)
    }

    pub(crate) fn lifetime(&self) -> u32 {
        let value = self.0.get(ATTR_LIFETIME).expect("no LIFETIME");
        u32::from_be_bytes(value.try_into().unwrap())
    }

    pub(crate) fn token(&self) -> Option<Vec<u8>> {
        self.0.get(ATTR_RESERVATION_TOKEN).ok()
    }
}
