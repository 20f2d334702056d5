//! What users, networks and all together hold, over all workers: allocations, permissions and channels. A ticket stands for
//! one allocation and for its permissions and channels; dropping it gives all of them back.
//!
//! The map is behind a mutex: it is touched when an allocation is made or ends, never by a relayed packet.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    Capped, Caps, Good, Holder,
    meter::{Meter, Pace},
    network::network,
    resting::{Resting, Whose},
};

/// Counts what is held, and by whom.
#[derive(Debug, Default)]
pub struct Quotas {
    state: Mutex<State>,
    total: Arc<Account>,
}

#[derive(Debug, Default)]
struct State {
    /// Limits besides those of the configuration: the quotas that a server is made with.
    fixed: Caps,
    users: HashMap<Arc<str>, Arc<Account>>,
    networks: HashMap<u64, Arc<Account>>,
    /// The rates of those who have just left.
    resting: Resting,
    connections: HashMap<u64, u64>,
    all_connections: u64,
}

/// What one holder has.
#[derive(Debug, Default)]
struct Account {
    allocations: AtomicU64,
    permissions: AtomicU64,
    channels: AtomicU64,
    pace: Arc<Pace>,
}

/// One allocation, counted until dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    quotas: Arc<Quotas>,
    user: (Arc<str>, Arc<Account>),
    /// Only where networks are limited.
    network: Option<(u64, Arc<Account>)>,
    permissions: u64,
    channels: u64,
}

/// One connection of a client, counted until dropped.
#[derive(Debug)]
pub struct ConnectionTicket {
    quotas: Arc<Quotas>,
    network: u64,
}

impl Quotas {
    /// Makes a count with limits per user and in total; zero is unlimited.
    pub fn new(per_user: u32, total: u32) -> Arc<Self> {
        let quotas = Self::default();
        quotas.limit(per_user, total);
        Arc::new(quotas)
    }

    /// Changes the limits; what exceeds them already stays.
    pub fn limit(&self, per_user: u32, total: u32) {
        let fixed = Caps::default()
            .with(Holder::User, Good::Allocations, per_user.into())
            .with(Holder::Total, Good::Allocations, total.into());
        self.with(|state| state.fixed = fixed);
    }

