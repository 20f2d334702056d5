//! The forty classes against the state machine in virtual time, a hundred members each, over datagrams and streams.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

use fuzz::{
    malformed::{Carrier, Class, Outcome, Sender, Speaker, classes},
    support::{Answer, Client, Got, REALM, World, config},
};
use turn_proto::Transport;
use turn_wire::stream::{Frame, next_frame};

const MEMBERS: u64 = 100;

#[test]
fn there_are_forty_classes() {
    assert_eq!(classes().len(), 40);
}

#[test]
fn datagrams_meet_silence_or_the_right_code_and_leave_nothing() {
    for class in classes() {
        try_class(&class, Carrier::Datagram);
    }
}

#[test]
fn streams_meet_silence_or_the_right_code_and_leave_nothing() {
    for class in classes() {
        try_class(&class, Carrier::Stream);
    }
}

fn try_class(class: &Class, carrier: Carrier) {
    let mut settings = config();
    // One relay address, so that there is a family without.
    settings
        .relays
        .addresses
        .retain(|address| address.is_ipv4());
    let mut world = World::new(settings);
    for seed in 0..MEMBERS {
        let mut client = Client::ann(&format!("192.0.2.9:{}", 1024 + seed));
        if carrier == Carrier::Stream {
            client = client.over(Transport::Tcp, 100 + seed as u32);
        }
        if class.sender != Sender::Stranger {
            client.challenge(&mut world);
        }
        if class.sender == Sender::Holder {
            client.allocate(&mut world);
        }
        let before = state(&world);
        let speaker = Speaker {
            username: client.username.clone(),
            realm: REALM.to_owned(),
            nonce: client.nonce.clone(),
            key: client.key.clone(),
        };
        let member = class.member(seed, carrier, &speaker);
        let whole = match carrier {
            Carrier::Datagram => Some(member.bytes.as_slice()),
            Carrier::Stream => first_frame(&member.bytes),
        };
        let got = whole.map_or(Got::Nothing, |packet| world.send(&client.path, packet));
        let outcome = judge(&member.bytes, got);
        let context = || {
            format!(
                "class {}: {}, seed {seed}: {:02x?}",
                class.number, class.name, member.bytes
            )
        };
        assert!(
            member.allowed.contains(&outcome),
            "{outcome:?} in {}",
            context()
        );
        if class.sender == Sender::Holder {
            // Nothing that was sent has ended the allocation, which ends now.
            assert_eq!(client.refresh(&mut world, 0).code(), None, "{}", context());
        } else {
            assert_eq!(state(&world), before, "{}", context());
        }
    }
    // Timers of allocations that have ended may be left until they are due.
    world.pass(std::time::Duration::from_secs(4000));
    assert_eq!(state(&world), (0, 0, 0, None));
}

fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    match next_frame(bytes) {
        Ok(Frame::Whole(length)) => Some(&bytes[..length]),
        _ => None,
    }
}

fn judge(request: &[u8], got: Got) -> Outcome {
    match got {
        Got::Nothing => Outcome::Silence,
        Got::ToPeer { .. } => panic!("relayed"),
        Got::Reply(bytes) => {
            fuzz::malformed::padding_is_zero(&bytes);
            assert_eq!(&bytes[8..20], &request[8..20], "another transaction");
            Answer { bytes }
                .code()
                .map_or(Outcome::Success, Outcome::Code)
        }
    }
}

fn state(world: &World) -> (usize, usize, usize, Option<std::time::Duration>) {
    let (ports, quota) = (
        world.shared.ports.claimed(),
        world.shared.quotas.count() as usize,
    );
    (world.bound.len(), ports, quota, world.relay.poll_timeout())
}
