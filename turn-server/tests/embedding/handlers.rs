//! Users: what the program's handler is told, what its answers lead to, and that it may be slow, or wrong in any way.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use stun::message::METHOD_ALLOCATE;
use turn::{
    Error,
    auth::{AuthHandler, LongTermAuthHandler, generate_auth_key, generate_long_term_credentials},
};
use turn_server::Server;

use crate::{
    client::udp,
    network::{Make, Network, Pass, REALM, World, config},
};

/// A handler that is a function.
struct Function<F>(F);

impl<F: Fn(&str, &str, SocketAddr) -> Result<Vec<u8>, Error>> AuthHandler for Function<F> {
    fn auth_handle(&self, user: &str, realm: &str, from: SocketAddr) -> Result<Vec<u8>, Error> {
        (self.0)(user, realm, from)
    }
}

async fn world(
    handler: impl Fn(&str, &str, SocketAddr) -> Result<Vec<u8>, Error> + Send + Sync + 'static,
) -> World {
    World::with(Make::Ours, |config| {
        config.auth_handler = Arc::new(Function(handler))
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn the_handler_is_told_user_realm_and_address_once_per_allocation() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let world = world(move |user: &str, realm: &str, from| {
        tell.lock()
            .unwrap()
            .push((user.to_owned(), realm.to_owned(), from));
        Ok(generate_auth_key(user, realm, "pass"))
    });
    let world = world.await;
    let mut client = world.client("ann").await;
    client.allocate().await;
    for _ in 0..5 {
        client.refresh(600).await.unwrap();
    }
    let from = client.mapped().await.unwrap();
    let expected = ("ann".to_owned(), REALM.to_owned(), from);
    assert_eq!(*told.lock().unwrap(), [expected]);
}

#[tokio::test(start_paused = true)]
async fn a_key_need_not_be_an_md5() {
    let world = world(|_: &str, _: &str, _| Ok(b"ABC".to_vec())).await;
    let mut client = world.client("ann").await;
    client.challenge().await.unwrap();
    let mut request = stun::message::Message::new();
    let unsigned = {
        let nonce = std::mem::take(&mut client.nonce);
        let message = client.write(METHOD_ALLOCATE, &udp());
        client.nonce = nonce;
        message
    };
    request.unmarshal_binary(&unsigned.raw).unwrap();
    for (kind, text) in [
        (stun::attributes::ATTR_USERNAME, "ann"),
        (stun::attributes::ATTR_REALM, REALM),
        (stun::attributes::ATTR_NONCE, &client.nonce),
    ] {
        request.add(kind, text.as_bytes());
    }
    let integrity = stun::integrity::MessageIntegrity(b"ABC".to_vec());
    stun::message::Setter::add_to(&integrity, &mut request).unwrap();
    assert_eq!(client.exchange(&request).await.unwrap().code(), None);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_user_is_answered_like_a_wrong_password() {
    let world = World::new(Make::Ours).await;
    let mut answers = Vec::new();
    for (user, password) in [("mallory", "pass"), ("ann", "guess")] {
        let mut client = world.network.client(user, password).await;
        let answer = client.ask(METHOD_ALLOCATE, udp()).await.unwrap();
        let attributes = answer
            .0
            .attributes
            .0
            .iter()
            .map(|held| (held.typ.value(), held.length));
        answers.push((answer.code(), attributes.collect::<Vec<_>>()));
    }
    assert_eq!(answers[0].0, Some(401));
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_knows_nobody() {
    let world = world(|user: &str, realm: &str, _| {
        assert_ne!(user, "ann", "the handler's own mistake");
        Ok(generate_auth_key(user, realm, "pass"))
    });
    let world = world.await;
    let answer = world.client("ann").await.ask(METHOD_ALLOCATE, udp()).await;
    assert_eq!(answer.unwrap().code(), Some(401));
    world.client("bob").await.allocate().await;
}

/// A server whose handler waits until the sender is dropped, and how often it was asked.
async fn blocked() -> (World, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (gate, closed) = mpsc::channel::<()>();
    let (closed, asked) = (Mutex::new(closed), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let world = world(move |user: &str, realm: &str, _| {
        count.fetch_add(1, Ordering::Relaxed);
        let _ = closed.lock().unwrap().recv();
        Ok(generate_auth_key(user, realm, "pass"))
    });
    (world.await, gate, asked)
}

#[tokio::test]
async fn a_handler_that_blocks_holds_up_nobody_else() {
    let (world, gate, _) = blocked().await;
    let mut ann = world.client("ann").await;
    ann.challenge().await.unwrap();
    let request = ann.write(METHOD_ALLOCATE, &udp());
    ann.throw(&request.raw).await;
    for _ in 0..10 {
        assert!(world.client("bob").await.mapped().await.is_some());
    }
    drop(gate);
    // The retransmission gets the one answer.
    assert_eq!(ann.exchange(&request).await.unwrap().code(), None);
}

#[tokio::test]
async fn no_more_than_so_many_requests_wait_for_a_handler() {
    let (world, gate, asked) = blocked().await;
    let mut ann = world.client("ann").await;
    ann.challenge().await.unwrap();
    for round in 0..1500 {
        ann.throw(&ann.write(METHOD_ALLOCATE, &udp()).raw).await;
        if round % 100 == 0 {
            // An answer says that everything before it has been read.
            ann.mapped().await.unwrap();
        }
    }
    ann.mapped().await.unwrap();
    drop(gate);
    while asked.load(Ordering::Relaxed) < 1024 {
        tokio::task::yield_now().await;
    }
    ann.refresh(600).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1024);
}

#[tokio::test(start_paused = true)]
async fn the_crates_time_limited_credentials_work() {
    let secret = "the program's secret".to_owned();
    let handler = LongTermAuthHandler::new(secret.clone());
    let world = World::with(Make::Ours, |config| config.auth_handler = Arc::new(handler)).await;
    let (user, password) =
        generate_long_term_credentials(&secret, Duration::from_secs(60)).unwrap();
    world
        .network
        .client(&user, &password)
        .await
        .allocate()
        .await;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let mut late = world
        .network
        .client(&(now - 60).to_string(), &password)
        .await;
    assert_eq!(
        late.ask(METHOD_ALLOCATE, udp()).await.unwrap().code(),
        Some(401)
    );
}

#[tokio::test(start_paused = true)]
async fn users_and_secrets_of_the_builder_are_believed_beside_the_handler() {
    let network = Network::new().await;
    let _server = Server::builder()
        .config(config(network.listen().await, network.generator()))
        .user("carol", "of the builder")
        .start()
        .unwrap();
    network
        .client("carol", "of the builder")
        .await
        .allocate()
        .await;
    network.client("dave", "pass").await.allocate().await;
}

#[tokio::test(start_paused = true)]
async fn a_conn_without_a_handler_has_the_builders_users() {
    let network = Network::new().await;
    let _server = Server::builder()
        .conn(network.listen().await)
        .relay_address_generator(network.generator())
        .user("carol", "of the builder")
        .start()
        .unwrap();
    network
        .client("carol", "of the builder")
        .await
        .allocate()
        .await;
    let mut dave = network.client("dave", "pass").await;
    assert_eq!(
        dave.ask(METHOD_ALLOCATE, udp()).await.unwrap().code(),
        Some(401)
    );
}

#[tokio::test(start_paused = true)]
async fn a_conn_with_nobody_to_believe_does_not_start() {
    let network = Network::new().await;
    let builder = Server::builder().conn(network.listen().await);
    assert!(builder.start().is_err());
    assert!(
        Server::builder()
            .auth_handler(Arc::new(Pass))
            .start()
            .is_ok()
    );
}
