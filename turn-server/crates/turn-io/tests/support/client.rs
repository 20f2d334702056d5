//! A TURN client for tests: blocking, one request at a time.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use rustls::ClientConnection;
use turn_auth::LongTermKey;
use turn_proto::Transport;
use turn_wire::{
    Class, IntegrityKey, MessageView, Method, Packet, RequestBuilder, attr, parse, parse_data,
    stream::{Frame, next_frame},
};

use super::{DtlsLink, IDENTITY, Identity, PASSWORD, REALM, USER, dtls, shake};

/// How long a test waits for what must come, on a machine that is busy with others.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the client has been sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Channel(u16, Vec<u8>),
    Data(SocketAddr, Vec<u8>),
}

/// An answer to a request.
pub(crate) struct Answer(Vec<u8>);

impl Answer {
    pub(crate) fn view(&self) -> MessageView<'_> {
        match parse(&self.0) {
            Ok(Packet::Stun(view)) => view,
            other => panic!("no answer: {other:?}"),
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.view().class() == Class::Success
    }

    pub(crate) fn error(&self) -> Option<u16> {
        self.view().error_code()
    }
}

/// The client's side of a transport.
pub(crate) enum Link {
    Udp(UdpSocket),
    Dtls(Box<DtlsLink>),
    Tcp(TcpLink),
}

/// A connection and what was read ahead.
pub(crate) struct TcpLink {
    pub(crate) socket: TcpStream,
    /// What lies between the socket and the messages, if anything does.
    pub(crate) tls: Option<Box<ClientConnection>>,
    ahead: Vec<u8>,
}

pub(crate) struct Client {
    pub(crate) link: Link,
    key: IntegrityKey,
    nonce: Vec<u8>,
    requests: u32,
}

impl Client {
    pub(crate) fn connect(transport: Transport, server: SocketAddr) -> Self {
        Self::over(match transport {
            Transport::Tcp => Link::Tcp(TcpLink::connect(server)),
            Transport::Tls => Link::Tcp(TcpLink::secure(server, &IDENTITY)),
            Transport::Udp => Link::Udp(dtls::socket(server)),
            Transport::Dtls => Link::Dtls(Box::new(DtlsLink::connect(server, &IDENTITY))),
        })
    }

    /// A client over a link that is there.
    pub(crate) fn over(link: Link) -> Self {
        let key = LongTermKey::derive(USER, REALM, PASSWORD);
        let key = IntegrityKey::new(key.as_bytes());
        Self {
            link,
            key,
            nonce: Vec::new(),
            // Whose port was another's before is not to be answered as that one (RFC 8489 §6.3.1).
            requests: rand::random::<u32>() / 2,
        }
    }

    /// The connection of a client over TCP.
    pub(crate) fn tcp(&mut self) -> &mut TcpLink {
        match &mut self.link {
            Link::Tcp(link) => link,
            Link::Udp(_) | Link::Dtls(_) => panic!("not a stream"),
        }
    }

    /// The association of a client over DTLS.
    pub(crate) fn dtls(&mut self) -> &mut DtlsLink {
        match &mut self.link {
            Link::Dtls(link) => link,
            Link::Udp(_) | Link::Tcp(_) => panic!("no association"),
        }
    }

    /// The client's own address.
    pub(crate) fn local(&self) -> SocketAddr {
        match &self.link {
            Link::Udp(socket) => socket.local_addr().unwrap(),
            Link::Dtls(link) => link.socket.local_addr().unwrap(),
            Link::Tcp(link) => link.socket.local_addr().unwrap(),
        }
    }

    /// Allocates as one does: refused first, then with the nonce. Returns the relayed address.
    pub(crate) fn allocate(&mut self) -> SocketAddr {
        let answer = self.request_allocation();
        assert!(answer.is_success(), "{:?}", answer.error());
        answer
            .view()
            .xor_address(attr::XOR_RELAYED_ADDRESS)
            .unwrap()
    }

