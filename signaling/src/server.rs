//! The HTTP server below all routes: how many connections it has, and how long they may dawdle.
//!
//! In: accepting, counting and ending connections. Not in: what is served (`router.rs`, or `turnserver`'s own routes). A
//! connection is a descriptor, and whoever holds enough of them idle takes the place of everybody else: so they are counted
//! until they are closed, WebSockets too, have to say what they want in time, and make room when there are too many.

use std::convert::Infallible;
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
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::places::{Place, Places};

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

/// Connections that a server has by default at most: as many as the hub takes.
const MOST_CONNECTIONS: usize = 20_000;

/// Returns how many connections this process can afford: 20,000, but at most a quarter of its descriptors.
pub fn affordable_connections() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    // No limit is the largest one.
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    (limit / 4).clamp(1, MOST_CONNECTIONS)
}

/// Serves `routes`, which can ask for `ConnectInfo<SocketAddr>`, until `stop` says so and the requests under way are answered.
/// A connection above `max_connections` takes the place of one that asks for nothing.
///
/// # Errors
/// When the listener does not know its own address. What goes wrong with a single connection is survived.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    max_connections: usize,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    Site::new(routes, max_connections, stop)
        .listen(listener)
        .await
}

/// What is served, to how many connections at a time, and until when. Clones share the places.
#[derive(Clone)]
pub struct Site {
    routes: Router,
    max_connections: usize,
    places: Arc<Places>,
    stop: watch::Receiver<bool>,
}

impl Site {
    /// Describes one, which serves nobody yet.
    pub fn new(routes: Router, max_connections: usize, stop: watch::Receiver<bool>) -> Site {
        Site {
            routes,
            max_connections,
            places: Places::new(max_connections),
            stop,
        }
    }

    /// Serves whoever connects to a listener, until the stop, and until the requests under way are answered.
    ///
    /// # Errors
    /// When the listener does not know its own address. What goes wrong with a single connection is survived.
    pub async fn listen(self, listener: TcpListener) -> io::Result<()> {
        let address = listener.local_addr()?;
        let (mut stop, mut failing) = (self.stop.clone(), false);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                () = stopped(&mut stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    // A message is wanted at once, not when the last one has been acknowledged. It fails where the client is
                    // gone already, which reading tells as well.
                    let _ = stream.set_nodelay(true);
                    match self.places.give() {
                        Some(place) => {
                            connections.spawn(self.converse(place, stream, Some(peer)));
                        }
                        None => debug!("{peer} is turned away: {address} has {}", self.full()),
                    }
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

    /// Serves connections that somebody else has accepted, in the same manner. `open` makes a stream of what was brought, and
    /// names the client, if it is known for certain; without a name, routes are asked without `ConnectInfo`.
    pub async fn take_over<T, S: Stream>(
        self,
        mut brought: mpsc::Receiver<T>,
        open: impl Fn(T) -> io::Result<(S, Option<SocketAddr>)>,
    ) {
        let mut stop = self.stop.clone();
        let mut connections = JoinSet::new();
        loop {
            let next = tokio::select! {
                next = brought.recv() => next,
                Some(_) = connections.join_next() => continue,
                () = stopped(&mut stop) => break,
            };
            let Some(next) = next else {
                // No more will come, but those that came go on.
                stopped(&mut stop).await;
                break;
            };
            let Some(place) = self.places.give() else {
                debug!("a connection is turned away: there are {}", self.full());
                continue;
            };
            match open(next) {
                Ok((stream, peer)) => {
                    connections.spawn(self.converse(place, stream, peer));
                }
                Err(error) => debug!("a connection cannot be taken over: {error}"),
            }
        }
        drop(brought);
        while connections.join_next().await.is_some() {}
    }

    fn full(&self) -> String {
        format!("{} connections, all of WebSockets", self.max_connections)
    }

    fn converse<S: Stream>(
        &self,
        place: Arc<Place>,
        stream: S,
        peer: Option<SocketAddr>,
    ) -> impl Future<Output = ()> + Send + 'static + use<S> {
        converse(
            (stream, place),
            peer,
            self.routes.clone(),
            self.stop.clone(),
        )
    }
}

/// Bytes in and out, of whatever kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

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
async fn converse<S: Stream>(
    (stream, place): (S, Arc<Place>),
    peer: Option<SocketAddr>,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) {
    let stream = Counted {
        stream,
        _place: Arc::clone(&place),
    };
    let routes = TowerToHyperService::new(routes);
    let held = Arc::clone(&place);
    let service = service_fn(move |mut request: Request<Incoming>| {
        held.is_busy(true);
        let held = Arc::clone(&held);
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let answer = timeout(REQUEST_LIMIT, routes.call(request));
        async move {
            let late = |_| Ok(StatusCode::REQUEST_TIMEOUT.into_response());
            let answer = answer.await.unwrap_or_else(late)?;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                held.keep();
            }
            held.is_busy(false);
            Ok::<_, Infallible>(answer)
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
        () = place.is_lost() => {
            return debug!("a connection makes room for another: it has asked for nothing for longest");
        }
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        match peer {
            Some(peer) => debug!("connection of {peer}: {error}"),
            None => debug!("connection of somebody behind a proxy: {error}"),
        }
    }
}

/// A connection and its place among all, which is free again when the descriptor is, even if a WebSocket took it over.
struct Counted<S> {
    stream: S,
    _place: Arc<Place>,
}

impl<S: Stream> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: Stream> AsyncWrite for Counted<S> {
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
