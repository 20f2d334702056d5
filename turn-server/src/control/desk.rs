//! Where requests are answered: what the server is asked, and what only the daemon can do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::timeout,
};
use tracing::info;
use turn_proto::{Selection, SessionId, SessionView};

use super::{
    answer::{Answer, Done, Sessions, Status},
    protocol::{Level, Request, Which},
    sessions,
};
use crate::{
    Server, logging,
    metrics_page::{self, MetricsPage},
};

/// How long the daemon may take to obey.
const OBEDIENCE: Duration = Duration::from_secs(30);

/// What only the daemon can do, and where its answer goes: what was done, or why it was not.
pub(crate) struct Order {
    /// What to do.
    pub(crate) what: What,
    /// Where the answer goes.
    pub(crate) answer: oneshot::Sender<Result<String, String>>,
}

/// What only the daemon can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Read the configuration again.
    Reload,
    /// Take no new sessions.
    Drain,
    /// Take new sessions again.
    Undrain,
}

/// What requests are answered from.
pub(crate) struct Desk {
    server: Arc<Server>,
    page: MetricsPage,
    orders: mpsc::Sender<Order>,
    started: Instant,
}

impl Desk {
    /// Makes the desk of a server; orders go to the daemon.
    pub(crate) fn new(
        server: Arc<Server>,
        page: MetricsPage,
    ) -> (Arc<Self>, mpsc::Receiver<Order>) {
        let (orders, ordered) = mpsc::channel(1);
        let desk = Self {
            server,
            page,
            orders,
            started: Instant::now(),
        };
        (Arc::new(desk), ordered)
    }

    /// Answers a request that has one line for its answer.
    pub(super) async fn answer(self: &Arc<Self>, request: Request) -> Answer {
        let answered = match request {
            Request::Status => {
                self.blocking(|desk| Answer::Status(desk.status().into()))
                    .await
            }
            Request::Metrics => {
                let page =
                    |desk: &Self| desk.page.render(&desk.server.stats(), desk.server.shared());
                self.blocking(move |desk| Answer::Metrics(page(desk))).await
            }
            Request::Kill(which) => self.kill(&which).await,
            Request::LogLevel { level: None } => Ok(Answer::LogLevel(logging::level())),
            Request::LogLevel { level: Some(level) } => set_level(level),
            Request::Reload => self.order(What::Reload).await,
            Request::Drain => self.order(What::Drain).await,
            Request::Undrain => self.order(What::Undrain).await,
            // It has more than one line.
            Request::Sessions(_) => Err("sessions are listed line by line".to_owned()),
        };
        answered.unwrap_or_else(Answer::Error)
    }

    /// How many workers have sessions.
    pub(super) fn workers(&self) -> usize {
        self.server.workers()
    }

    /// Describes some of the selected sessions of a worker, and says where to go on.
    pub(super) async fn list(
        self: &Arc<Self>,
        worker: usize,
        selection: &Arc<Selection>,
        first: u32,
    ) -> Result<(Vec<SessionView>, Option<u32>), String> {
        let selection = Arc::clone(selection);
        let piece = self
            .blocking(move |desk| desk.server.list_sessions(worker, &selection, first))
            .await?;
        Ok(piece.map_or((Vec::new(), None), |piece| (piece.found, piece.next)))
    }

    async fn kill(self: &Arc<Self>, which: &Which) -> Result<Answer, String> {
        if !which.names_somebody() {
            return Err("kill needs a user, an id or an address".to_owned());
        }
        let selection = Arc::new(which.selection()?);
        let mut killed: Vec<SessionId> = Vec::new();
        for worker in 0..self.workers() {
            let mut next = Some(0);
            while let Some(first) = next {
                let selection = Arc::clone(&selection);
                let piece = self
                    .blocking(move |desk| desk.server.end_sessions(worker, &selection, first))
                    .await?;
                next = piece.as_ref().and_then(|piece| piece.next);
                killed.extend(piece.into_iter().flat_map(|piece| piece.found));
            }
        }
        info!("{} sessions ended by an operator", killed.len());
        let names = killed.iter().map(SessionId::to_string).collect();
        Ok(Answer::Killed(names))
    }

    async fn order(&self, what: What) -> Result<Answer, String> {
        let (answer, answered) = oneshot::channel();
        let order = Order { what, answer };
        let gone = |_| "the server is ending".to_owned();
        let obey = async {
            self.orders.send(order).await.map_err(|_| gone(()))?;
            answered.await.map_err(|_| gone(()))?
        };
        let late = |_| format!("{what:?}: no answer within {} s", OBEDIENCE.as_secs());
        let note = timeout(OBEDIENCE, obey).await.map_err(late)??;
        Ok(Answer::Done(Done {
            note: Some(note),
            ..Done::default()
        }))
    }

    fn status(&self) -> Status {
        let stats = self.server.stats();
        let (relay, io, shared) = (&stats.relay, &stats.io, self.server.shared());
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime: self.started.elapsed().as_secs(),
            draining: shared.is_draining(),
            workers: self.server.workers(),
            listening: self.listening(),
            sessions: Sessions {
                udp: relay.allocations_udp,
                tcp: relay.allocations_tcp,
                tls: relay.allocations_tls,
                dtls: relay.allocations_dtls,
            },
            sessions_created: relay.allocations_created,
            connections: io.streams_open,
            relay_ports_used: shared.ports.claimed() as u64,
            relay_ports: shared.ports.capacity() as u64,
            traffic: sessions::traffic(&relay.traffic),
            dropped: metrics_page::dropped(&stats)
                .iter()
                .map(|(_, count)| count)
                .sum(),
            log_level: logging::level(),
        }
    }

    /// What is listened on, and what only sessions keep open.
    fn listening(&self) -> Vec<String> {
        let listening = self.server.listening().into_iter();
        let mut lines: Vec<String> = listening.map(|at| at.to_string()).collect();
        for (at, sessions) in self.server.retired() {
            let s = if sessions == 1 { "" } else { "s" };
            lines.push(format!("{at}, for {sessions} session{s} left there only"));
        }
        lines
    }

    /// Asks workers, which answer between two turns: that wait must not hold up the runtime. One that hangs is named instead.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        ask: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, String> {
        let desk = Arc::clone(self);
        let asked = spawn_blocking(move || match desk.server.hanging() {
            Some(hanging) => Err(hanging),
            None => Ok(ask(&desk)),
        });
        let lost = |_| "the question was lost: look at the log".to_owned();
        asked.await.map_err(lost)?
    }
}

fn set_level(level: Level) -> Result<Answer, String> {
    let before = logging::level();
    logging::set_level(level)?;
    info!("log level {} in place of {}", level.name(), before.name());
    Ok(Answer::LogLevel(level))
}
