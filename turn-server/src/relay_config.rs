//! From the settings of the operator to the settings of the state machine and of the drivers. No decision is made twice.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

use rand::{Rng, TryRngCore, rngs::OsRng};
use tracing::info;
use turn_auth::{Credentials, LongTermKey, NonceKey, Secret, TokenAlgorithm, TokenKey, TokenKeys};
use turn_config::settings::{self, Settings};
use turn_io::Tuning;
use turn_proto::{
    Access, Alternate, Alternates, Caps, ClientLists, Config, CredentialExpiry, DefaultFamily,
    Good, Guard, Holder, IpRange, Lifetimes, Limits, LinkId, Multiplex, Nat64Prefix, PeerPolicy,
    RelayAddresses, ReplyLimit, Reported, Shared,
};

use crate::{
    addresses, client_lists::client_lists, discovery, endpoints::Endpoints, inherited::Inherited,
};

/// Channel numbers that may be bound: those of RFC 5766 §11. RFC 8656 §12 stops at 0x4FFF, but clients of the older RFC
/// number from all of these, Debian's `turnutils_uclient` among them, and nothing here needs the rest.
pub(crate) const CHANNEL_NUMBERS: std::ops::RangeInclusive<u16> = 0x4000..=0x7FFF;

/// Longer than any machine runs.
const FOR_EVER: Duration = Duration::from_secs(1 << 40);

/// What the workers are made of.
#[derive(Clone)]
pub struct Plan {
    /// For the state machines.
    pub relay: Arc<Config>,
    /// For all workers together.
    pub shared: Arc<Shared>,
    /// The addresses that clients are listened to on.
    pub listening: Vec<IpAddr>,
    /// Where on them, and what is spoken there.
    pub endpoints: Endpoints,
    /// The links of those for datagrams.
    pub links: Vec<(SocketAddr, LinkId)>,
    /// The addresses of the control plane, which clients must not reach through the relay.
    pub control: Vec<SocketAddr>,
    /// Whether a service manager has bound the sockets that clients come by: there will be no others then.
    pub is_inherited: bool,
}

/// Makes the plan of a relay.
///
/// `machine` are this machine's addresses, `control` the addresses that clients must not reach through the relay.
///
/// # Errors
/// When a list of clients is for a listener that there is not, or the system gives no random numbers.
pub fn plan(
    settings: &Settings,
    machine: &[IpAddr],
    control: Vec<SocketAddr>,
) -> anyhow::Result<Plan> {
    plan_with(settings, machine, control, &Inherited::default())
}

/// The same, for clients that come by these sockets, if there are any.
///
/// # Errors
/// As [`plan`].
pub(crate) fn plan_with(
    settings: &Settings,
    machine: &[IpAddr],
    control: Vec<SocketAddr>,
    inherited: &Inherited,
) -> anyhow::Result<Plan> {
    let listening = addresses::to_listen_on(&settings.listening, machine);
    let relays = addresses::to_relay_from(settings, &served(settings, &listening));
    let ports = settings.relay.min_port..=settings.relay.max_port;
    let quotas = &settings.quotas;
    let quotas = [quotas.per_user.unwrap_or(0), quotas.total.unwrap_or(0)];
    let shared = match multiplex(settings, &relays.addresses)? {
        Some(multiplex) => Shared::multiplexed(&relays.addresses, ports, quotas, multiplex),
        None => Shared::new(&relays.addresses, ports, quotas[0], quotas[1]),
    };
    let endpoints = Endpoints::of(settings, &listening, inherited);
    let barred = barred(settings, &control, &endpoints);
    let mut relay = config(settings, relays, &shared, machine, barred)?;
    relay.guard.clients = client_lists(settings, &endpoints.listeners())?;
    let links = discovery::in_order(&endpoints.plain);
    relay.discovery = discovery::pair(settings, &listening, &links);
    Ok(Plan {
        relay: Arc::new(relay),
        shared,
        listening,
        endpoints,
        links,
        control,
        is_inherited: inherited.has_clients(),
    })
}

