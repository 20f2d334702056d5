//! The long-term mechanism as RFC 8489 has it: cookies, algorithms, anonymous users, and the errors of §9.2.4 one by one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails"
)]

mod support;

use std::{sync::Arc, time::Duration};

use support::{Answer, Client, REALM, SECRET, World, config, udp};
use turn_auth::{Credentials, KeyAlgorithm, LongTermKey, Secret, SecurityFeatures, rest, userhash};
use turn_proto::{Access, Config, KeyOrigin, LinkId, Path, Transport};
use turn_wire::{Integrity, IntegrityKey, Method, PasswordAlgorithm, RequestBuilder};

const CLIENT: &str = "192.0.2.10:40000";
const NONCE: u16 = 0x0015;
const ALGORITHMS: u16 = 0x8002;
const BOTH: &[u8] = &[0, 2, 0, 0, 0, 1, 0, 0];

/// What a client of RFC 8489 knows after a challenge.
struct Modern {
    path: Path,
    name: String,
    password: String,
    nonce: Vec<u8>,
    listed: Option<Vec<u8>>,
    chosen: Option<PasswordAlgorithm>,
    next: u8,
}

impl Modern {
    fn new(name: &str, password: &str) -> Self {
        let path = Path {
            transport: Transport::Tcp,
            link: LinkId(7),
            ..udp(CLIENT)
        };
        Self {
            path,
            name: name.into(),
            password: password.into(),
            nonce: Vec::new(),
            listed: None,
            chosen: None,
            next: 0,
        }
    }

    fn ann() -> Self {
        Self::new("ann", "secret of ann")
    }

    fn key(&self, integrity: Integrity) -> IntegrityKey {
        let by = match self.chosen {
            Some(PasswordAlgorithm::Sha256) => KeyAlgorithm::Sha256,
            _ => KeyAlgorithm::Md5,
        };
        let key = LongTermKey::derive_by(by, &self.name, REALM, &self.password);
        IntegrityKey::of(integrity, key.as_bytes())
    }

    fn begin(&mut self, method: Method) -> RequestBuilder {
        self.next += 1;
        let request = RequestBuilder::new(method, [self.next; 12]);
        if method == Method::ALLOCATE {
            request.requested_transport(17)
        } else {
            request
        }
    }

    /// Takes what a challenge says, and the best algorithm that it lists.
    fn learn(&mut self, answer: &Answer) {
        self.nonce = answer.attribute(NONCE).unwrap();
        self.listed = answer.attribute(ALGORITHMS);
        let first = self.listed.as_ref().map(|listed| listed[..4].to_vec());
        self.chosen = first.and_then(|value| PasswordAlgorithm::from_value(&value));
    }

    fn challenge(&mut self, world: &mut World) -> Answer {
        let request = self.begin(Method::ALLOCATE).finish(None, false);
        let answer = Answer::of(world.send(&self.path, &request));
        assert_eq!(answer.code(), Some(401));
        self.learn(&answer);
        answer
    }

    /// Everything but the name and the integrity.
    fn dress(&self, request: RequestBuilder) -> RequestBuilder {
        let mut request = request.realm(REALM).nonce(&self.nonce);
        if let Some(listed) = &self.listed {
            request = request.password_algorithms(listed);
        }
        match self.chosen {
            Some(chosen) => request.password_algorithm(chosen),
            None => request,
        }
    }

    fn ask(&mut self, world: &mut World, method: Method) -> Answer {
        let request = self.begin(method).username(&self.name);
        let key = self.key(Integrity::Sha256);
        let packet = self.dress(request).finish(Some(&key), false);
        Answer::of(world.send(&self.path, &packet))
    }
}

fn static_users() -> Config {
    let credentials = Credentials::new(REALM)
        .with_user("ann", "secret of ann")
        .with_user("bob", "secret of bob");
    Config {
        credentials: Arc::new(credentials),
        ..config()
    }
}

