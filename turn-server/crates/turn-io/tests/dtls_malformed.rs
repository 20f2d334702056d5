//! The forty classes of malformed input over DTLS, a hundred members each. UDP, TCP and TLS: `malformed` of the end-to-end tests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

mod support;

use fuzz::malformed::{Carrier, Class, Member, Outcome, Sender, Speaker, classes, padding_is_zero};
use support::{DtlsLink, IDENTITY, LOOPBACKS, PASSWORD, REALM, Server, Setup, USER};
use turn_auth::LongTermKey;
use turn_proto::{PeerPolicy, Transport};
use turn_wire::{Class as MessageClass, IntegrityKey, Method, Packet, RequestBuilder, parse};

const MEMBERS: u64 = 100;

/// A Binding request: its answer comes behind those to everything that was sent before.
const BARRIER: &[u8; 20] = b"\0\x01\0\0\x21\x12\xa4\x42the-last-one";

/// A client with a password, over an association of its own.
struct Guest {
    link: DtlsLink,
    speaker: Speaker,
    asked: u64,
}

impl Guest {
    fn new(server: &Server) -> Self {
        let key = LongTermKey::derive(USER, REALM, PASSWORD);
        let mut guest = Self {
            link: DtlsLink::connect(server.address(Transport::Dtls, LOOPBACKS[0]), &IDENTITY),
            speaker: Speaker {
                username: USER.to_owned(),
                realm: REALM.to_owned(),
                nonce: Vec::new(),
                key: IntegrityKey::new(key.as_bytes()),
            },
            asked: 0,
        };
        let request = RequestBuilder::new(Method::ALLOCATE, *b"challenge-me");
        let answers = guest.tell(&request.requested_transport(17).finish(None, false));
        let Ok(Packet::Stun(view)) = parse(&answers[0]) else {
            panic!("no challenge: {answers:02x?}");
        };
        guest.speaker.nonce = view.nonce().unwrap().to_vec();
        guest
    }

    /// Sends bytes, and returns all that is said to them.
    fn tell(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.link.send(bytes);
        self.link.send(BARRIER);
        let mut heard = Vec::new();
        loop {
            let answer = self.link.receive().unwrap();
            if answer.get(8..20) == BARRIER.get(8..20) {
                return heard;
            }
            heard.push(answer);
        }
    }

    fn ask(&mut self, method: Method, build: impl Fn(RequestBuilder) -> RequestBuilder) {
        self.asked += 1;
        let [a, b, c, d, e, f, g, h] = self.asked.to_be_bytes();
        let id = [a, b, c, d, e, f, g, h, b'g', b'u', b's', b't'];
        let request = build(RequestBuilder::new(method, id));
        let request = request.username(USER).realm(REALM);
        let request = request.nonce(&self.speaker.nonce);
        let answers = self.tell(&request.finish(Some(&self.speaker.key), false));
        assert_eq!(answers.len(), 1);
        assert_eq!(outcome(&answers[0]), Outcome::Success);
    }

    fn try_member(&mut self, class: &Class, seed: u64) {
        if class.sender == Sender::Holder {
            self.ask(Method::ALLOCATE, |request| request.requested_transport(17));
        }
        let member = class.member(seed, Carrier::Datagram, &self.speaker);
        let heard = self.tell(&member.bytes);
        assert!(
            is_allowed(&member, &heard),
            "class {}: {}, seed {seed}: {:02x?} was answered {heard:02x?} and not {:?}",
            class.number,
            class.name,
            member.bytes,
            member.allowed
        );
        if class.sender == Sender::Holder {
            self.ask(Method::REFRESH, |request| request.lifetime(0));
        }
    }
}

fn outcome(answer: &[u8]) -> Outcome {
    padding_is_zero(answer);
    let Ok(Packet::Stun(view)) = parse(answer) else {
        panic!("unreadable: {answer:02x?}");
    };
    match view.class() {
        MessageClass::Success => Outcome::Success,
        MessageClass::Error => Outcome::Code(view.error_code().unwrap()),
        other => panic!("neither success nor error: {other:?}"),
    }
}

/// Every answer is one of those allowed, and silence only where silence is.
fn is_allowed(member: &Member, heard: &[Vec<u8>]) -> bool {
    if heard.is_empty() {
        return member.allowed.contains(&Outcome::Silence);
    }
    let mut outcomes = heard.iter().map(|answer| outcome(answer));
    outcomes.all(|outcome| member.allowed.contains(&outcome))
}

#[test]
fn malformed_messages_inside_dtls_meet_silence_or_the_right_code() {
    let mut setup = Setup {
        adjust: |rules| {
            rules.peers = PeerPolicy {
                own: rules.relays.addresses.clone(),
                relays: rules.relays.addresses.clone(),
                allow_private: true,
                ..PeerPolicy::default()
            };
        },
        ..Setup::secure_datagrams()
    };
    // One family, so that there is one without a relay address.
    setup.relays.truncate(1);
    let server = Server::with(setup);
    for class in classes() {
        let mut guest = Guest::new(&server);
        for seed in 0..MEMBERS {
            guest.try_member(&class, seed);
        }
    }
    assert_eq!(server.shared.quotas.count(), 0);
    let (classes, members) = (classes().len() as u64, MEMBERS);
    println!(
        "\npromise: {classes} malformed classes over DTLS, {members} members each | silence or the right code | {} of {} | -",
        classes * members,
        classes * members
    );
}