/// Where clients are to be listened to by other settings than a plan was made by; its relay is still that plan's.
///
/// # Errors
/// When there is nowhere to listen.
pub(crate) fn moved(
    settings: &Settings,
    running: &Plan,
    machine: &[IpAddr],
) -> anyhow::Result<Plan> {
    if running.is_inherited {
        return Ok(running.clone());
    }
    let listening = addresses::to_listen_on(&settings.listening, machine);
    anyhow::ensure!(
        !listening.is_empty(),
        "this machine has no address to listen on; see --listening-ip"
    );
    Ok(Plan {
        endpoints: Endpoints::of(settings, &listening, &Inherited::default()),
        listening,
        ..running.clone()
    })
}

/// Where to relay from by other settings than those that a plan was made by, on the addresses that it listens on by now.
/// Ports that allocations share are bound at the start, and stay what they are.
pub(crate) fn relays(settings: &Settings, plan: &Plan) -> RelayAddresses {
    let is_left = plan.is_inherited && settings.relay.addresses.is_empty();
    if is_left || plan.shared.multiplex.is_some() {
        return plan.relay.relays.clone();
    }
    addresses::to_relay_from(settings, &served(settings, &plan.listening))
}

/// The addresses that clients must not reach through the relay: of the control plane, wherever it is reached.
fn barred(settings: &Settings, control: &[SocketAddr], endpoints: &Endpoints) -> Vec<SocketAddr> {
    let mut barred = control.to_vec();
    if settings.http.https {
        // Any of them leads to the control plane. (A port that the system chooses is not known yet; nobody serves on one.)
        let doors = [&endpoints.plain, &endpoints.tls, &endpoints.proxied];
        barred.extend(doors.into_iter().flatten());
    }
    barred
}

/// The addresses that clients come to: those of further endpoints need not be listened on otherwise.
fn served(settings: &Settings, listening: &[IpAddr]) -> Vec<IpAddr> {
    let mut served = listening.to_vec();
    for ip in settings.listening.aux.iter().map(SocketAddr::ip) {
        if !served.contains(&ip) {
            served.push(ip);
        }
    }
    served
}

/// Makes the state machines' settings anew for workers that run on a plan: nonces stay good.
///
/// # Errors
/// As [`plan`]; and when there is no room for further relay addresses.
pub(crate) fn reconfigured(
    settings: &Settings,
    running: &Plan,
    relays: RelayAddresses,
    machine: &[IpAddr],
) -> anyhow::Result<Config> {
    let old = &running.relay;
    anyhow::ensure!(
        running.shared.ports.admit(&relays.addresses),
        "relay-ip: there were too many other relay addresses since the start; restart the server"
    );
    let barred = barred(settings, &running.control, &running.endpoints);
    let mut relay = config(settings, relays, &running.shared, machine, barred)?;
    relay.guard.clients = client_lists(settings, &running.endpoints.listeners())?;
    relay.nonce_key = old.nonce_key.clone();
    relay.discovery = discovery::pair(settings, &running.listening, &running.links);
    let rate = |replies: &Option<Arc<ReplyLimit>>| replies.as_ref().map(|limit| limit.per_second());
    if rate(&old.guard.replies) == rate(&relay.guard.replies) {
        // What strangers have used up already stays so.
        relay.guard.replies.clone_from(&old.guard.replies);
    }
    Ok(relay)
}

/// How long connections may take.
pub(crate) fn tuning(settings: &Settings) -> Tuning {
    Tuning {
        stream_patience: settings.lifetimes.connection.unwrap_or(FOR_EVER),
        handshake_patience: settings.lifetimes.handshake,
    }
}

/// How many workers there are: as many as cores, unless the operator says otherwise.
pub(crate) fn workers(settings: &Settings) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    settings.process.workers.map_or(cores, usize::from).max(1)
}

/// The relay ports that allocations share, if they do.
fn multiplex(settings: &Settings, relays: &[IpAddr]) -> anyhow::Result<Option<Multiplex>> {
    let Some(shared) = settings.relay.multiplex else {
        return Ok(None);
    };
    let workers = workers(settings);
    let ports = shared.ports.map_or(workers, usize::from);
    let last = usize::from(shared.first_port) + ports - 1;
    let last = u16::try_from(last).map_err(|_| {
        anyhow::anyhow!(
            "multiplex-peer: {ports} ports from {} on go beyond 65535; lower multiplex-peer-port",
            shared.first_port
        )
    })?;
    let ports = shared.first_port..=last;
    info!("UDP allocations share the relay ports {ports:?} (multiplex-peer)");
    Ok(Some(Multiplex::new(
        relays,
        ports,
        workers,
        shared.max_peers,
    )))
}

