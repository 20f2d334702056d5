//! Who has no key gets nothing, and nothing is obeyed that no key vouches for.

use arbitrary::{Result, Unstructured};
use turn_wire::{Class, Integrity, IntegrityKey, Method, Packet, RequestBuilder, attr};

use crate::{
    bytes,
    support::{Answer, Client, Got, World, config},
};

const METHODS: [Method; 8] = [
    Method::ALLOCATE,
    Method::REFRESH,
    Method::CREATE_PERMISSION,
    Method::CHANNEL_BIND,
    Method::CONNECT,
    Method::CONNECTION_BIND,
    Method::BINDING,
    Method::SEND,
];

/// The first byte chooses the attack.
pub(crate) fn run(data: &[u8]) {
    let mut source = Unstructured::new(data);
    // Too few bytes for a whole attack are no attack.
    let _ = match source.arbitrary::<u8>().unwrap_or_default() & 1 {
        0 => forge(&mut source),
        _ => append(&mut source),
    };
}

/// Requests with a genuine nonce, a user's real name and anything else, signed with a key that is not the user's.
fn forge(source: &mut Unstructured<'_>) -> Result<()> {
    let mut world = World::new(config());
    let mut thief = Client::ann("192.0.2.66:6666");
    thief.challenge(&mut world);
    for _ in 0..=source.arbitrary::<u8>()? & 3 {
        let method = METHODS[source.choose_index(METHODS.len())?];
        let mut message = RequestBuilder::new(method, thief.id());
        for (chance, kind, value) in [
            (1, attr::USERNAME, b"ann".as_slice()),
            (2, attr::REALM, crate::support::REALM.as_bytes()),
            (4, attr::NONCE, thief.nonce.as_slice()),
            (8, attr::REQUESTED_TRANSPORT, &[17, 0, 0, 0]),
        ] {
            if source.arbitrary::<u8>()? & chance != 0 {
                message = message.attribute(kind, value);
            }
        }
        let message = bytes::attributes(source, message)?;
        let guess = source.arbitrary::<[u8; 5]>()?;
        let mut packet = message.finish(
            source
                .arbitrary::<bool>()?
                .then(|| IntegrityKey::new(&guess))
                .as_ref(),
            source.arbitrary()?,
        );
        packet.extend(bytes::encoded(source)?);
        bytes::set_length(&mut packet);
        gets_nothing(&mut world, &thief, &packet);
    }
    let raw = source.bytes(source.len())?.to_vec();
    gets_nothing(&mut world, &thief, &raw);
    Ok(())
}

fn gets_nothing(world: &mut World, thief: &Client, packet: &[u8]) {
    match world.send(&thief.path, packet) {
        Got::Nothing => {}
        Got::ToPeer { .. } => panic!("relayed for a stranger"),
        got @ Got::Reply(_) => {
            let answer = Answer::of(got);
            let binding = answer.view().method() == Method::BINDING;
            assert!(binding || answer.view().class() == Class::Error);
            assert!(!answer.view().has_integrity());
        }
    }
    assert!(world.bound.is_empty() && world.shared.ports.claimed() == 0);
    assert_eq!(
        (world.shared.quotas.count(), world.relay.poll_timeout()),
        (0, None)
    );
}

/// A user's request, and the same with attributes behind its integrity: nothing but the bytes is different.
fn append(source: &mut Unstructured<'_>) -> Result<()> {
    let (mut plain, mut attacked) = (World::new(config()), World::new(config()));
    let (mut ann, mut twin) = (Client::ann("192.0.2.7:7777"), Client::ann("192.0.2.7:7777"));
    assert_eq!(ann.allocate(&mut plain), twin.allocate(&mut attacked));
    ann.permit(&mut plain, "203.0.113.5:9");
    twin.permit(&mut attacked, "203.0.113.5:9");
    for _ in 0..=source.arbitrary::<u8>()? & 3 {
        let method = METHODS[source.choose_index(4)?];
        let message = bytes::attributes(source, RequestBuilder::new(method, ann.id()))?;
        let packet = ann.sign(message);
        let mut longer = packet.clone();
        longer.extend(bytes::encoded(source)?);
        bytes::set_length(&mut longer);
        let (ours, theirs) = (
            plain.send(&ann.path, &packet),
            attacked.send(&twin.path, &longer),
        );
        // Wrong checksums and checksums that are not last make the whole message unreadable, and a MESSAGE-INTEGRITY-SHA256 behind
        // MESSAGE-INTEGRITY is the one that has to be right (RFC 8489 §9.2.4). One of a wrong length is none, and a request without is
        // told 437 where there is no allocation (any more).
        let forged = matches!(turn_wire::parse(&longer), Ok(Packet::Stun(view)) if view.integrity() != Some(Integrity::Sha1));
        let refused = |got: &Got| {
            Answer::of(got.clone())
                .code()
                .is_some_and(|code| matches!(code, 400 | 401 | 437 | 438))
        };
        assert!(
            ours == theirs || theirs == Got::Nothing || (forged && refused(&theirs)),
            "{ours:?} became {theirs:?}"
        );
        if theirs == Got::Nothing || forged {
            return Ok(());
        }
    }
    assert_eq!(
        plain.relay.stats().permissions,
        attacked.relay.stats().permissions
    );
    assert_eq!(plain.bound, attacked.bound);
    Ok(())
}