#[test]
fn the_challenge_on_a_stream_offers_all_that_there_is() {
    let mut world = World::new(config());
    let mut client = Modern::ann();
    let answer = client.challenge(&mut world);
    assert_eq!(answer.attribute(ALGORITHMS).as_deref(), Some(BOTH));
    // Bit 0 alone: secrets vouch for names that cannot be found by their hash.
    assert_eq!(&client.nonce[..13], b"obMatJos2gAAA");
    let mut world = World::new(static_users());
    client.challenge(&mut world);
    assert_eq!(&client.nonce[..13], b"obMatJos2wAAA");
}

#[test]
fn over_udp_no_challenge_is_longer_than_2_15_times_its_request() {
    let least_offered = |fingerprint: bool| {
        let mut offered = Vec::new();
        for filler in 0..20 {
            let mut world = World::new(config());
            let request = RequestBuilder::new(Method::ALLOCATE, [1; 12]).requested_transport(17);
            let request = match filler {
                0 => request,
                filler => request.software(&"x".repeat(4 * (filler - 1))),
            };
            let request = request.finish(None, fingerprint);
            let answer = Answer::of(world.send(&udp(CLIENT), &request));
            let (asked, answered) = (request.len(), answer.bytes.len());
            assert_eq!(answer.code(), Some(401));
            assert!(answered * 100 <= asked * 215, "{answered} for {asked}");
            let nonce = answer.attribute(NONCE).unwrap();
            let has_cookie = SecurityFeatures::of_nonce(&nonce).is_some();
            assert_eq!(has_cookie, answer.attribute(ALGORITHMS).is_some());
            if has_cookie {
                offered.push((asked, answered));
            }
        }
        offered.iter().min().copied()
    };
    // A browser's 28 bytes get 60, as `requests.rs` has it.
    assert_eq!(least_offered(false), Some((44, 88)));
    assert_eq!(least_offered(true), Some((48, 96)));
}

#[test]
fn a_session_by_sha256_is_signed_by_sha256_throughout() {
    let mut world = World::new(config());
    let mut client = Modern::ann();
    client.challenge(&mut world);
    assert_eq!(client.chosen, Some(PasswordAlgorithm::Sha256));
    let key = client.key(Integrity::Sha256);
    let answer = client.ask(&mut world, Method::ALLOCATE);
    assert_eq!(answer.code(), None);
    assert!(answer.signed_by(&key) && !answer.view().has_sha1_integrity());
    for method in [Method::REFRESH, Method::CHANNEL_BIND] {
        let answer = client.ask(&mut world, method);
        assert!(answer.signed_by(&key), "{method:?}: {:?}", answer.code());
    }
}

#[test]
fn md5_that_was_chosen_is_answered_by_sha256_and_md5_that_was_not_by_sha1() {
    // §9.2.4: MESSAGE-INTEGRITY-SHA256, unless the request has neither PASSWORD-ALGORITHMS nor PASSWORD-ALGORITHM.
    let mut world = World::new(config());
    let mut client = Modern::ann();
    client.challenge(&mut world);
    client.chosen = Some(PasswordAlgorithm::Md5);
    let answer = client.ask(&mut world, Method::ALLOCATE);
    assert!(answer.signed_by(&client.key(Integrity::Sha256)));
    (client.listed, client.chosen) = (None, None);
    let (strong, weak) = (client.key(Integrity::Sha256), client.key(Integrity::Sha1));
    let request = client.begin(Method::REFRESH).username("ann");
    let packet = client.dress(request).finish(Some(&weak), false);
    let answer = Answer::of(world.send(&client.path, &packet));
    assert!(answer.code().is_none() && answer.signed_by(&weak));
    let request = client.begin(Method::REFRESH).username("ann");
    let packet = client
        .dress(request)
        .sign(&weak)
        .finish(Some(&strong), true);
    let answer = Answer::of(world.send(&client.path, &packet));
    assert!(answer.code().is_none() && answer.signed_by(&weak));
    // Whoever sends MESSAGE-INTEGRITY-SHA256 alone can check nothing else.
    let answer = client.ask(&mut world, Method::REFRESH);
    assert!(answer.code().is_none() && answer.signed_by(&strong));
}

