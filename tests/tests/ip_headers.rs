//! What stands in the IP headers of relayed datagrams, read off the wire behind a router (RFC 8656 §13 to §16). Needs root.
//!
//! ```text
//! client, server ──1500── router ──1300── peer
//! ```

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::netns::{Namespace, cable};
use e2e::server::Server;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use turn_wire::{Family, MessageView, Method, Packet, RequestBuilder, attr};

const SERVER: &str = "127.0.0.1:3478";
const PEER: &str = "10.9.1.2:4444";
const CHANNEL: u16 = 0x4000;
const PATIENCE: Duration = Duration::from_secs(10);

/// A server on a long link, a peer on one with smaller packets, and a client with an allocation for it.
struct Lab {
    client: UdpSocket,
    peer: UdpSocket,
    /// Hears what the peer hears, with IP headers.
    wire: Socket,
    relayed: SocketAddr,
    _server: Server,
    _spaces: [Namespace; 3],
}

/// The parts of an IPv4 header that a relay may choose.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    traffic_class: u8,
    dont_fragment: bool,
    ttl: u8,
}

impl Lab {
    fn new() -> Result<Self> {
        let spaces = ["server", "router", "peer"].map(Namespace::new);
        let [near, router, far] = spaces;
        let (near, router, far) = (near?, router?, far?);
        cable(&near, "out", &router, "near")?;
        cable(&router, "far", &far, "out")?;
        for (space, words) in [
            (&near, "addr add 10.9.0.1/24 dev out"),
            (&near, "link set out up"),
            (&router, "addr add 10.9.0.2/24 dev near"),
            (&router, "addr add 10.9.1.1/24 dev far"),
            (&router, "link set near up"),
            (&router, "link set far mtu 1300 up"),
            (&far, "addr add 10.9.1.2/24 dev out"),
            (&far, "link set out mtu 1300 up"),
            (&near, "route add default via 10.9.0.2"),
            (&far, "route add default via 10.9.1.1"),
        ] {
            space.ip(words)?;
        }
        router.sysctl("net.ipv4.ip_forward=1")?;
        let flags = [
            "--listening-ip=127.0.0.1",
            "--relay-ip=10.9.0.1",
            "--no-auth",
            "--allow-private-peers",
        ];
        let server = Server::start(Some(&near), &flags)?;
        let client = near.inside(|| Ok(UdpSocket::bind("127.0.0.1:0")?))?;
        client.connect(SERVER)?;
        client.set_read_timeout(Some(PATIENCE))?;
        let (peer, wire) = far.inside(|| {
            let wire = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP))?;
            Ok((UdpSocket::bind(PEER)?, wire))
        })?;
        peer.set_read_timeout(Some(PATIENCE))?;
        wire.set_read_timeout(Some(PATIENCE))?;
        let mut lab = Self {
            client,
            peer,
            wire,
            relayed: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            _server: server,
            _spaces: [near, router, far],
        };
        lab.relayed = lab.allocate()?;
        Ok(lab)
    }

    fn allocate(&self) -> Result<SocketAddr> {
        let allocate = RequestBuilder::new(Method::ALLOCATE, [1; 12])
            .requested_transport(17)
            .requested_family(Family::V4)
            .dont_fragment();
        let answer = self.ask(allocate)?;
        let relayed = view(&answer)?.xor_address(attr::XOR_RELAYED_ADDRESS);
        self.ask(
            RequestBuilder::new(Method::CHANNEL_BIND, [2; 12])
                .channel_number(CHANNEL)
                .xor_peer_address(PEER.parse()?),
        )?;
        relayed.context("no relayed address")
    }

    fn ask(&self, request: RequestBuilder) -> Result<Vec<u8>> {
        self.client.send(&request.finish(None, false))?;
        let answer = self.hear()?;
        let code = view(&answer)?.error_code();
        ensure!(code.is_none(), "refused: {code:?}");
        Ok(answer)
    }

    fn hear(&self) -> Result<Vec<u8>> {
        let mut buffer = vec![0; 65_535];
        let length = self.client.recv(&mut buffer).context("client")?;
        buffer.truncate(length);
        Ok(buffer)
    }

    fn indicate(&self, payload: &[u8], dont_fragment: bool) -> Result<()> {
        let mut send = RequestBuilder::indication(Method::SEND, [3; 12])
            .xor_peer_address(PEER.parse()?)
            .data(payload);
        if dont_fragment {
            send = send.dont_fragment();
        }
        self.client.send(&send.finish(None, false))?;
        Ok(())
    }

    fn channel(&self, payload: &[u8]) -> Result<()> {
        let mut frame = CHANNEL.to_be_bytes().to_vec();
        frame.extend(u16::try_from(payload.len())?.to_be_bytes());
        frame.extend(payload);
        self.client.send(&frame)?;
        Ok(())
    }

    /// The header of the next datagram to the peer, which must be this one.
    fn on_the_wire(&mut self, payload: &[u8]) -> Result<Header> {
        ensure!(
            self.arrives()? == payload,
            "the peer hears another datagram"
        );
        header(&mut self.wire, payload)
    }

    fn arrives(&self) -> Result<Vec<u8>> {
        let mut buffer = vec![0; 65_535];
        let length = self.peer.recv(&mut buffer).context("peer")?;
        buffer.truncate(length);
        Ok(buffer)
    }
}

