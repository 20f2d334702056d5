//! `--against`: one server anywhere, measured as a client of it.
//!
//! Nothing is started, pinned or raised, and packets go to that server alone. What the server spends cannot be seen from
//! here; what its users feel can: answers, loss, latency.

use super::arrivals::{Receiver, Role};
use super::client::{Account, Client, Refused};
use super::load::{self, Flow, Idle, Outcome, Plan};
use super::probe::Ledger;
use super::session::{self, Framing, Session};
use super::socket;
use super::stats;
use anyhow::{Context, Error, Result, bail};
use serde_json::{Value, json};
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use turn_auth::rest;

/// Binding requests sent one after the other to see the path's round trip.
const BINDINGS: usize = 10;
/// A path may take this long before a packet counts as lost.
const DRAIN: Duration = Duration::from_secs(2);
/// Forbidden (RFC 8656 §19).
const FORBIDDEN: u16 = 403;
const WARM_UP: Duration = Duration::from_millis(500);
/// Credentials minted from a secret live as long as any run may.
const LIFETIME_SECONDS: u64 = 3_600;

/// What to measure and how gently.
#[derive(Clone, Debug)]
pub(crate) struct Against {
    /// `HOST:PORT`.
    pub(crate) server: String,
    pub(crate) login: Login,
    pub(crate) rate: u64,
    pub(crate) sessions: usize,
    pub(crate) window: Duration,
    pub(crate) payload: usize,
    pub(crate) burst: u64,
    pub(crate) indications: bool,
    pub(crate) through: Option<Through>,
    pub(crate) json: bool,
}

/// How the client proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Password { user: String, password: String },
    Secret { user: String, secret: String },
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login")
    }
}

/// Where packets go behind the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    Echo,
    Pair,
}

impl Default for Against {
    fn default() -> Self {
        Self {
            server: String::new(),
            login: Login::Secret {
                user: String::new(),
                secret: String::new(),
            },
            rate: 100,
            sessions: 1,
            window: Duration::from_secs(10),
            payload: 160,
            burst: 1,
            indications: false,
            through: None,
            json: false,
        }
    }
}

/// What was found.
struct Findings {
    address: SocketAddr,
    mapped: Option<SocketAddr>,
    through: Through,
    binding_seconds: Vec<f64>,
    session_seconds: Vec<f64>,
    retransmissions: u64,
    outcome: Outcome,
}

/// Measures and prints; true when packets came through.
///
/// # Errors
/// The server cannot be found, does not answer or refuses.
pub(crate) fn run(against: &Against) -> Result<bool> {
    let address = resolve(&against.server)?;
    let account = account(&against.login)?;
    let mut probe = Client::open(address, &account)?;
    let (binding_seconds, mapped) = bindings(&mut probe)?;
    let through = against
        .through
        .unwrap_or_else(|| match probe.socket.local_addr() {
            Ok(local) if Some(local) == mapped => Through::Echo,
            _ => Through::Pair,
        });
    let findings = match through {
        Through::Echo => through_echo(against, address, &account),
        Through::Pair => through_pairs(against, address, &account),
    };
    let (session_seconds, retransmissions, outcome) =
        findings.map_err(|error| with_hint(error, through))?;
    let findings = Findings {
        address,
        mapped,
        through,
        binding_seconds,
        session_seconds,
        retransmissions,
        outcome,
    };
    let text = if against.json {
        format!("{:#}\n", findings.to_json(against))
    } else {
        findings.render(against)
    };
    print!("{text}");
    Ok(findings.outcome.ledger.delivered > 0)
}

type Ran = (Vec<f64>, u64, Outcome);

/// The peer is a socket of ours that sends everything back to the relayed addresses of this run.
fn through_echo(against: &Against, server: SocketAddr, account: &Account) -> Result<Ran> {
    let framing = against.framing();
    let local = Client::open(server, account)?.socket.local_addr()?;
    let (echo, echo_address) = socket::peer(local.ip())?;
    let (sessions, took) = open_all(against.sessions, || {
        Session::open_turn(server, account, echo_address, framing)
    })?;
    let relayed = sessions.iter().map(|session| session.relayed).collect();
    let mut receivers = client_receivers(sessions.iter());
    receivers.push(Receiver {
        socket: &echo,
        role: Role::Echo(relayed),
    });
    let outcome = load::run(
        flows(sessions.iter(), framing, against.payload),
        receivers,
        &against.plan(),
        || (),
    )?;
    Ok(finish(sessions, took, outcome))
}

