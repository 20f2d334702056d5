//! Allocate for TCP (RFC 6062 §5.1), and what means nothing on such an allocation.

use turn_proto::Transport;
use turn_wire::{Family, RequestBuilder};

use super::{CLIENT, PEER, allocated, control, request_allocation};
use crate::support::{Client, Got, PORTS, World, config};

#[test]
fn an_allocation_listens_on_a_port_of_the_pool() {
    let (world, _, relayed) = allocated();
    assert_eq!(world.listening.len(), 1);
    assert!(PORTS.contains(&relayed.port()));
    assert_eq!(world.shared.ports.claimed(), 1);
    assert_eq!(world.relay.stats().allocations_tcp, 1);
}

#[test]
fn contradictions_in_the_request_are_bad_requests() {
    let mut world = World::new(config());
    let mut client = control();
    let contradictions: [fn(RequestBuilder) -> RequestBuilder; 3] = [
        |request| request.even_port(false),
        |request| request.even_port(true),
        |request| request.reservation_token([1; 8]),
    ];
    for more in contradictions {
        let answer = request_allocation(&mut world, &mut client, more);
        assert_eq!(answer.code(), Some(400));
    }
    // Not understood at all (420), or understood and contradicting (400).
    let answer = request_allocation(&mut world, &mut client, |request| request.dont_fragment());
    assert!(matches!(answer.code(), Some(400 | 420)));
    assert_eq!(world.shared.ports.claimed(), 0);
    let answer = request_allocation(&mut world, &mut client, |request| {
        request.requested_family(Family::V6)
    });
    assert!(answer.relayed().is_ipv6());
}

#[test]
fn datagrams_cannot_control_a_tcp_allocation() {
    let mut world = World::new(config());
    for transport in [Transport::Udp, Transport::Dtls] {
        let mut client = Client::ann(CLIENT).over(transport, 0);
        let answer = request_allocation(&mut world, &mut client, |request| request);
        assert_eq!(answer.code(), Some(400), "{transport}");
    }
    let mut client = Client::ann(CLIENT).over(Transport::Tls, 9);
    request_allocation(&mut world, &mut client, |request| request).relayed();
}

#[test]
fn where_it_is_off_the_transport_is_not_supported() {
    let mut off = config();
    off.tcp_relay = false;
    let mut world = World::new(off);
    let mut client = control();
    let answer = request_allocation(&mut world, &mut client, |request| request);
    assert_eq!(answer.code(), Some(442));
    client.allocate(&mut world);
}

#[test]
fn datagram_methods_mean_nothing_on_it() {
    let (mut world, mut client, _) = allocated();
    assert_eq!(client.permit(&mut world, PEER).code(), None);
    assert_eq!(client.bind(&mut world, 0x4000, PEER).code(), Some(400));
    assert_eq!(client.send_indication(&mut world, PEER, b"x"), Got::Nothing);
    assert_eq!(client.channel_data(&mut world, 0x4000, b"x"), Got::Nothing);
}