    /// The same for a transport of relays by its number.
    pub(crate) fn allocate_over(&mut self, protocol: u8) -> SocketAddr {
        self.learn_nonce();
        let answer = self.request(Method::ALLOCATE, |request| {
            request.requested_transport(protocol)
        });
        assert!(answer.is_success(), "{:?}", answer.error());
        answer
            .view()
            .xor_address(attr::XOR_RELAYED_ADDRESS)
            .unwrap()
    }

    /// The answer to an Allocate request with credentials.
    pub(crate) fn request_allocation(&mut self) -> Answer {
        self.learn_nonce();
        self.request(Method::ALLOCATE, |request| request.requested_transport(17))
    }

    /// Is refused once, to learn a nonce.
    pub(crate) fn learn_nonce(&mut self) {
        self.nonce.clear();
        let first = self.request(Method::ALLOCATE, |request| request.requested_transport(17));
        assert_eq!(first.error(), Some(401));
        self.nonce = first.view().nonce().unwrap().to_vec();
    }

    /// The next message as it is, an indication for one.
    pub(crate) fn receive_message(&mut self) -> Answer {
        Answer(self.receive_bytes().unwrap())
    }

    /// The connection, which carries no messages any more.
    pub(crate) fn into_stream(self) -> TcpStream {
        match self.link {
            Link::Tcp(link) => {
                assert!(link.ahead.is_empty(), "read too far");
                link.socket
            }
            Link::Udp(_) | Link::Dtls(_) => panic!("not a stream"),
        }
    }

    /// Asks for an allocation of a server that may not answer, and does not wait long for it.
    pub(crate) fn try_allocate(&mut self) {
        let Link::Udp(socket) = &self.link else {
            panic!("not datagrams")
        };
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        for _ in 0..2 {
            let request = self.build(Method::ALLOCATE, |request| request.requested_transport(17));
            self.send(&request);
            let Ok(answer) = self.receive_bytes() else {
                return;
            };
            let nonce = Answer(answer).view().nonce().map(<[u8]>::to_vec);
            self.nonce = nonce.unwrap_or_default();
        }
    }

    pub(crate) fn bind_channel(&mut self, number: u16, peer: SocketAddr) {
        let answer = self.request(Method::CHANNEL_BIND, |request| {
            request.channel_number(number).xor_peer_address(peer)
        });
        assert!(answer.is_success(), "{:?}", answer.error());
    }

    pub(crate) fn permit(&mut self, peer: SocketAddr) {
        let answer = self.request(Method::CREATE_PERMISSION, |request| {
            request.xor_peer_address(peer)
        });
        assert!(answer.is_success(), "{:?}", answer.error());
    }

    pub(crate) fn release(&mut self) {
        let answer = self.request(Method::REFRESH, |request| request.lifetime(0));
        assert!(answer.is_success(), "{:?}", answer.error());
    }

    /// A Binding request's answer: the address that the server sees.
    pub(crate) fn binding(&mut self) -> SocketAddr {
        let id = self.next_id();
        self.send(&RequestBuilder::new(Method::BINDING, id).finish(None, false));
        Answer(self.receive_bytes().unwrap())
            .view()
            .xor_address(attr::XOR_MAPPED_ADDRESS)
            .unwrap()
    }

    /// Waits for the answer to a Binding request, and passes over data that comes before it.
    pub(crate) fn settle(&mut self) {
        let id = self.next_id();
        self.send(&RequestBuilder::new(Method::BINDING, id).finish(None, false));
        loop {
            let bytes = self.receive_bytes().unwrap();
            match parse(&bytes) {
                Ok(Packet::Stun(view)) if view.transaction_id() == id => return,
                _ => {}
            }
        }
    }