/// Two allocations for each session, each the other's peer; packets go from the first to the second.
fn through_pairs(against: &Against, server: SocketAddr, account: &Account) -> Result<Ran> {
    let framing = against.framing();
    let (mut sessions, took) = open_all(against.sessions * 2, || {
        Session::open_unadmitted(server, account)
    })?;
    let relayed: Vec<SocketAddr> = sessions.iter().map(|session| session.relayed).collect();
    for (index, session) in sessions.iter_mut().enumerate() {
        let Some(other) = relayed.get(index ^ 1) else {
            bail!("a session without its other half")
        };
        session.admit(*other, framing)?;
    }
    let receivers = client_receivers(sessions.iter().skip(1).step_by(2));
    let flows = flows(sessions.iter().step_by(2), framing, against.payload);
    let outcome = load::run(flows, receivers, &against.plan(), || ())?;
    Ok(finish(sessions, took, outcome))
}

fn open_all(
    count: usize,
    mut open: impl FnMut() -> Result<Session>,
) -> Result<(Vec<Session>, Vec<f64>)> {
    let (mut sessions, mut took) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for index in 0..count {
        let began = Instant::now();
        sessions.push(open().with_context(|| format!("session {} of {count}", index + 1))?);
        took.push(began.elapsed().as_secs_f64());
    }
    Ok((sessions, took))
}

fn finish(sessions: Vec<Session>, took: Vec<f64>, outcome: Outcome) -> Ran {
    let retransmissions = sessions.iter().map(Session::retransmissions).sum();
    session::close_all(sessions);
    (took, retransmissions, outcome)
}

fn client_receivers<'s>(sessions: impl Iterator<Item = &'s Session>) -> Vec<Receiver<'s>> {
    sessions
        .filter_map(Session::socket)
        .map(|socket| Receiver {
            socket,
            role: Role::Client,
        })
        .collect()
}

/// Packets come back on a client's socket, so they show the server's address and not the relayed one.
fn flows<'s>(
    sessions: impl Iterator<Item = &'s Session>,
    framing: Framing,
    payload: usize,
) -> Vec<Flow<'s>> {
    sessions
        .map(|session| Flow {
            arrives_from: None,
            ..session.flow(framing, payload)
        })
        .collect()
}

fn bindings(client: &mut Client) -> Result<(Vec<f64>, Option<SocketAddr>)> {
    let mut took = Vec::with_capacity(BINDINGS);
    let mut mapped = None;
    for _ in 0..BINDINGS {
        let began = Instant::now();
        let answer = client.bind()?;
        took.push(began.elapsed().as_secs_f64());
        mapped = answer.mapped.or(mapped);
    }
    Ok((took, mapped))
}

fn resolve(server: &str) -> Result<SocketAddr> {
    let mut addresses = server
        .to_socket_addrs()
        .with_context(|| format!("cannot find the address of {server}"))?;
    addresses
        .next()
        .with_context(|| format!("{server} has no address"))
}

fn account(login: &Login) -> Result<Account> {
    Ok(match login {
        Login::Password { user, password } => Account::new(user, password),
        Login::Secret { user, secret } => {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .context("the clock is before 1970")?
                .as_secs();
            let minted = rest::mint(secret.as_bytes(), user, LIFETIME_SECONDS, now, ':');
            Account::new(&minted.username, &minted.password)
        }
    })
}

/// A server that forbids the peer may allow the other kind.
fn with_hint(error: Error, through: Through) -> Error {
    let forbidden = error
        .downcast_ref::<Refused>()
        .is_some_and(|refused| refused.code == FORBIDDEN);
    match through {
        _ if !forbidden => error,
        Through::Echo => error.context("with a peer on this machine (--through=pair does without)"),
        Through::Pair => {
            error.context("with the server as its own peer (--through=echo does without)")
        }
    }
}

impl Against {
    fn framing(&self) -> Framing {
        if self.indications {
            Framing::Indication
        } else {
            Framing::Channel
        }
    }

    fn plan(&self) -> Plan {
        Plan {
            rate: self.rate,
            burst: self.burst,
            payload: self.payload,
            warm_up: WARM_UP,
            window: self.window,
            drain: DRAIN,
            idle: Idle::Sleep,
        }
    }
}

