//! The HTTP server below all routes: how many connections it has, and how long they may dawdle.
//!
//! In: accepting, counting and ending connections. Not in: what is served (`router.rs`, or `turnserver`'s own routes). A
//! connection is a descriptor, and whoever holds enough of them idle takes the place of everybody else: so they are counted
//! until they are closed, WebSockets too, and have to say what they want in time.

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// How long the head of a request may take, counted from the connection's beginning or the end of the request before.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// How long the rest of a request and its answer's beginning may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// Fields that a request's head may have.
const MAX_FIELDS: usize = 64;

/// Bytes of a connection's buffer, and so of a request's head.
const BUFFER: usize = 16 * 1024;

/// How long no connection is accepted after the system refused to give one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that a server has by default at most.
const MOST_CONNECTIONS: usize = 10_000;

/// Returns how many connections this process can afford: 10,000, but at most a quarter of its descriptors.
pub fn affordable_connections() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    // No limit is the largest one.
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    (limit / 4).clamp(1, MOST_CONNECTIONS)
}

/// Serves `routes`, which can ask for `ConnectInfo<SocketAddr>`, until `stop` says so and the requests under way are answered.
/// A connection above `max_connections` is closed at once.
///
/// # Errors
/// When the listener does not know its own address. What goes wrong with a single connection is survived.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    max_connections: usize,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    let stopping = stop.clone();
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    debug!("{peer} is turned away: {address} has {max_connections} connections");
                    continue;
                };
                let counted = Counted {
                    stream,
                    _place: place,
                };
                connections.spawn(converse(counted, peer, routes.clone(), stopping.clone()));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !failing {
                    warn!("{address} accepts nobody at the moment: {error}");
                }
                failing = true;
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Says whether the client went away before it was accepted, which says nothing about the next.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// Answers the requests of one connection, until one of them makes it a WebSocket.
async fn converse(
    stream: Counted,
    peer: SocketAddr,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) {
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = timeout(REQUEST_LIMIT, routes.call(request));
        async move {
            answer
                .await
                .unwrap_or_else(|_| Ok(StatusCode::REQUEST_TIMEOUT.into_response()))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_headers(MAX_FIELDS)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!("connection of {peer}: {error}");
    }
}

/// A connection and its place among all, which is free again when the descriptor is, even if a WebSocket took it over.
struct Counted {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