#[test]
fn of_two_integrities_the_stronger_one_has_to_be_right() {
    let mut world = World::new(config());
    let mut client = Modern::ann();
    client.challenge(&mut world);
    (client.listed, client.chosen) = (None, None);
    let weak = client.key(Integrity::Sha1);
    let wrong = IntegrityKey::of(Integrity::Sha256, b"wrong");
    let request = client.begin(Method::ALLOCATE).username("ann");
    let packet = client
        .dress(request)
        .sign(&weak)
        .finish(Some(&wrong), false);
    let answer = Answer::of(world.send(&client.path, &packet));
    assert_eq!(answer.code(), Some(401));
    assert!(!answer.view().has_integrity());
}

#[test]
fn without_name_realm_or_nonce_it_is_400_and_nothing_else_is_said() {
    let mut world = World::new(config());
    let mut client = Modern::ann();
    client.challenge(&mut world);
    let key = client.key(Integrity::Sha256);
    let new = || RequestBuilder::new(Method::ALLOCATE, [9; 12]).requested_transport(17);
    let hash = userhash("ann", REALM);
    for request in [
        new().realm(REALM).nonce(&client.nonce),
        new().username("ann").nonce(&client.nonce),
        new().username("ann").realm(REALM),
        new().userhash(&hash).realm(REALM),
        new()
            .attribute(0x001E, &hash[..31])
            .realm(REALM)
            .nonce(&client.nonce),
    ] {
        let packet = request.finish(Some(&key), false);
        let answer = Answer::of(world.send(&client.path, &packet));
        assert_eq!((answer.code(), answer.bytes.len()), (Some(400), 28));
    }
}

#[test]
fn algorithms_that_do_not_answer_the_challenge_are_400() {
    let mut world = World::new(config());
    let mut client = Modern::ann();
    client.challenge(&mut world);
    let (md5, sha256) = ([0, 1, 0, 0], [0, 2, 0, 0]);
    let key = client.key(Integrity::Sha256);
    let nonce = client.nonce.clone();
    let mut outcome = |listed: Option<&[u8]>, chosen: Option<&[u8]>, nonce: &[u8]| {
        let mut request = client.begin(Method::ALLOCATE).username("ann");
        request = request.realm(REALM).nonce(nonce);
        for (kind, value) in [(ALGORITHMS, listed), (0x001D, chosen)] {
            if let Some(value) = value {
                request = request.attribute(kind, value);
            }
        }
        let packet = request.finish(Some(&key), false);
        Answer::of(world.send(&client.path, &packet)).code()
    };
    assert_eq!(outcome(Some(BOTH), None, &nonce), Some(400));
    assert_eq!(outcome(None, Some(&sha256), &nonce), Some(400));
    assert_eq!(outcome(Some(&sha256), Some(&sha256), &nonce), Some(400));
    assert_eq!(outcome(Some(&md5), Some(&md5), &nonce), Some(400));
    assert_eq!(outcome(Some(BOTH), Some(&[0, 3, 0, 0]), &nonce), Some(400));
    assert_eq!(outcome(Some(BOTH), Some(&[0, 2]), &nonce), Some(400));
    // The bid-down: whoever changes the cookie spoils the nonce.
    let stripped = [b"obMatJos2AAAA", &nonce[13..]].concat();
    assert_eq!(outcome(None, None, &stripped), Some(438));
    assert_eq!(outcome(None, None, &nonce[13..]), Some(438));
    assert_eq!(outcome(Some(BOTH), Some(&sha256), &nonce), None);
}

