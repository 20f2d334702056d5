//! The memory that clients over DTLS make a server keep. A program of its own, so that no other test's memory counts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use support::{
    DtlsLink, IDENTITY, LOOPBACKS, Server, Setup,
    dtls::{AES, Engine, socket},
};
use turn_proto::Transport;

const ON: &str = LOOPBACKS[0];

#[test]
fn an_association_is_small_and_an_abandoned_handshake_too() {
    const COUNT: usize = 100;
    let server = Server::with(Setup::secure_datagrams());
    let address = server.address(Transport::Dtls, ON);
    // The clients' halves are dropped at once, without a good-bye; their sockets stay, so that no port is another's again.
    let mut sockets = Vec::new();
    let mut associations = |count: usize| {
        for _ in 0..count {
            let link = DtlsLink::connect(address, &IDENTITY);
            sockets.push(link.socket.try_clone().unwrap());
        }
    };
    associations(50);
    let before = support::resident();
    associations(COUNT);
    let grown = support::resident().saturating_sub(before) / COUNT;
    assert_eq!(
        server.workers.stats().io.dtls_associations,
        50 + COUNT as u64
    );
    println!("an association takes {grown} bytes");
    assert!(grown < 16 * 1024, "{grown} bytes each");

    let before = support::resident();
    for _ in 0..COUNT {
        sockets.push(socket(address));
        let socket = sockets.last().unwrap();
        let mut engine = Engine::new(AES, &IDENTITY.material);
        socket.send(&engine.steps().datagrams[0]).unwrap();
        let request = support::dtls::receive_from(socket).unwrap();
        let with_cookie = engine.take(&request).datagrams;
        socket.send(&with_cookie[0]).unwrap();
        support::dtls::receive_from(socket).unwrap();
    }
    let grown = support::resident().saturating_sub(before) / COUNT;
    println!("a handshake under way takes {grown} bytes");
    assert!(grown < 16 * 1024, "{grown} bytes each");
}