impl Findings {
    fn render(&self, against: &Against) -> String {
        let Ledger {
            sent,
            delivered,
            duplicates,
            reordered,
            foreign,
            latency,
            ..
        } = &self.outcome.ledger;
        let milliseconds = |seconds: Option<f64>| {
            seconds.map_or_else(
                || "–".to_owned(),
                |seconds| format!("{:.3} ms", seconds * 1e3),
            )
        };
        let quantile = |q| milliseconds(latency.quantile(q).map(|ns| ns as f64 / 1e9));
        let way = match self.through {
            Through::Echo => "client, relay, echo, relay, client",
            Through::Pair => "client, relay, relay, client",
        };
        let mapped = self.mapped.map_or_else(
            || "an address it does not tell".to_owned(),
            |mapped| mapped.to_string(),
        );
        format!(
            "{server} at {address}, which sees us as {mapped}\n\
             \x20 binding     {answered} answered, p50 {binding}\n\
             \x20 sessions    {sessions} opened, p50 {opening} each, {retransmissions} requests sent again\n\
             \x20 relayed     {sent} sent, {delivered} delivered, {loss:.3} % lost, {duplicates} twice, {reordered} out of order, {foreign} foreign\n\
             \x20 rate        {asked}/s asked, {rate:.1}/s delivered, {given_up:.1} % not sent in time\n\
             \x20 latency     p50 {p50}, p99 {p99} ({way})\n",
            server = against.server,
            address = self.address,
            answered = self.binding_seconds.len(),
            binding = milliseconds(stats::median(&self.binding_seconds)),
            sessions = self.session_seconds.len(),
            opening = milliseconds(stats::median(&self.session_seconds)),
            retransmissions = self.retransmissions,
            loss = self.outcome.ledger.loss() * 100.0,
            asked = against.rate,
            rate = self.outcome.arrived_rate(),
            given_up = self.outcome.given_up * 100.0,
            p50 = quantile(0.5),
            p99 = quantile(0.99),
        )
    }

    /// Times in seconds, shares as fractions of one.
    fn to_json(&self, against: &Against) -> Value {
        let ledger = &self.outcome.ledger;
        let quantile = |q| ledger.latency.quantile(q).map(|ns| ns as f64 / 1e9);
        json!({
            "server": against.server,
            "address": self.address.to_string(),
            "mapped": self.mapped.map(|mapped| mapped.to_string()),
            "through": match self.through { Through::Echo => "echo", Through::Pair => "pair" },
            "binding_median": stats::median(&self.binding_seconds),
            "sessions": self.session_seconds.len(),
            "session_median": stats::median(&self.session_seconds),
            "retransmissions": self.retransmissions,
            "sent": ledger.sent,
            "delivered": ledger.delivered,
            "loss": ledger.loss(),
            "duplicates": ledger.duplicates,
            "reordered": ledger.reordered,
            "foreign": ledger.foreign,
            "asked_rate": against.rate,
            "delivered_rate": self.outcome.arrived_rate(),
            "given_up": self.outcome.given_up,
            "latency_median": quantile(0.5),
            "latency_p99": quantile(0.99),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use turn_wire::Method;

    fn refused(code: u16) -> Error {
        Error::from(Refused {
            method: Method::CHANNEL_BIND,
            code,
        })
        .context("session 1 of 1")
    }

    #[test]
    fn a_forbidden_peer_is_told_the_other_way() {
        assert!(
            with_hint(refused(403), Through::Echo)
                .to_string()
                .contains("--through=pair")
        );
        assert!(
            with_hint(refused(403), Through::Pair)
                .to_string()
                .contains("--through=echo")
        );
    }

    #[test]
    fn other_failures_are_told_as_they_are() {
        assert_eq!(
            with_hint(refused(401), Through::Echo).to_string(),
            "session 1 of 1"
        );
    }

    #[test]
    fn a_secret_makes_a_user_name_with_an_expiry() {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let login = Login::Secret {
            user: "alice".into(),
            secret: "sesame".into(),
        };
        let account = account(&login).unwrap();
        let name = rest::parse(account.user(), ':').unwrap();
        assert_eq!(name.user, "alice");
        assert!(name.expires_at > now);
    }

    #[test]
    fn secrets_are_not_printed() {
        let login = Login::Password {
            user: "u".into(),
            password: "hush".into(),
        };
        assert!(!format!("{login:?}").contains("hush"));
    }
}