    /// Sends a request, with credentials once a nonce is known, and takes its answer.
    pub(crate) fn request(
        &mut self,
        method: Method,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Answer {
        let bytes = self.build(method, fill);
        self.send(&bytes);
        let answer = Answer(self.receive_bytes().unwrap());
        assert_eq!(answer.view().method(), method);
        answer
    }

    /// The bytes of a request.
    pub(crate) fn build(
        &mut self,
        method: Method,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Vec<u8> {
        let id = self.next_id();
        let request = fill(RequestBuilder::new(method, id));
        if self.nonce.is_empty() {
            return request.finish(None, false);
        }
        let request = request.username(USER).realm(REALM).nonce(&self.nonce);
        request.finish(Some(&self.key), false)
    }

    /// A ChannelData message, padded as the transport needs it.
    pub(crate) fn channel_data(&self, number: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        bytes.extend_from_slice(payload);
        if matches!(self.link, Link::Tcp(_)) {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    pub(crate) fn send_channel(&mut self, number: u16, payload: &[u8]) {
        let bytes = self.channel_data(number, payload);
        self.send(&bytes);
    }

    pub(crate) fn send_indication(&mut self, peer: SocketAddr, payload: &[u8]) {
        let id = self.next_id();
        let message = RequestBuilder::indication(Method::SEND, id)
            .xor_peer_address(peer)
            .data(payload);
        self.send(&message.finish(None, false));
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        match &mut self.link {
            Link::Udp(socket) => assert_eq!(socket.send(bytes).unwrap(), bytes.len()),
            Link::Dtls(link) => link.send(bytes),
            Link::Tcp(link) => link.send(bytes).unwrap(),
        }
    }

    /// The next relayed data.
    pub(crate) fn receive(&mut self) -> Got {
        let bytes = self.receive_bytes().unwrap();
        match parse(&bytes).unwrap() {
            Packet::ChannelData(data) => Got::Channel(data.number, bytes[data.payload].to_vec()),
            Packet::Stun(view) => {
                let data = parse_data(&view).unwrap();
                Got::Data(data.peer, bytes[data.data].to_vec())
            }
        }
    }

    /// The next message, whatever it is; an error of kind `UnexpectedEof` at the end of a stream.
    pub(crate) fn receive_bytes(&mut self) -> io::Result<Vec<u8>> {
        match &mut self.link {
            Link::Udp(socket) => dtls::receive_from(socket),
            Link::Dtls(link) => link.receive(),
            Link::Tcp(link) => link.receive(),
        }
    }

    fn next_id(&mut self) -> [u8; 12] {
        self.requests += 1;
        let mut id = [0; 12];
        id[..4].copy_from_slice(&self.requests.to_be_bytes());
        id
    }
}

impl TcpLink {
    pub(crate) fn connect(server: SocketAddr) -> Self {
        let socket = TcpStream::connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self {
            socket,
            tls: None,
            ahead: Vec::new(),
        }
    }

    /// A connection over TLS to a server that shows this certificate.
    pub(crate) fn secure(server: SocketAddr, identity: &Identity) -> Self {
        Self::connect(server).into_secure(identity).unwrap()
    }

    /// Begins TLS.
    pub(crate) fn into_secure(mut self, identity: &Identity) -> io::Result<Self> {
        let mut tls = identity.client();
        shake(&mut tls, &mut self.socket)?;
        self.tls = Some(Box::new(tls));
        Ok(self)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.socket.write_all(bytes),
            Some(tls) => {
                let mut stream = rustls::Stream::new(&mut **tls, &mut self.socket);
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(buffer),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.socket).read(buffer),
        }
    }

    /// The next frame.
    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        // A frame that is there as a whole is taken alone: what follows it may be no frame (RFC 6062).
        if self.ahead.is_empty() && self.tls.is_none() {
            let seen = self.socket.peek(&mut buffer)?;
            if let Ok(Frame::Whole(length)) = next_frame(&buffer[..seen]) {
                buffer.truncate(length);
                self.socket.read_exact(&mut buffer)?;
                return Ok(buffer);
            }
        }
        loop {
            if let Frame::Whole(length) = next_frame(&self.ahead).unwrap() {
                return Ok(self.ahead.drain(..length).collect());
            }
            match self.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => self.ahead.extend_from_slice(&buffer[..length]),
            }
        }
    }

    /// What there is next, whether a frame or not; empty at an orderly end.
    pub(crate) fn receive_raw(&mut self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        let length = self.read(&mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Waits until the server has closed the connection, whether orderly or not.
    pub(crate) fn wait_for_end(&mut self) {
        let mut buffer = vec![0; 65_536];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    let waited = matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    );
                    assert!(!waited, "the connection stays open");
                    return;
                }
            }
        }
    }
}