/// The header of the next datagram of a raw socket that ends with this.
fn header(wire: &mut Socket, payload: &[u8]) -> Result<Header> {
    let mut buffer = vec![0; 65_535];
    loop {
        let length = wire.read(&mut buffer).context("wire")?;
        let packet = buffer.get(..length).unwrap_or_default();
        if let &[_, traffic_class, _, _, _, _, flags, _, ttl, ..] = packet
            && packet.ends_with(payload)
        {
            let dont_fragment = flags & 0x40 != 0;
            return Ok(Header {
                traffic_class,
                dont_fragment,
                ttl,
            });
        }
    }
}

fn view(bytes: &[u8]) -> Result<MessageView<'_>> {
    match turn_wire::parse(bytes) {
        Ok(Packet::Stun(view)) => Ok(view),
        other => anyhow::bail!("no message: {other:?}"),
    }
}

#[test]
fn df_is_set_for_whom_asks_and_ttl_is_never_the_clients() {
    let mut lab = Lab::new().unwrap();
    // What is left of a client's TTL, or of a relay's that counts down, must not end the way to the peer.
    for ttl in [64, 2, 1] {
        SockRef::from(&lab.client).set_ttl_v4(ttl).unwrap();
        let header = |dont_fragment| Header {
            traffic_class: 0,
            dont_fragment,
            // The usual 64, less the router.
            ttl: 63,
        };
        lab.indicate(b"whole", true).unwrap();
        assert_eq!(lab.on_the_wire(b"whole").unwrap(), header(true));
        lab.indicate(b"as it comes", false).unwrap();
        assert_eq!(lab.on_the_wire(b"as it comes").unwrap(), header(false));
        lab.indicate(b"whole again", true).unwrap();
        assert_eq!(lab.on_the_wire(b"whole again").unwrap(), header(true));
        lab.channel(b"by channel").unwrap();
        assert_eq!(lab.on_the_wire(b"by channel").unwrap(), header(false));
    }
}

#[test]
fn towards_the_client_df_is_not_set_and_the_class_is_copied() {
    let lab = Lab::new().unwrap();
    let near = &lab._spaces[0];
    let raw = || Ok(Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP))?);
    let mut wire = near.inside(raw).unwrap();
    wire.set_read_timeout(Some(PATIENCE)).unwrap();
    SockRef::from(&lab.peer).set_tos_v4(0xB8).unwrap();
    lab.peer.send_to(b"from the peer", lab.relayed).unwrap();
    lab.hear().unwrap();
    // The same payload is heard twice: as the peer sent it, and behind ChannelData's header to the client.
    let [first, second] = [(); 2].map(|()| header(&mut wire, b"from the peer").unwrap());
    assert_eq!((first.traffic_class, first.ttl), (0xB8, 63));
    let expected = Header {
        traffic_class: 0xB8,
        dont_fragment: false,
        ttl: 64,
    };
    assert_eq!(second, expected);
}

#[test]
fn too_large_for_the_way_is_fragmented_or_reported_as_the_client_wishes() {
    let lab = Lab::new().unwrap();
    let large = vec![7; 1_350];
    for _ in 0..2 {
        lab.channel(&large).unwrap();
        assert!(lab.arrives().unwrap() == large);
        lab.indicate(&large, true).unwrap();
        let told = lab.hear().unwrap();
        let told = view(&told).unwrap();
        assert_eq!(told.method(), Method::DATA);
        assert_eq!(
            told.xor_address(attr::XOR_PEER_ADDRESS),
            Some(PEER.parse().unwrap())
        );
        // Type 3 in seven bits, code 4 in nine, and the next link's MTU.
        let expected = [0, 0, 0b0000_0110, 4, 0, 0, 0x05, 0x14];
        assert_eq!(told.attribute(attr::ICMP), Some(&expected[..]));
        // Others are not the smaller for it, nor lost.
        lab.indicate(&large, false).unwrap();
        assert!(lab.arrives().unwrap() == large);
        // The error was told long ago when the socket is set back: it is not kept from the client by that.
        lab.indicate(&large, true).unwrap();
        lab.indicate(b"small", false).unwrap();
        assert_eq!(lab.arrives().unwrap(), b"small");
        let told = lab.hear().unwrap();
        assert!(view(&told).unwrap().attribute(attr::ICMP).is_some());
    }
}
