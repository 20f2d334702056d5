//! Ports reserved by EVEN-PORT with its R bit set (RFC 8656 §7.2): kept for whoever has the token, on any worker.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use std::{
    net::{SocketAddr, UdpSocket},
    sync::mpsc::sync_channel,
    time::Duration,
};

use support::{LOOPBACKS, Server, Setup, peer, receive};
use turn_proto::{Event, Transport};
use turn_wire::{Method, attr};

const ON: &str = LOOPBACKS[0];

#[test]
fn a_port_reserved_on_one_worker_is_taken_up_on_another() {
    let (sink, events) = sync_channel(1024);
    let mut setup = Setup::default();
    setup.config.workers = 2;
    setup.config.events = Some(sink);
    let server = Server::with(setup);
    // Which worker has a client is up to the kernel, and stays so: it is known after its first allocation.
    let mut of_worker = [const { Vec::new() }; 2];
    while of_worker.iter().any(Vec::is_empty) {
        let mut client = server.client(Transport::Udp, ON);
        client.allocate();
        client.release();
        let started = |event| match event {
            Event::Started { session, .. } => Some(session.to_string().starts_with("001")),
            _ => None,
        };
        let worker = events.iter().find_map(started).unwrap();
        of_worker[usize::from(worker)].push(client);
    }
    let [mut first, mut second] = of_worker.map(|mut clients| clients.pop().unwrap());
    let pair = first.request(Method::ALLOCATE, |request| {
        request.requested_transport(17).even_port(true)
    });
    let even = pair.view().xor_address(attr::XOR_RELAYED_ADDRESS).unwrap();
    let token = pair.view().attribute(attr::RESERVATION_TOKEN).unwrap();
    let token: [u8; 8] = token.try_into().unwrap();
    let odd = SocketAddr::new(even.ip(), even.port() + 1);
    assert!(even.port().is_multiple_of(2));
    assert!(UdpSocket::bind(odd).is_err(), "another program takes it");
    let taken = second.request(Method::ALLOCATE, |request| {
        request.requested_transport(17).reservation_token(token)
    });
    let relayed = taken.view().xor_address(attr::XOR_RELAYED_ADDRESS);
    assert_eq!(relayed, Some(odd));
    let (peer, peer_address) = peer(ON);
    for (client, from) in [(&mut first, even), (&mut second, odd)] {
        client.permit(peer_address);
        client.send_indication(peer_address, b"x");
        assert_eq!(receive(&peer), (b"x".to_vec(), from));
        client.release();
    }
    assert!(UdpSocket::bind(even).is_ok() && UdpSocket::bind(odd).is_ok());
}

#[test]
fn a_reserved_port_that_nobody_takes_up_is_freed() {
    let server = Server::with(Setup {
        adjust: |rules| rules.lifetimes.reservation = Duration::from_millis(50),
        ..Setup::default()
    });
    let mut client = server.client(Transport::Udp, ON);
    client.allocate();
    client.release();
    let pair = client.request(Method::ALLOCATE, |request| {
        request.requested_transport(17).even_port(true)
    });
    let even = pair.view().xor_address(attr::XOR_RELAYED_ADDRESS).unwrap();
    let odd = SocketAddr::new(even.ip(), even.port() + 1);
    server.wait_for("the port is free", |_| UdpSocket::bind(odd).is_ok());
    assert_eq!(server.shared.ports.claimed(), 1);
}
