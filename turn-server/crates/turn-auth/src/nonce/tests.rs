//! Tests of nonces.

use super::*;
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000;
const LIFETIME: u64 = 600;

fn key() -> NonceKey {
    NonceKey::new(std::array::from_fn(|index| index as u8))
}

fn client() -> SocketAddr {
    "192.0.2.1:49152".parse().unwrap()
}

fn plain(now: u64) -> Nonce {
    key().issue(client(), 0, now, None)
}

fn offer(algorithms: &[u8]) -> Option<Offer<'_>> {
    let features = SecurityFeatures {
        password_algorithms: !algorithms.is_empty(),
        username_anonymity: true,
    };
    Some(Offer {
        features,
        algorithms,
    })
}

fn verdict_at(now: u64, lifetime: u64) -> NonceVerdict {
    key().check(plain(NOW).as_bytes(), client(), 0, now, lifetime, &[])
}

#[test]
fn nonces_are_the_ones_another_implementation_computes() {
    // Written out in Python: SipHash-2-4 by its paper, keyed 00 01 … 0f, over family, address padded to 16, port, transport, seconds.
    assert_eq!(plain(NOW).as_bytes(), b"ZVPxAEfsEAmDe90N");
    assert_eq!(
        key()
            .issue("[2001:db8::1]:49152".parse().unwrap(), 1, NOW, None)
            .as_bytes(),
        b"ZVPxAPcfM01rReyY"
    );
}

#[test]
fn nonce_is_fresh_to_the_last_second_of_its_lifetime() {
    assert_eq!(verdict_at(NOW, LIFETIME), NonceVerdict::Fresh);
    assert_eq!(verdict_at(NOW + LIFETIME, LIFETIME), NonceVerdict::Fresh);
    assert_eq!(
        verdict_at(NOW + LIFETIME + 1, LIFETIME),
        NonceVerdict::Stale
    );
}

#[test]
fn nonce_from_the_future_is_fresh_within_the_skew_only() {
    assert_eq!(verdict_at(NOW - 5, LIFETIME), NonceVerdict::Fresh);
    assert_eq!(verdict_at(NOW - 6, LIFETIME), NonceVerdict::Stale);
}

#[test]
fn lifetime_of_zero_never_ends() {
    for now in [0, NOW - 100, NOW + 1, NOW + 1_000_000_000, u64::MAX] {
        assert_eq!(verdict_at(now, 0), NonceVerdict::Fresh, "{now}");
    }
}

#[test]
fn lifetime_of_any_length_is_judged_without_overflow() {
    assert_eq!(
        verdict_at(NOW + 2_000_000_000, u64::MAX),
        NonceVerdict::Fresh
    );
    assert_eq!(verdict_at(u64::MAX, 1), NonceVerdict::Stale);
}

#[test]
fn ages_are_right_across_the_wrap_of_32_bits() {
    let before = u64::from(u32::MAX) - 10;
    let nonce = plain(before);
    assert_eq!(
        key().check(nonce.as_bytes(), client(), 0, before + 100, LIFETIME, &[]),
        NonceVerdict::Fresh
    );
    assert_eq!(
        key().check(nonce.as_bytes(), client(), 0, before + 601, LIFETIME, &[]),
        NonceVerdict::Stale
    );
}

#[test]
fn nonce_of_another_address_port_transport_or_key_is_foreign() {
    let nonce = plain(NOW);
    let nonce = nonce.as_bytes();
    let check = |client: &str, transport| {
        key().check(
            nonce,
            client.parse().unwrap(),
            transport,
            NOW,
            LIFETIME,
            &[],
        )
    };
    assert_eq!(check("192.0.2.1:49152", 0), NonceVerdict::Fresh);
    assert_eq!(check("192.0.2.2:49152", 0), NonceVerdict::Foreign);
    assert_eq!(check("192.0.2.1:49153", 0), NonceVerdict::Foreign);
    assert_eq!(check("192.0.2.1:49152", 1), NonceVerdict::Foreign);
    assert_eq!(check("[::ffff:192.0.2.1]:49152", 0), NonceVerdict::Foreign);
    let other = NonceKey::new([9; 16]);
    assert_eq!(
        other.check(nonce, client(), 0, NOW, LIFETIME, &[]),
        NonceVerdict::Foreign
    );
}