fn config(
    settings: &Settings,
    relays: RelayAddresses,
    shared: &Shared,
    machine: &[IpAddr],
    control: Vec<SocketAddr>,
) -> anyhow::Result<Config> {
    // Sessions live on where nothing is relayed from any more, and are reached there.
    let bound: Vec<IpAddr> = shared.ports.addresses().collect();
    let externals = addresses::externals(&settings.relay.externals(), &bound);
    let guard = guard(settings)?;
    // A public address before a NAT is ours too: no tunnel leads there (RFC 8656 §21.1.8).
    let own = machine.iter().copied();
    let own = own
        .chain(externals.iter().map(|pair| pair.public))
        .collect();
    let peers = peers(&settings.relay.peers, own, bound, control);
    Ok(Config {
        credentials: Arc::new(credentials(&settings.auth)),
        access: if settings.auth.anonymous {
            Access::Anonymous
        } else {
            Access::Authenticated
        },
        nonce_key: match &settings.auth.nonce_secret {
            Some(secret) => NonceKey::from_secret(secret.expose().as_bytes()),
            None => NonceKey::new(random_bytes()?),
        },
        nonce_lifetime: settings.auth.nonce_lifetime.unwrap_or(Duration::ZERO),
        relays,
        externals,
        default_family: match settings.relay.default_family {
            settings::DefaultFamily::V4 => DefaultFamily::V4,
            settings::DefaultFamily::V6 => DefaultFamily::V6,
            settings::DefaultFamily::Client => DefaultFamily::Keep,
        },
        lifetimes: Lifetimes {
            allocation_max: settings.lifetimes.max_allocation,
            permission: settings.lifetimes.permission,
            channel: settings.lifetimes.channel,
            ..Lifetimes::default()
        },
        limits: limits(&guard.caps),
        peers,
        guard,
        channel_numbers: CHANNEL_NUMBERS,
        binding: settings.stun.binding,
        binding_needs_credentials: settings.stun.binding_needs_auth,
        discovery: None,
        turn: settings.stun.relaying,
        udp_relay: settings.relay.udp,
        mobility: settings.relay.mobility,
        tcp_relay: settings.relay.tcp,
        alternates: alternates(&settings.redirect),
        reasons: settings.wire.reasons,
        mapped_address: settings.wire.mapped_address,
        classic_stun: settings.wire.classic_stun,
        always_fingerprint: settings.wire.fingerprint,
        software: settings
            .wire
            .software
            .then(|| format!("Turnpike {}", env!("CARGO_PKG_VERSION"))),
        reported: Reported {
            bindings: settings.logging.bindings,
            peers: settings.logging.verbosity > settings::Verbosity::Normal,
        },
    })
}