#[test]
fn choosing_where_nothing_was_offered_is_400() {
    let mut world = World::new(config());
    let mut client = Modern::ann();
    client.path = udp(CLIENT);
    client.challenge(&mut world);
    assert!(client.nonce.len() == 16 && client.listed.is_none());
    client.chosen = Some(PasswordAlgorithm::Sha256);
    assert_eq!(client.ask(&mut world, Method::ALLOCATE).code(), Some(400));
    client.listed = Some(BOTH.to_vec());
    assert_eq!(client.ask(&mut world, Method::ALLOCATE).code(), Some(400));
    (client.listed, client.chosen) = (None, None);
    assert_eq!(client.ask(&mut world, Method::ALLOCATE).code(), None);
}

#[test]
fn a_stale_nonce_is_438_with_all_that_a_new_attempt_needs() {
    let mut world = World::new(config());
    let mut client = Modern::ann();
    client.challenge(&mut world);
    client.ask(&mut world, Method::ALLOCATE);
    world.pass(Duration::from_secs(601 - 20));
    assert_eq!(client.ask(&mut world, Method::REFRESH).code(), None);
    world.pass(Duration::from_secs(21));
    let answer = client.ask(&mut world, Method::REFRESH);
    assert_eq!(answer.code(), Some(438));
    assert_eq!(answer.attribute(0x0014).as_deref(), Some(REALM.as_bytes()));
    assert_ne!(answer.attribute(NONCE), Some(client.nonce.clone()));
    assert!(answer.attribute(0x0006).is_none() && answer.attribute(0x001E).is_none());
    client.learn(&answer);
    assert_eq!(client.listed.as_deref(), Some(BOTH));
    assert_eq!(client.ask(&mut world, Method::REFRESH).code(), None);
}

#[test]
fn a_wrong_algorithm_list_comes_before_a_stale_nonce() {
    // §9.2.4 has the checks in this order.
    let mut world = World::new(config());
    let mut client = Modern::ann();
    client.challenge(&mut world);
    world.pass(Duration::from_secs(601));
    client.listed = None;
    assert_eq!(client.ask(&mut world, Method::ALLOCATE).code(), Some(400));
}

/// Asks by USERHASH for somebody, and says what came back.
fn by_hash(world: &mut World, client: &mut Modern, hash: &[u8; 32]) -> Answer {
    let request = client.begin(Method::ALLOCATE).userhash(hash);
    let key = client.key(Integrity::Sha256);
    let packet = client.dress(request).finish(Some(&key), false);
    Answer::of(world.send(&client.path, &packet))
}

#[test]
fn users_are_found_by_their_hash_and_stay_the_same_user() {
    let mut world = World::new(static_users());
    let mut client = Modern::ann();
    client.challenge(&mut world);
    let hash = userhash("ann", REALM);
    let answer = by_hash(&mut world, &mut client, &hash);
    assert_eq!(answer.code(), None);
    assert!(answer.attribute(0x0006).is_none() && answer.attribute(0x001E).is_none());
    // By name or by hash, it is her allocation; and nobody else's.
    assert_eq!(client.ask(&mut world, Method::REFRESH).code(), None);
    let key = client.key(Integrity::Sha256);
    let request = client.begin(Method::REFRESH).userhash(&hash);
    let packet = client.dress(request).finish(Some(&key), false);
    assert_eq!(Answer::of(world.send(&client.path, &packet)).code(), None);
    let mut bob = Modern::new("bob", "secret of bob");
    (bob.nonce, bob.listed, bob.chosen) =
        (client.nonce.clone(), client.listed.clone(), client.chosen);
    bob.next = 100;
    let key = bob.key(Integrity::Sha256);
    let request = bob.begin(Method::REFRESH).userhash(&userhash("bob", REALM));
    let packet = bob.dress(request).finish(Some(&key), false);
    assert_eq!(Answer::of(world.send(&bob.path, &packet)).code(), Some(441));
}

