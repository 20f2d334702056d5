//! What an operator sees of sessions is what they are, and what he ends is what he has named, however many there are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::time::Duration;

use support::{Client, World, address, config};
use turn_proto::{
    At, ERROR_CODES, EndReason, METHODS, PeerView, Selection, SessionId, SessionView, Transport,
};

/// Places that a call looks at: fewer than there are sessions.
const MOST: u32 = 2;

fn at(ip: &str, port: Option<u16>) -> Option<At> {
    let ip = ip.parse().unwrap();
    Some(At { ip, port })
}

fn list(world: &World, selection: &Selection) -> Vec<SessionView> {
    let (mut all, mut next) = (Vec::new(), Some(0));
    while let Some(first) = next {
        let piece = world
            .relay
            .list_sessions(world.now(), selection, first, MOST);
        assert!(piece.found.len() <= MOST as usize);
        all.extend(piece.found);
        next = piece.next;
    }
    all
}

fn end(world: &mut World, selection: &Selection) -> Vec<SessionId> {
    let (mut all, mut next, now) = (Vec::new(), Some(0), world.now());
    while let Some(first) = next {
        let piece = world.relay.end_sessions(now, selection, first, MOST);
        all.extend(piece.found);
        next = piece.next;
    }
    all
}

/// Three clients of ann, two of bob.
fn crowd() -> (World, Vec<Client>) {
    let mut world = World::new(config());
    let mut clients: Vec<Client> = (0..5_u16)
        .map(|number| {
            let from = format!("192.0.2.{}:{}", 10 + number / 2, 40_000 + number);
            if number < 3 {
                Client::ann(&from)
            } else {
                Client::bob(&from)
            }
        })
        .collect();
    for client in &mut clients {
        client.allocate(&mut world);
    }
    (world, clients)
}

#[test]
fn a_session_is_shown_as_it_is() {
    let mut world = World::new(config());
    let mut client = Client::ann("192.0.2.10:40000");
    client.allocate(&mut world);
    client.bind(&mut world, 0x4001, "203.0.113.5:9");
    client.permit(&mut world, "203.0.113.6:1");
    client.channel_data(&mut world, 0x4001, b"four");
    world.pass(Duration::from_secs(100));
    let all = list(&world, &Selection::default());
    let [view] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!(
        (view.path.client, view.path.transport),
        (address("192.0.2.10:40000"), Transport::Udp)
    );
    assert_eq!((&*view.username, &*view.user), ("ann", "ann"));
    assert_eq!(
        view.relays[0].local,
        *world.bound.values().next().unwrap(),
        "{view:?}"
    );
    assert_eq!(view.relays[0].remaining, Duration::from_secs(500));
    assert_eq!(view.age, Duration::from_secs(100));
    let peer = |ip: &str, port, channel| PeerView {
        ip: ip.parse().unwrap(),
        port,
        channel,
    };
    assert_eq!(
        view.peers,
        [
            peer("203.0.113.5", Some(9), Some(0x4001)),
            peer("203.0.113.6", None, None)
        ]
    );
    assert_eq!(view.traffic.peer_sent_bytes, 4);
    assert_eq!(view.traffic.client_received_bytes, 8);
    assert!(!view.relays_tcp);
}

#[test]
fn every_part_of_a_selection_counts() {
    let (mut world, mut clients) = crowd();
    clients[4].permit(&mut world, "203.0.113.6:1");
    let all = list(&world, &Selection::default());
    assert_eq!(all.len(), 5);
    let fourth = &all[4];
    let count = |selection: Selection| list(&world, &selection).len();
    let any = Selection::default;
    let user = Some("ann".into());
    assert_eq!(count(Selection { user, ..any() }), 3);
    let session = Some(fourth.session);
    assert_eq!(count(Selection { session, ..any() }), 1);
    let client = at("192.0.2.11", None);
    assert_eq!(count(Selection { client, ..any() }), 2);
    let client = at("192.0.2.11", Some(40_002));
    assert_eq!(count(Selection { client, ..any() }), 1);
    let user = Some("bob".into());
    assert_eq!(
        count(Selection {
            client,
            user,
            ..any()
        }),
        0
    );
    let relayed = at("198.51.100.1", Some(fourth.relays[0].local.port()));
    assert_eq!(count(Selection { relayed, ..any() }), 1);
    let peer = at("203.0.113.6", Some(77));
    assert_eq!(count(Selection { peer, ..any() }), 1);
    let peer = at("203.0.113.7", None);
    assert_eq!(count(Selection { peer, ..any() }), 0);
    let transport = Some(Transport::Tcp);
    assert_eq!(count(Selection { transport, ..any() }), 0);
    let transport = Some(Transport::Udp);
    assert_eq!(count(Selection { transport, ..any() }), 5);
}