/// How much one allocation may hold.
fn limits(caps: &Caps) -> Limits {
    let of = |good, default: usize| match caps.of(Holder::Session, good) {
        0 => default,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let default = Limits::default();
    Limits {
        permissions: of(Good::Permissions, default.permissions),
        channels: of(Good::Channels, default.channels),
        ..default
    }
}

/// What keeps strangers and the greedy in check.
fn guard(settings: &Settings) -> anyhow::Result<Guard> {
    let per_second = settings.quotas.unauth_replies_per_second.unwrap_or(0);
    let caps = (settings.caps.iter()).fold(Caps::default(), |caps, cap| {
        let holder = Holder::ALL.into_iter().find(|it| it.name() == cap.holder);
        let good = Good::ALL.into_iter().find(|it| it.name() == cap.good);
        match holder.zip(good) {
            Some((holder, good)) => caps.with(holder, good, cap.amount),
            None => caps,
        }
    });
    Ok(Guard {
        caps,
        expiry: match settings.lifetimes.credential_expiry {
            settings::CredentialExpiry::Ignored => CredentialExpiry::Ignored,
            settings::CredentialExpiry::RefuseRefresh => CredentialExpiry::RefuseRefresh,
            settings::CredentialExpiry::EndSession => CredentialExpiry::EndSession,
        },
        // They depend on the listeners.
        clients: ClientLists::default(),
        replies: ReplyLimit::new(per_second, random_bytes()?).map(Arc::new),
    })
}

pub(crate) fn ranges(list: &[turn_config::IpRange]) -> Vec<IpRange> {
    list.iter()
        .filter_map(|range| IpRange::new(range.first(), range.last()))
        .collect()
}

/// Whom the operator believes.
fn credentials(auth: &settings::Auth) -> Credentials {
    let mut credentials = Credentials::new(&auth.realm).with_separator(auth.rest_separator);
    for user in &auth.users {
        credentials = match &user.password {
            settings::Password::Plain(password) => {
                credentials.with_user(&user.name, password.expose())
            }
            settings::Password::Key(key) => {
                credentials.with_key(&user.name, LongTermKey::from_bytes(*key.expose()))
            }
        };
    }
    if let Some(oauth) = &auth.oauth {
        credentials = credentials.with_tokens(token_keys(oauth));
    }
    for secret in &auth.secrets {
        credentials = credentials.with_secret(Secret::new(secret.expose().clone()));
    }
    credentials
}

/// The keys that open access tokens. All have the length of their algorithm by now.
fn token_keys(oauth: &settings::OAuth) -> TokenKeys {
    let mut keys = TokenKeys::new(&oauth.server_name);
    for held in &oauth.keys {
        let algorithm = match held.algorithm {
            settings::OAuthAlgorithm::A256Gcm => TokenAlgorithm::A256Gcm,
            settings::OAuthAlgorithm::A128Gcm => TokenAlgorithm::A128Gcm,
        };
        if let Some(key) = TokenKey::new(algorithm, held.key.expose(), held.expires_at) {
            keys = keys.with_key(&held.kid, key);
        }
    }
    keys
}

/// Where clients are sent instead of being served.
fn alternates(redirect: &settings::Redirect) -> Alternates {
    let list = |given: &[settings::Alternate]| {
        let alternates = given.iter().map(|given| Alternate {
            server: given.server,
            domain: given.domain.as_deref().map(Into::into),
        });
        alternates.collect()
    };
    Alternates {
        any: list(&redirect.any),
        udp: list(&redirect.udp),
        tcp: list(&redirect.tcp),
        tls: list(&redirect.tls),
    }
}

fn peers(
    peers: &settings::Peers,
    own: Vec<IpAddr>,
    relays: Vec<IpAddr>,
    control: Vec<SocketAddr>,
) -> PeerPolicy {
    PeerPolicy {
        allow: ranges(&peers.allowed),
        deny: ranges(&peers.denied),
        allow_loopback: peers.loopback,
        allow_private: peers.private,
        own,
        relays,
        control,
        nat64: (peers.nat64.iter())
            .filter_map(|(prefix, length)| Nat64Prefix::new(*prefix, *length))
            .collect(),
    }
}

/// Bytes that nobody can guess.
///
/// # Errors
/// When the system gives no random numbers.
pub fn random_bytes<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut key = [0; N];
    OsRng
        .try_fill_bytes(&mut key)
        .map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(key)
}

/// A word of `length` characters that can be typed and put into a URL, from a cryptographic generator.
pub fn random_word(length: usize) -> String {
    // No vowels and nothing that looks alike: it is read aloud and spells nothing.
    const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxyz23456789";
    let mut rng = rand::rng();
    (0..length)
        .filter_map(|_| LETTERS.get(rng.random_range(0..LETTERS.len())))
        .map(|byte| char::from(*byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use turn_config::settings::{GOODS, HOLDERS};
    use turn_proto::{Good, Holder};

    #[test]
    fn holders_and_goods_have_the_same_names_on_both_sides() {
        assert_eq!(Holder::ALL.map(Holder::name), HOLDERS);
        assert_eq!(Good::ALL.map(Good::name), GOODS);
    }
}
