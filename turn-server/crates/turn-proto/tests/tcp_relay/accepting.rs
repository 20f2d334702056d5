//! Connections that peers make (RFC 6062 §5.3).

use turn_proto::RelayId;
use turn_wire::{Class, MessageView, Method, Packet, attr};

use super::{PEER, allocated, bind, data_connection, peer_connects, seconds};
use crate::support::address;

#[test]
fn a_peer_with_a_permission_is_announced() {
    let (mut world, mut client, _) = allocated();
    assert_eq!(client.permit(&mut world, "203.0.113.5:1").code(), None);
    let (connection, path, bytes) = peer_connects(&mut world, PEER).unwrap();
    assert_eq!(path, client.path);
    let Ok(Packet::Stun(view)) = turn_wire::parse(&bytes) else {
        panic!("{bytes:?}")
    };
    let kind = (view.class(), view.method());
    assert_eq!(kind, (Class::Indication, Method::CONNECTION_ATTEMPT));
    let peer = MessageView::xor_address(&view, attr::XOR_PEER_ADDRESS);
    assert_eq!(peer, Some(address(PEER)));
    let told = view.attribute(attr::CONNECTION_ID).unwrap();
    assert_eq!(told, connection.0.to_be_bytes());
    let mut data = data_connection(8);
    assert_eq!(bind(&mut world, &mut data, connection).code(), None);
    assert!(world.relay.on_join(world.now(), connection));
}

#[test]
fn a_peer_without_a_permission_is_not_accepted() {
    let (mut world, mut client, _) = allocated();
    assert!(peer_connects(&mut world, PEER).is_none());
    client.permit(&mut world, PEER);
    assert!(peer_connects(&mut world, "203.0.113.6:80").is_none());
    world.pass(seconds(300));
    assert!(peer_connects(&mut world, PEER).is_none());
    assert_eq!(world.relay.stats().peer_connections, 0);
    assert_eq!(world.relay.stats().dropped_peer, 3);
    // Nobody's relay.
    let now = world.now();
    let nobody = RelayId(77);
    let got = world.relay.on_peer_connection(now, nobody, address(PEER));
    assert!(got.is_none());
}

#[test]
fn a_peer_that_nobody_binds_is_closed_after_thirty_seconds() {
    let (mut world, mut client, _) = allocated();
    client.permit(&mut world, PEER);
    peer_connects(&mut world, PEER).unwrap();
    world.pass(seconds(29));
    assert_eq!(world.connections.len(), 1);
    world.pass(seconds(1));
    assert!(world.connections.is_empty());
}