#[test]
fn unknown_hash_and_wrong_password_look_the_same() {
    let mut answers = Vec::new();
    for (name, password, hash) in [
        ("ann", "wrong", userhash("ann", REALM)),
        ("ann", "secret of ann", userhash("nobody", REALM)),
        ("ann", "secret of ann", userhash("ann", "else.org")),
        ("ann", "secret of ann", [0; 32]),
    ] {
        let mut world = World::new(static_users());
        let mut client = Modern::new(name, password);
        client.challenge(&mut world);
        let answer = by_hash(&mut world, &mut client, &hash);
        assert_eq!(answer.code(), Some(401));
        answers.push(answer.bytes);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[test]
fn hashes_of_time_limited_names_find_nobody_and_are_not_asked_for() {
    let mut world = World::new(config());
    let minted = rest::mint(SECRET, "carol", 600, world.now().unix, ':');
    let mut client = Modern::new(&minted.username, &minted.password);
    client.challenge(&mut world);
    let offered = SecurityFeatures::of_nonce(&client.nonce).unwrap();
    assert!(!offered.username_anonymity);
    let hash = userhash(&minted.username, REALM);
    assert_eq!(by_hash(&mut world, &mut client, &hash).code(), Some(401));
    assert_eq!(client.ask(&mut world, Method::ALLOCATE).code(), None);
    // From then on there is a name that it can stand for.
    let key = client.key(Integrity::Sha256);
    let request = client.begin(Method::REFRESH).userhash(&hash);
    let packet = client.dress(request).finish(Some(&key), false);
    assert_eq!(Answer::of(world.send(&client.path, &packet)).code(), None);
}

#[test]
fn a_user_with_nothing_but_an_md5_key_leaves_md5_alone_on_the_list() {
    let key = LongTermKey::derive("dora", REALM, "secret of dora");
    let credentials = Credentials::new(REALM)
        .with_key("dora", key)
        .with_secret(Secret::new(SECRET.to_vec()));
    let mut world = World::new(Config {
        credentials: Arc::new(credentials),
        ..config()
    });
    let mut client = Modern::new("dora", "secret of dora");
    client.challenge(&mut world);
    assert_eq!(client.listed.as_deref(), Some(&[0, 1, 0, 0][..]));
    let answer = client.ask(&mut world, Method::ALLOCATE);
    assert!(answer.code().is_none() && answer.signed_by(&client.key(Integrity::Sha256)));
}

#[test]
fn where_the_driver_is_asked_for_keys_md5_is_all_that_is_offered() {
    let mut world = World::new(Config {
        access: Access::Asked,
        ..static_users()
    });
    let mut client = Modern::ann();
    client.challenge(&mut world);
    assert_eq!(client.listed.as_deref(), Some(&[0, 1, 0, 0][..]));
    assert_eq!(&client.nonce[..13], b"obMatJos2gAAA");
}

#[test]
fn a_call_outlives_its_credential_whatever_the_algorithm() {
    let mut world = World::new(config());
    let minted = rest::mint(SECRET, "carol", 60, world.now().unix, ':');
    let mut client = Modern::new(&minted.username, &minted.password);
    client.challenge(&mut world);
    client.chosen = Some(PasswordAlgorithm::Md5);
    assert_eq!(client.ask(&mut world, Method::ALLOCATE).code(), None);
    world.pass(Duration::from_secs(61));
    for chosen in [PasswordAlgorithm::Md5, PasswordAlgorithm::Sha256] {
        client.chosen = Some(chosen);
        assert_eq!(client.ask(&mut world, Method::REFRESH).code(), None);
    }
    let mut late = Modern::new(&minted.username, &minted.password);
    late.path.link = LinkId(8);
    late.path.client.set_port(40_001);
    late.challenge(&mut world);
    assert_eq!(late.ask(&mut world, Method::ALLOCATE).code(), Some(401));
}

#[test]
fn a_session_that_is_handed_over_keeps_how_its_key_was_made() {
    let mut old = World::new(config());
    let minted = rest::mint(SECRET, "carol", 60, old.now().unix, ':');
    let mut client = Modern::new(&minted.username, &minted.password);
    client.challenge(&mut old);
    assert_eq!(client.ask(&mut old, Method::ALLOCATE).code(), None);
    let records = old.relay.export(old.now());
    let secret = records[0].key.as_ref().unwrap();
    assert_eq!(secret.origin, KeyOrigin::Password(KeyAlgorithm::Sha256));
    assert_eq!(
        (secret.integrity, secret.bytes.len()),
        (Integrity::Sha256, 32)
    );
    // There nobody knows her: the key in the record is all that proves her.
    let mut new = World::new(static_users());
    new.now = old.now;
    new.relay.import(new.now(), &records[0]).unwrap();
    assert!(new.relay.export(new.now()) == records);
    client.challenge_again(&mut new);
    let answer = client.ask(&mut new, Method::REFRESH);
    assert!(answer.code().is_none() && answer.signed_by(&client.key(Integrity::Sha256)));
    // And by no other algorithm.
    client.chosen = Some(PasswordAlgorithm::Md5);
    assert_eq!(client.ask(&mut new, Method::REFRESH).code(), Some(401));
}

impl Modern {
    /// Asks without credentials on a 5-tuple that has an allocation.
    fn challenge_again(&mut self, world: &mut World) {
        let request = self.begin(Method::REFRESH).finish(None, false);
        let answer = Answer::of(world.send(&self.path, &request));
        assert_eq!(answer.code(), Some(401));
        self.learn(&answer);
    }
}

#[test]
fn nothing_behind_sha256_integrity_is_obeyed() {
    let mut world = World::new(config());
    let mut client = Modern::ann();
    client.challenge(&mut world);
    client.ask(&mut world, Method::ALLOCATE);
    let key = client.key(Integrity::Sha256);
    let request = client.begin(Method::REFRESH).username("ann").lifetime(900);
    let packet = client
        .dress(request)
        .sign(&key)
        .lifetime(0)
        .finish(None, true);
    let answer = Answer::of(world.send(&client.path, &packet));
    assert_eq!((answer.code(), answer.lifetime()), (None, 900));
}

#[test]
fn all_unknown_attributes_are_listed_once_in_their_order_in_a_signed_420() {
    let mut world = World::new(config());
    let mut client = Client::ann(CLIENT);
    client.allocate(&mut world);
    let answer = client.ask(&mut world, Method::REFRESH, |request| {
        [
            0x7F02, 0x0101, 0xFF05, 0x7F02, 0x001B, 0x0101, 0x8055, 0x7FFF,
        ]
        .iter()
        .fold(request, |request, kind| request.attribute(*kind, b"x"))
    });
    assert_eq!(answer.code(), Some(420));
    // ACCESS-TOKEN is unknown where no tokens are accepted; 0x8000 and above need not be understood.
    assert_eq!(
        answer.attribute(0x000A).as_deref(),
        Some(&[0x7F, 0x02, 0x01, 0x01, 0x00, 0x1B, 0x7F, 0xFF][..])
    );
    assert!(answer.signed_by(&client.key));
    let longest = answer_to_every_kind(&mut client, &mut world);
    assert_eq!(longest, 15_000);
}

/// How many kinds are listed for a request that has fifteen thousand unknown ones, each twice over.
fn answer_to_every_kind(client: &mut Client, world: &mut World) -> usize {
    let answer = client.ask(world, Method::REFRESH, |request| {
        (0x4000..0x4000 + 15_000).fold(request, |request, kind| request.attribute(kind, b""))
    });
    assert_eq!(answer.code(), Some(420));
    answer.attribute(0x000A).unwrap().len() / 2
}

#[test]
fn fingerprint_goes_behind_sha256_integrity() {
    let mut world = World::new(config());
    let mut client = Modern::ann();
    client.challenge(&mut world);
    let key = client.key(Integrity::Sha256);
    let request = client.begin(Method::ALLOCATE).username("ann");
    let packet = client.dress(request).finish(Some(&key), true);
    let answer = Answer::of(world.send(&client.path, &packet));
    assert!(answer.code().is_none() && answer.signed_by(&key));
    assert_eq!(answer.view().fingerprint(), turn_wire::Fingerprint::Right);
}
