//! Who is believed, and what requests are answered with.

use stun::{
    attributes::{ATTR_FINGERPRINT, ATTR_LIFETIME, AttrType},
    message::{
        BINDING_REQUEST, METHOD_ALLOCATE, METHOD_CREATE_PERMISSION, METHOD_REFRESH, Message,
    },
};

use super::{both, code, peer};
use crate::client::{add, transaction, udp};

// Who is believed.

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_401_and_no_bad_request() {
    let outcome = both(async |world| {
        let mut client = world.network.client("ann", "guess").await;
        code(client.ask(METHOD_ALLOCATE, udp()).await)
    });
    assert_eq!(outcome.await, (Some(401), Some(400)));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_user_is_401_and_no_bad_request() {
    let outcome = both(async |world| {
        let mut client = world.client("mallory").await;
        code(client.ask(METHOD_ALLOCATE, udp()).await)
    });
    assert_eq!(outcome.await, (Some(401), Some(400)));
}

#[tokio::test(start_paused = true)]
async fn a_realm_of_the_clients_own_is_not_believed() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        client.challenge().await.unwrap();
        client.set_realm("elsewhere");
        code(client.ask(METHOD_ALLOCATE, udp()).await)
    });
    assert_eq!(outcome.await, (Some(401), Some(200)));
}

#[tokio::test(start_paused = true)]
async fn an_allocation_belongs_to_whoever_made_it() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        client.allocate().await;
        client.user = "bob".to_owned();
        code(client.refresh(0).await)
    });
    assert_eq!(outcome.await, (Some(441), Some(200)));
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_not_remembered() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        let mut nonces = Vec::new();
        for _ in 0..3 {
            client.challenge().await.unwrap();
            nonces.push(client.nonce.clone());
        }
        // A nonce that is computed is the same within a second; one that is drawn has to be kept, for everybody who asks.
        nonces.dedup();
        nonces.len() < 3
    });
    assert_eq!(outcome.await, (true, false));
}

#[tokio::test(start_paused = true)]
async fn what_stands_behind_the_integrity_is_not_obeyed() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        client.allocate().await;
        let mut request = client.write(METHOD_REFRESH, &Vec::new());
        // RFC 8489 §14.5: whoever sits between may append this, without any key.
        add(&mut request, ATTR_LIFETIME, &0_u32.to_be_bytes());
        client.exchange(&request).await.unwrap();
        world.server.infos().await.len()
    });
    assert_eq!(outcome.await, (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_fingerprint_is_no_message_of_ours() {
    let outcome = both(async |world| {
        let client = world.client("ann").await;
        let mut request = Message::new();
        request
            .build(&[Box::new(BINDING_REQUEST), Box::new(transaction())])
            .unwrap();
        add(&mut request, ATTR_FINGERPRINT, &[1, 2, 3, 4]);
        client.exchange(&request).await.is_some()
    });
    assert_eq!(outcome.await, (false, true));
}

// What is answered.

#[tokio::test(start_paused = true)]
async fn requests_without_an_allocation_are_answered() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        client.challenge().await.unwrap();
        [
            code(client.refresh(600).await),
            code(client.permit(&[peer(5000)]).await),
            code(client.bind(0x4000, peer(5000)).await),
        ]
    });
    let theirs = [None, None, None];
    assert_eq!(outcome.await, ([Some(437), Some(437), Some(437)], theirs));
}

#[tokio::test(start_paused = true)]
async fn an_allocate_request_that_is_sent_again_gets_the_same_answer() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        client.challenge().await.unwrap();
        let request = client.write(METHOD_ALLOCATE, &udp());
        let first = client.exchange(&request).await.unwrap();
        let second = client.exchange(&request).await.unwrap();
        (second.code(), second.0.raw == first.0.raw)
    });
    assert_eq!(outcome.await, ((None, true), (Some(437), false)));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_attribute_that_must_be_understood_is_420() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        let mut attributes = udp();
        attributes.push((AttrType(0x7FFE), vec![0; 4]));
        code(client.ask(METHOD_ALLOCATE, attributes).await)
    });
    assert_eq!(outcome.await, (Some(420), Some(200)));
}

#[tokio::test(start_paused = true)]
async fn error_responses_have_a_code() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        client.allocate().await;
        code(client.ask(METHOD_CREATE_PERMISSION, Vec::new()).await)
    });
    assert_eq!(outcome.await, (Some(400), Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_second_family_is_answered_with_why_it_is_missing() {
    let outcome = both(async |world| {
        let mut client = world.client("ann").await;
        let mut attributes = udp();
        attributes.push((AttrType(0x8000), vec![2, 0, 0, 0]));
        let answer = client.ask(METHOD_ALLOCATE, attributes).await.unwrap();
        let why = answer
            .0
            .attributes
            .0
            .iter()
            .any(|held| held.typ.0 == 0x8001);
        (answer.code(), why)
    });
    assert_eq!(outcome.await, ((None, true), (None, false)));
}