#[test]
fn servers_that_share_a_secret_accept_each_others_nonces() {
    let nonce = NonceKey::from_secret(b"shared").issue(client(), 0, NOW, None);
    let verdict = |secret: &[u8]| {
        NonceKey::from_secret(secret).check(nonce.as_bytes(), client(), 0, NOW, LIFETIME, &[])
    };
    assert_eq!(verdict(b"shared"), NonceVerdict::Fresh);
    for other in [&b"Shared"[..], b"", b"shared\0"] {
        assert_eq!(verdict(other), NonceVerdict::Foreign);
    }
}

#[test]
fn bytes_that_are_no_nonce_are_foreign() {
    let ours = plain(NOW);
    let ours = ours.as_bytes();
    let longer = [ours, b"="].concat();
    let with_cookie = [b"obMatJos2AAAA", ours].concat();
    for nonce in [
        &b""[..],
        &ours[..15],
        &longer,
        &with_cookie,
        &with_cookie[..13],
        b"ZVPxAEfsEAmDe9+N",
        b"f//499k954d6OL34oL9FSTvy64sA",
        &[0xFF; 16],
        &[0; 16],
    ] {
        assert_eq!(
            key().check(nonce, client(), 0, NOW, 0, &[]),
            NonceVerdict::Foreign,
            "{nonce:?}"
        );
    }
}

proptest! {
    #[test]
    fn nonces_are_printable_and_fresh_for_their_client(
        ip in any::<IpAddr>(), port in any::<u16>(), transport in any::<u8>(), now in any::<u64>(), secret in any::<[u8; 16]>(),
    ) {
        let key = NonceKey::new(secret);
        let client = SocketAddr::new(ip, port);
        for offer in [None, offer(&[]), offer(&[0, 1, 0, 0])] {
            let listed = offer.map_or(&[][..], |offer| offer.algorithms);
            let nonce = key.issue(client, transport, now, offer);
            let nonce = nonce.as_bytes();
            prop_assert!(nonce.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)));
            prop_assert_eq!(key.check(nonce, client, transport, now, LIFETIME, listed), NonceVerdict::Fresh);
            prop_assert_eq!(SecurityFeatures::of_nonce(nonce), offer.map(|offer| offer.features));
        }
    }

    #[test]
    fn nonce_changed_in_one_bit_is_foreign(at in 0..16_usize, bit in 0..8_u8) {
        let mut nonce = plain(NOW).as_bytes().to_vec();
        nonce[at] ^= 1 << bit;
        prop_assert_eq!(key().check(&nonce, client(), 0, NOW, 0, &[]), NonceVerdict::Foreign);
    }

    #[test]
    fn nonce_with_a_cookie_changed_in_one_bit_is_foreign(at in 0..29_usize, bit in 0..8_u8) {
        let mut nonce = key().issue(client(), 0, NOW, offer(&[0, 1, 0, 0])).as_bytes().to_vec();
        nonce[at] ^= 1 << bit;
        prop_assert_eq!(key().check(&nonce, client(), 0, NOW, 0, &[0, 1, 0, 0]), NonceVerdict::Foreign);
    }
}

#[test]
fn features_cannot_be_taken_out_of_a_nonce_or_put_into_one() {
    // RFC 8489 §9.2.1: the bid-down attack of whoever changes a challenge on its way.
    let (md5, both) = ([0, 1, 0, 0], [0, 2, 0, 0, 0, 1, 0, 0]);
    let nonce = key().issue(client(), 0, NOW, offer(&both));
    let nonce = nonce.as_bytes();
    assert_eq!((nonce.len(), &nonce[..13]), (29, &b"obMatJos2wAAA"[..]));
    let check =
        |nonce: &[u8], listed: &[u8]| key().check(nonce, client(), 0, NOW, LIFETIME, listed);
    assert_eq!(check(nonce, &both), NonceVerdict::Fresh);
    assert_eq!(check(&nonce[13..], &both), NonceVerdict::Foreign);
    for cookie in ["obMatJos2AAAA", "obMatJos2gAAA", "obMatJos2QAAA"] {
        let changed = [cookie.as_bytes(), &nonce[13..]].concat();
        assert_eq!(check(&changed, &both), NonceVerdict::Foreign, "{cookie}");
    }
    assert_eq!(check(nonce, &md5), NonceVerdict::Foreign);
    let bare = key().issue(client(), 0, NOW, offer(&[]));
    assert_eq!(check(bare.as_bytes(), &both), NonceVerdict::Fresh);
}
