//! The server below the routes: strangers who dawdle or come in crowds.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is the report"
)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use axum::{Extension, Router};
use common::PATIENCE;
use signaling::server::Site;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
}

async fn start(max_connections: usize) -> Running {
    let routes = Router::new()
        .route(
            "/",
            get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }),
        )
        .route("/slow", get(|| tokio::time::sleep(Duration::from_secs(2))))
        .route("/echo", post(|body: String| async move { body }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    let serving = signaling::server::serve(listener, routes, max_connections, stopping);
    let server = tokio::spawn(serving);
    Running {
        address,
        stop,
        server,
    }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn get(&self) -> (TcpStream, String) {
        let mut stream = self.connect().await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .unwrap();
        let mut answer = vec![0; 4096];
        let read = timeout(PATIENCE, stream.read(&mut answer)).await.unwrap();
        // A connection turned away may be reset before it is read.
        let answer = String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned();
        (stream, answer)
    }
}

/// Reads until the server closes, which it does within `PATIENCE`.
async fn closed(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut answer));
    assert!(end.await.is_ok(), "the connection is never closed");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_say_what_it_wants_is_closed() {
    let running = start(8).await;
    for beginning in ["", "GET / HTTP/1.1\r\nHost: h\r\n"] {
        let mut stream = running.connect().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        closed(&mut stream).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_idles_after_its_request_is_closed() {
    let running = start(8).await;
    let (mut stream, _) = running.get().await;
    closed(&mut stream).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_not_waited_for() {
    let running = start(8).await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc")
        .await
        .unwrap();
    let answer = closed(&mut stream).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_connection_above_the_cap_takes_the_place_of_the_one_that_idles_for_longest() {
    let running = start(2).await;
    let (mut first, answer) = running.get().await;
    assert!(
        answer.ends_with(&first.local_addr().unwrap().to_string()),
        "the routes know the client: {answer}"
    );
    let (mut second, _) = running.get().await;
    // The first asks for something again, so that the second has asked for nothing for longer.
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    first.write_all(request).await.unwrap();
    let mut answer = [0; 4096];
    timeout(PATIENCE, first.read(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let (_third, answer) = running.get().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(closed(&mut second).await, "");
    let (_fourth, answer) = running.get().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(closed(&mut first).await, "");
}

/// Silent, with half a head, idle after an answer, with a body that does not come, and asking without ever reading: whoever holds
/// all places in one of these manners keeps nobody out.
#[tokio::test]
async fn whoever_holds_all_places_keeps_nobody_out() {
    let beginnings: [&[u8]; 5] = [
        b"",
        b"GET / HTTP/1.1\r\nHost: h\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc",
        &b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(2_000),
    ];
    for beginning in beginnings {
        let running = start(4).await;
        let mut held = Vec::new();
        for _ in 0..8 {
            let mut stream = running.connect().await;
            // Whose place is taken already may not get all of it through.
            let _ = timeout(Duration::from_millis(200), stream.write_all(beginning)).await;
            held.push(stream);
        }
        let (_stream, answer) = running.get().await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn a_websocket_holds_its_place() {
    let server = common::Server::capped(1).await;
    let client = server.connect("/ws").await;
    assert!(server.try_connect("/ws", &[]).await.is_err());
    client.leave().await;
    let again = async { while server.try_connect("/ws", &[]).await.is_err() {} };
    timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn a_head_too_large_is_refused() {
    let running = start(8).await;
    let many = "a: b\r\n".repeat(65);
    let long = format!("a: {}\r\n", "x".repeat(20_000));
    for fields in [many, long] {
        let mut stream = running.connect().await;
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = closed(&mut stream).await;
        assert!(!answer.contains(" 200 "), "{answer}");
    }
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_ends_what_idles() {
    let running = start(8).await;
    let (mut idle, _) = running.get().await;
    let mut busy = running.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    running.stop.send_replace(true);
    assert_eq!(closed(&mut idle).await, "");
    assert!(closed(&mut busy).await.starts_with("HTTP/1.1 200"));
    timeout(PATIENCE, running.server)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn connections_that_others_bring_share_the_places_and_are_named_only_if_known() {
    let routes = Router::new().route(
        "/",
        get(
            |peer: Option<Extension<ConnectInfo<SocketAddr>>>| async move {
                peer.map_or_else(|| "nobody".to_owned(), |Extension(peer)| peer.0.to_string())
            },
        ),
    );
    let (stop, stopping) = watch::channel(false);
    let site = Site::new(routes, 2, stopping);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (bring, brought) = mpsc::channel::<(DuplexStream, Option<SocketAddr>)>(8);
    let listening = tokio::spawn(site.clone().listen(listener));
    let taking = tokio::spawn(site.take_over(brought, Ok));

    let known = "192.0.2.7:5".parse().unwrap();
    let mut held = Vec::new();
    for (peer, expected) in [(Some(known), "192.0.2.7:5"), (None, "nobody")] {
        let (mut near, far) = tokio::io::duplex(4096);
        bring.send((far, peer)).await.unwrap();
        near.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .ok();
        let mut answer = vec![0; 4096];
        let read = timeout(PATIENCE, near.read(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned();
        assert!(answer.ends_with(expected), "{answer}");
        held.push(near);
    }
    // One more, by the listener, takes the place of the first.
    let _third = TcpStream::connect(address).await.unwrap();
    let mut end = [0; 1];
    let read = timeout(PATIENCE, held[0].read(&mut end)).await.unwrap();
    assert_eq!(read.unwrap(), 0);
    stop.send(true).unwrap();
    timeout(PATIENCE, taking).await.unwrap().unwrap();
    timeout(PATIENCE, listening)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