#[test]
fn exactly_the_selected_sessions_end() {
    let (mut world, mut clients) = crowd();
    let user: Option<Box<str>> = Some("ann".into());
    let selection = Selection {
        user,
        ..Selection::default()
    };
    let named: Vec<SessionId> = list(&world, &selection)
        .iter()
        .map(|view| view.session)
        .collect();
    assert_eq!(end(&mut world, &selection), named);
    world.drain();
    for (number, client) in clients.iter_mut().enumerate() {
        let expected = (number < 3).then_some(437);
        assert_eq!(client.refresh(&mut world, 600).code(), expected, "{number}");
    }
    assert_eq!(world.bound.len(), 2, "sockets go with their sessions");
    assert_eq!(world.shared.quotas.count(), 2);
    assert!(end(&mut world, &selection).is_empty());
}

#[test]
fn what_has_ended_is_counted_by_reason_length_and_bytes() {
    let (mut world, mut clients) = crowd();
    clients[0].bind(&mut world, 0x4001, "203.0.113.5:9");
    clients[0].channel_data(&mut world, 0x4001, &[0; 4996]);
    world.pass(Duration::from_secs(100));
    clients[0].refresh(&mut world, 0);
    let id = list(&world, &Selection::default())[0].session;
    let session = Some(id);
    end(
        &mut world,
        &Selection {
            session,
            ..Selection::default()
        },
    );
    world.pass(Duration::from_secs(1_000));
    let stats = world.relay.stats();
    let ended: Vec<(&str, u64)> = EndReason::ALL
        .map(EndReason::name)
        .into_iter()
        .zip(stats.ended.iter())
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(ended, [("deleted", 1), ("expired", 3), ("commanded", 1)]);
    let times: Vec<u64> = stats.session_times.buckets().collect();
    // Two of 100 seconds, three of 600.
    assert_eq!(times, [0, 0, 0, 0, 2, 3, 0, 0, 0, 0, 0, 0, 0]);
    let bytes: Vec<u64> = stats.session_bytes.buckets().collect();
    assert_eq!(&bytes[..3], [4, 1, 0]);
    assert_eq!(stats.session_bytes.sum(), 5_000);
}

#[test]
fn requests_and_errors_are_counted_by_kind() {
    let (mut world, mut clients) = crowd();
    let before = world.relay.stats();
    clients[0].permit(&mut world, "203.0.113.6:1");
    clients[0].permit(&mut world, "203.0.113.6:1");
    clients[0].permit(&mut world, "127.0.0.1:1");
    clients[0].refresh(&mut world, 0);
    clients[0].refresh(&mut world, 600);
    let stats = world.relay.stats();
    let grown = |after: Vec<u64>, before: Vec<u64>| -> Vec<u64> {
        after
            .iter()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect()
    };
    let requests = grown(
        stats.requests.iter().collect(),
        before.requests.iter().collect(),
    );
    assert_eq!(
        METHODS.into_iter().zip(requests).collect::<Vec<_>>()[..4],
        [
            ("allocate", 0),
            ("refresh", 2),
            ("create_permission", 3),
            ("channel_bind", 0),
        ]
    );
    let errors = grown(
        stats.errors_by_code.iter().collect(),
        before.errors_by_code.iter().collect(),
    );
    let errors: Vec<(u16, u64)> = ERROR_CODES
        .into_iter()
        .zip(errors)
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(errors, [(403, 1), (437, 1)]);
    let by_code: u64 = stats.errors_by_code.iter().sum();
    assert_eq!(by_code, stats.errors, "every error has its code");
}

#[test]
fn a_time_limited_user_is_found_by_both_names() {
    let mut world = World::new(config());
    let mut client = Client::timed("192.0.2.10:40000", "carol", 600, &world);
    client.allocate(&mut world);
    let view = list(&world, &Selection::default()).remove(0);
    assert_eq!(&*view.user, "carol");
    assert!(view.username.ends_with(":carol"), "{}", view.username);
    for user in [view.user, view.username] {
        let user = Some(user);
        let selection = Selection {
            user,
            ..Selection::default()
        };
        assert_eq!(list(&world, &selection).len(), 1);
    }
}