    /// How many allocations are counted.
    pub fn count(&self) -> u32 {
        let count = self.total.allocations.load(Ordering::Relaxed);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Tells whether nothing at all is held: neither by anybody nor of anything.
    pub fn is_clear(&self) -> bool {
        self.with(|state| {
            state.users.is_empty() && state.networks.is_empty() && state.connections.is_empty()
        }) && [Good::Allocations, Good::Permissions, Good::Channels]
            .iter()
            .all(|good| self.total.held(*good).load(Ordering::Relaxed) == 0)
    }

    /// Counts one more allocation, unless that is one too many for anybody.
    pub(crate) fn claim(
        self: &Arc<Self>,
        caps: &Caps,
        user: &Arc<str>,
        client: IpAddr,
        now: Duration,
    ) -> Result<Ticket, Capped> {
        self.with(|state| {
            state.resting.forget(now);
            let resting = &state.resting;
            let returning = |whose| Account::of_pace(resting.of(&whose).unwrap_or_default());
            let known = state.users.get(user).map(Arc::clone);
            let account = known.unwrap_or_else(|| returning(Whose::User(Arc::clone(user))));
            let network = caps.has_networks().then(|| {
                let number = network(client);
                let known = state.networks.get(&number).map(Arc::clone);
                (
                    number,
                    known.unwrap_or_else(|| returning(Whose::Network(number))),
                )
            });
            let concerned = concerned(&self.total, (user, &account), network.as_ref());
            for (holder, account) in concerned.into_iter().flatten() {
                let held = account.allocations.load(Ordering::Relaxed);
                let reached = |caps: &Caps| {
                    let limit = caps.of(holder, Good::Allocations);
                    limit != 0 && held >= limit
                };
                if reached(caps) || reached(&state.fixed) {
                    let good = Good::Allocations;
                    return Err(Capped { holder, good });
                }
            }
            for (_, account) in concerned.into_iter().flatten() {
                account.allocations.fetch_add(1, Ordering::Relaxed);
            }
            if !user.is_empty() {
                state.users.insert(Arc::clone(user), Arc::clone(&account));
            }
            if let Some((number, account)) = &network {
                state.networks.insert(*number, Arc::clone(account));
            }
            Ok(Ticket {
                quotas: Arc::clone(self),
                user: (Arc::clone(user), account),
                network,
                permissions: 0,
                channels: 0,
            })
        })
    }

    /// Counts one more connection, unless that is one too many for its network or for all.
    pub(crate) fn connect(
        self: &Arc<Self>,
        caps: &Caps,
        client: IpAddr,
    ) -> Result<ConnectionTicket, Capped> {
        let network = network(client);
        self.with(|state| {
            let held = state.connections.get(&network).copied().unwrap_or(0);
            for (holder, held) in [
                (Holder::Network, held),
                (Holder::Total, state.all_connections),
            ] {
                let (good, limit) = (Good::Connections, caps.of(holder, Good::Connections));
                if limit != 0 && held >= limit {
                    return Err(Capped { holder, good });
                }
            }
            state.connections.insert(network, held + 1);
            state.all_connections += 1;
            Ok(ConnectionTicket {
                quotas: Arc::clone(self),
                network,
            })
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // Numbers are consistent after every step, so a panic elsewhere does not spoil them.
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Account {
    fn of_pace(pace: Arc<Pace>) -> Arc<Self> {
        Arc::new(Self {
            pace,
            ..Self::default()
        })
    }

    fn held(&self, good: Good) -> &AtomicU64 {
        match good {
            Good::Permissions => &self.permissions,
            Good::Channels => &self.channels,
            _ => &self.allocations,
        }
    }
}

impl Ticket {
    /// Counts more permissions or channels, all or none.
    pub(crate) fn grow(&mut self, caps: &Caps, good: Good, more: usize) -> Result<(), Capped> {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        for (place, (holder, account)) in self.accounts().into_iter().flatten().enumerate() {
            let limit = caps.of(holder, good);
            let fits = |held: u64| {
                let sum = held.checked_add(more)?;
                (limit == 0 || sum <= limit || more == 0).then_some(sum)
            };
            let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
            if account.held(good).fetch_update(set, fetch, fits).is_err() {
                for (_, account) in self.accounts().into_iter().flatten().take(place) {
                    account.held(good).fetch_sub(more, Ordering::Relaxed);
                }
                return Err(Capped { holder, good });
            }
        }
        if good == Good::Permissions {
            self.permissions += more;
        } else {
            self.channels += more;
        }
        Ok(())
    }

    /// Gives back what the allocation does not hold any more.
    pub(crate) fn settle(&mut self, permissions: usize, channels: usize) {
        let now = |held: usize| u64::try_from(held).unwrap_or(u64::MAX);
        let (permissions, channels) = (now(permissions), now(channels));
        for (good, less) in [
            (
                Good::Permissions,
                self.permissions.saturating_sub(permissions),
            ),
            (Good::Channels, self.channels.saturating_sub(channels)),
        ] {
            for (_, account) in self.accounts().into_iter().flatten().filter(|_| less > 0) {
                account.held(good).fetch_sub(less, Ordering::Relaxed);
            }
        }
        self.permissions = self.permissions.min(permissions);
        self.channels = self.channels.min(channels);
    }

    /// A meter for the session, where any rate is limited.
    pub(crate) fn meter(&self, caps: &Caps) -> Option<Box<Meter>> {
        let pace = |account: &Arc<Account>| Arc::clone(&account.pace);
        let network = self.network.as_ref().map(|(_, account)| pace(account));
        let meter = || Meter::new(pace(&self.user.1), network, pace(&self.quotas.total));
        caps.has_rates().then(|| Box::new(meter()))
    }

    fn accounts(&self) -> [Option<(Holder, &Account)>; 3] {
        let (name, account) = &self.user;
        concerned(&self.quotas.total, (name, account), self.network.as_ref())
    }
}

/// All accounts that an allocation is counted in. Nobody in particular, by an access token or without authentication, counts
/// in total and in his network only (coturn does the same).
fn concerned<'a>(
    total: &'a Account,
    (name, user): (&str, &'a Account),
    network: Option<&'a (u64, Arc<Account>)>,
) -> [Option<(Holder, &'a Account)>; 3] {
    [
        Some((Holder::Total, total)),
        (!name.is_empty()).then_some((Holder::User, user)),
        network.map(|(_, account)| (Holder::Network, &**account)),
    ]
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.settle(0, 0);
        self.quotas.with(|state| {
            let mut last = [false; 3];
            for (last, account) in last.iter_mut().zip(self.accounts()) {
                *last = account.is_some_and(|(_, account)| {
                    account.allocations.fetch_sub(1, Ordering::Relaxed) == 1
                });
            }
            if last[1] {
                let (name, account) = &self.user;
                state.users.remove(name);
                (state.resting).keep(Whose::User(Arc::clone(name)), &account.pace);
            }
            if let (true, Some((number, account))) = (last[2], &self.network) {
                state.networks.remove(number);
                (state.resting).keep(Whose::Network(*number), &account.pace);
            }
        });
    }
}

impl Drop for ConnectionTicket {
    fn drop(&mut self) {
        self.quotas.with(|state| {
            state.all_connections = state.all_connections.saturating_sub(1);
            if let Some(held) = state.connections.get_mut(&self.network) {
                *held = held.saturating_sub(1);
                if *held == 0 {
                    state.connections.remove(&self.network);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc, time::Duration};

    use super::Quotas;
    use crate::{Capped, Caps, Good, Holder};

    const NOW: Duration = Duration::from_secs(1);
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn capped(holder: Holder, good: Good) -> Capped {
        Capped { holder, good }
    }

    fn names() -> [Arc<str>; 2] {
        ["ann".into(), "bob".into()]
    }

    #[test]
    fn limits_hold_and_tickets_come_back() {
        let quotas = Quotas::new(2, 3);
        let [ann, bob] = names();
        let claim = |user| quotas.claim(&Caps::default(), user, HERE, NOW);
        let first = claim(&ann).unwrap();
        let _second = claim(&ann).unwrap();
        let user = capped(Holder::User, Good::Allocations);
        assert_eq!(claim(&ann).unwrap_err(), user);
        let _third = claim(&bob).unwrap();
        let total = capped(Holder::Total, Good::Allocations);
        assert_eq!(claim(&bob).unwrap_err(), total);
        drop(first);
        assert_eq!(quotas.count(), 2);
        assert!(claim(&ann).is_ok());
    }

    #[test]
    fn a_network_has_its_share_whoever_its_users_are() {
        let quotas = Quotas::new(0, 0);
        let [ann, bob] = names();
        let caps = Caps::default().with(Holder::Network, Good::Allocations, 1);
        let claim = |user, from: &str| quotas.claim(&caps, user, from.parse().unwrap(), NOW);
        let first = claim(&ann, "192.0.2.1").unwrap();
        let network = capped(Holder::Network, Good::Allocations);
        assert_eq!(claim(&bob, "192.0.2.200").unwrap_err(), network);
        let _elsewhere = claim(&bob, "192.0.3.1").unwrap();
        drop(first);
        let _again = claim(&bob, "192.0.2.200").unwrap();
        assert_eq!(quotas.count(), 2);
    }

    #[test]
    fn permissions_and_channels_are_counted_for_all_or_none_and_given_back() {
        let quotas = Quotas::new(0, 0);
        let [ann, bob] = names();
        for good in [Good::Permissions, Good::Channels] {
            let caps = Caps::default()
                .with(Holder::User, good, 5)
                .with(Holder::Total, good, 8);
            let mut first = quotas.claim(&caps, &ann, HERE, NOW).unwrap();
            let mut second = quotas.claim(&caps, &ann, HERE, NOW).unwrap();
            let mut other = quotas.claim(&caps, &bob, HERE, NOW).unwrap();
            assert_eq!(first.grow(&caps, good, 3), Ok(()));
            let user = capped(Holder::User, good);
            assert_eq!(second.grow(&caps, good, 3), Err(user));
            assert_eq!(second.grow(&caps, good, 2), Ok(()));
            let total = capped(Holder::Total, good);
            assert_eq!(other.grow(&caps, good, 4), Err(total));
            assert_eq!(other.grow(&caps, good, 3), Ok(()));
            first.settle(2, 2);
            assert_eq!(second.grow(&caps, good, 1), Ok(()));
            assert_eq!(second.grow(&caps, good, 1), Err(total));
            drop((first, second));
            assert_eq!(other.grow(&caps, good, 2), Ok(()));
            drop(other);
            assert!(quotas.is_clear());
        }
    }

    #[test]
    fn connections_are_counted_per_network_and_in_total() {
        let quotas = Quotas::new(0, 0);
        let caps = Caps::default()
            .with(Holder::Network, Good::Connections, 2)
            .with(Holder::Total, Good::Connections, 3);
        let connect = |from: &str| quotas.connect(&caps, from.parse().unwrap());
        let held = [connect("192.0.2.1").unwrap(), connect("192.0.2.2").unwrap()];
        let network = capped(Holder::Network, Good::Connections);
        assert_eq!(connect("192.0.2.3").unwrap_err(), network);
        let _third = connect("::1").unwrap();
        let total = capped(Holder::Total, Good::Connections);
        assert_eq!(connect("::2").unwrap_err(), total);
        drop(held);
        assert!(connect("192.0.2.3").is_ok());
    }

    #[test]
    fn many_threads_give_back_exactly_what_they_took() {
        let quotas = Quotas::new(0, 0);
        let caps = Caps::default()
            .with(Holder::Network, Good::Allocations, 40)
            .with(Holder::User, Good::Permissions, 100);
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let (quotas, caps) = (&quotas, &caps);
                scope.spawn(move || {
                    let users = names();
                    for turn in 0..2_000_u16 {
                        let user = &users[usize::from(turn) % 2];
                        let client = [192, 0, 2, thread].into();
                        let Ok(mut ticket) = quotas.claim(caps, user, client, NOW) else {
                            continue;
                        };
                        let _ = ticket.grow(caps, Good::Permissions, usize::from(turn % 90));
                        ticket.settle(usize::from(turn % 30), 0);
                    }
                });
            }
        });
        assert!(quotas.is_clear());
    }

    #[test]
    fn users_without_a_name_share_no_limit_but_the_total() {
        let quotas = Quotas::new(1, 3);
        let claim = || quotas.claim(&Caps::default(), &"".into(), HERE, NOW);
        let held: Vec<_> = (0..3).map(|_| claim().unwrap()).collect();
        let total = capped(Holder::Total, Good::Allocations);
        assert_eq!(claim().unwrap_err(), total);
        drop(held);
        assert!(quotas.is_clear());
    }
}
