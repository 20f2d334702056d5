//! Whatever is written is read back the same, by us and by the codec.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use stun::attributes::ATTR_XOR_PEER_ADDRESS;
use stun::message::{Getter, Message};
use turn::proto::peeraddr::PeerAddress;

use crate::support::{ID, view};
use turn_wire::{
    Class, Family, Fingerprint, IntegrityKey, Method, Request, RequestBuilder, Responder, attr,
};

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![
        Just(Family::V4),
        Just(Family::V6),
        (3..=255_u8).prop_map(Family::Other)
    ]
}

proptest! {
    #[test]
    fn requests_read_back_as_they_were_built(
        number in 0..=0xFFF_u16,
        id in any::<[u8; 12]>(),
        username in "\\PC{0,40}",
        realm in "[a-z.]{0,30}",
        nonce in prop::collection::vec(any::<u8>(), 0..40),
        transport in any::<u8>(),
        (requested, additional) in (family(), family()),
        (even_port, dont_fragment, fingerprint) in any::<(bool, bool, bool)>(),
        token in any::<[u8; 8]>(),
        (lifetime, channel) in any::<(u32, u16)>(),
        peers in prop::collection::vec(address(), 0..5),
        secret in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let method = Method::from_number(number).unwrap();
        let key = IntegrityKey::new(&secret);
        let mut builder = RequestBuilder::new(method, id)
            .username(&username)
            .realm(&realm)
            .nonce(&nonce)
            .requested_transport(transport)
            .requested_family(requested)
            .additional_family(additional)
            .even_port(even_port)
            .reservation_token(token)
            .lifetime(lifetime)
            .channel_number(channel);
        if dont_fragment {
            builder = builder.dont_fragment();
        }
        for &peer in &peers {
            builder = builder.xor_peer_address(peer);
        }
        let bytes = builder.finish(Some(&key), fingerprint);

        let view = view(&bytes);
        prop_assert_eq!((view.method(), view.class(), view.transaction_id()), (method, Class::Request, id));
        prop_assert_eq!(view.username(), Some(&username[..]));
        prop_assert_eq!(view.realm(), Some(&realm[..]));
        prop_assert_eq!(view.nonce(), Some(&nonce[..]));
        prop_assert!(view.has_integrity() && view.verify(&key));
        prop_assert_eq!(view.fingerprint(), if fingerprint { Fingerprint::Right } else { Fingerprint::Absent });
        let request = Request::decode(&view).unwrap();
        prop_assert_eq!((request.method(), request.transaction_id()), (method, id));
        prop_assert_eq!(request.requested_transport(), Ok(Some(transport)));
        prop_assert_eq!(request.requested_family(), Ok(Some(requested)));
        prop_assert_eq!(request.additional_family(), Ok(Some(additional)));
        prop_assert_eq!(request.even_port(), Ok(Some(even_port)));
        prop_assert_eq!(request.reservation_token(), Ok(Some(token)));
        prop_assert_eq!(request.dont_fragment(), dont_fragment);
        prop_assert_eq!(request.lifetime(), Ok(Some(lifetime)));
        prop_assert_eq!(request.channel_number(), Ok(Some(channel)));
        prop_assert_eq!(request.peer(), Ok(peers.first().copied()));
        prop_assert_eq!(request.peers(), Ok(peers));
    }

    #[test]
    fn answers_read_back_as_they_were_built(
        id in any::<[u8; 12]>(),
        code in 300..700_u16,
        reason in "\\PC{0,40}",
        (mapped, relayed) in (address(), address()),
        unknown in prop::collection::vec(any::<u16>(), 0..10),
        fingerprint in any::<bool>(),
        secret in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let key = IntegrityKey::new(&secret);
        let mut responder = Responder::new();
        let answer = responder.error(Method::ALLOCATE, id, code, &reason);
        let answer = answer.xor_mapped_address(mapped).xor_relayed_address(relayed).unknown_attributes(&unknown);
        let bytes = answer.finish(Some(&key), fingerprint);

        let view = view(bytes);
        prop_assert_eq!((view.method(), view.class(), view.transaction_id()), (Method::ALLOCATE, Class::Error, id));
        prop_assert_eq!(view.error_code(), Some(code));
        prop_assert_eq!(view.attribute(attr::ERROR_CODE).map(|value| &value[4..]), Some(reason.as_bytes()));
        prop_assert_eq!(view.xor_address(attr::XOR_MAPPED_ADDRESS), Some(mapped));
        prop_assert_eq!(view.xor_address(attr::XOR_RELAYED_ADDRESS), Some(relayed));
        let listed: Vec<u8> = unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
        prop_assert_eq!(view.attribute(attr::UNKNOWN_ATTRIBUTES), Some(&listed[..]));
        prop_assert!(view.verify(&key));
        prop_assert_eq!(view.fingerprint() == Fingerprint::Right, fingerprint);
    }

    /// Values of any length and family: where ours reads an address, the codec reads the same, and where the codec does, ours
    /// does or the value is short, which is why ours exists.
    #[test]
    fn addresses_are_read_as_the_codec_reads_them(
        family in prop_oneof![4 => 1..=2_u8, 1 => any::<u8>()],
        rest in prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 6..=6),
            4 => prop::collection::vec(any::<u8>(), 18..=18),
            1 => prop::collection::vec(any::<u8>(), 0..24),
        ],
    ) {
        let value = [&[0, family], &rest[..]].concat();
        let bytes = RequestBuilder::new(Method::CREATE_PERMISSION, ID).attribute(attr::XOR_PEER_ADDRESS, &value).finish(None, false);
        let ours = Request::decode(&view(&bytes)).unwrap().peer().ok().flatten();
        let mut message = Message::new();
        message.unmarshal_binary(&bytes).unwrap();
        prop_assert!(message.contains(ATTR_XOR_PEER_ADDRESS));
        let mut peer = PeerAddress::default();
        let theirs = peer.get_from(&message).is_ok().then(|| SocketAddr::new(peer.ip, peer.port));
        match (ours, theirs) {
            (Some(ours), theirs) => prop_assert_eq!(Some(ours), theirs),
            (None, Some(_)) => {
                let whole = if family == 1 { 8 } else { 20 };
                prop_assert!(value.len() < whole);
            }
            (None, None) => {}
        }
    }
}
