//! The public address found by asking, at the start and again and again: an operator behind a NAT whose address changes need
//! not restart anything, and nobody has to know it beforehand.
//!
//! In: when it is asked, and what an answer means. Not in: what is done with it (`reload.rs`).

mod cloud;
mod stun;

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    time::Duration,
};

use tokio::{
    task::spawn_blocking,
    time::{Interval, MissedTickBehavior, interval},
};
use tracing::{info, warn};
use turn_config::settings::{External, ExternalSource, Relay};

use crate::addresses;

/// Public addresses that are remembered: peers and clients may know the server by an earlier one.
const REMEMBERED: usize = 8;

/// Whom to ask, and what was answered.
pub(crate) struct Finder {
    source: Option<ExternalSource>,
    /// Local addresses that are relayed from.
    relays: Vec<IpAddr>,
    found: Vec<External>,
    /// Nobody has answered lately, and that was said.
    in_vain: bool,
    ticks: Interval,
}

impl Finder {
    /// Asks for the first time, which takes some seconds where nobody answers. Must be called inside a tokio runtime.
    pub(crate) fn begin(relay: &Relay, relays: &[IpAddr]) -> Self {
        let mut ticks = interval(relay.ask_every.max(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is now, and it is asked now.
        ticks.reset();
        let mut finder = Self {
            source: relay.source.clone(),
            relays: relays.to_vec(),
            found: Vec::new(),
            in_vain: false,
            ticks,
        };
        if let Some(source) = &finder.source {
            let answered = ask(source, &finder.relays);
            finder.weigh(answered);
        }
        finder
    }

    /// What was found, the present address of each before its earlier ones.
    pub(crate) fn found(&self) -> &[External] {
        &self.found
    }

    /// Waits until another address is found; for ever where nobody is to be asked.
    pub(crate) async fn changed(&mut self) {
        let Some(source) = self.source.clone() else {
            return std::future::pending().await;
        };
        loop {
            self.ticks.tick().await;
            let (source, relays) = (source.clone(), self.relays.clone());
            let asked = spawn_blocking(move || ask(&source, &relays)).await;
            let answered = asked.unwrap_or_else(|error| Err(io::Error::other(error)));
            if self.weigh(answered) {
                return;
            }
        }
    }

    /// Takes an answer over; whether it says anything new. Who does not answer changes nothing.
    fn weigh(&mut self, answered: io::Result<Vec<External>>) -> bool {
        let answered = match answered {
            Ok(answered) => answered,
            Err(error) => {
                if !self.in_vain {
                    let known = self.found.is_empty();
                    let meanwhile = if known {
                        "none is known"
                    } else {
                        "the last one stays"
                    };
                    warn!(
                        "external-ip-from: the public address is not found ({error}); {meanwhile}"
                    );
                }
                self.in_vain = true;
                return false;
            }
        };
        self.in_vain = false;
        let present = |found: &[External], private| {
            found
                .iter()
                .find(|it: &&External| it.private == private)
                .map(|it| it.public)
        };
        let news: Vec<External> = (answered.into_iter())
            .filter(|it| present(&self.found, it.private) != Some(it.public))
            .collect();
        for one in &news {
            let External { public, private } = *one;
            let local = private.map_or_else(String::new, |private| format!(" of {private}"));
            match present(&self.found, private) {
                Some(old) => info!("the public address{local} is {public} now, and was {old}"),
                None => info!("the public address{local} is {public}"),
            }
            self.found.retain(|earlier| earlier != one);
            self.found.insert(0, *one);
        }
        self.found.truncate(REMEMBERED.max(self.relays.len()));
        !news.is_empty()
    }
}

/// Asks for the public address of each relay address.
fn ask(source: &ExternalSource, relays: &[IpAddr]) -> io::Result<Vec<External>> {
    let relays = relays.iter().copied().filter(|ip| !ip.is_loopback());
    let publics = match source {
        ExternalSource::Stun { host, port } => {
            let servers: Vec<SocketAddr> = (host.as_str(), *port).to_socket_addrs()?.collect();
            return stun::ask_each(&servers, relays);
        }
        ExternalSource::Interface(name) => addresses::of_interface(name)?,
        ExternalSource::Cloud(cloud) => vec![cloud::ask(*cloud)?],
    };
    let pair = |private: IpAddr| {
        let mut same = publics
            .iter()
            .filter(|it| it.is_ipv4() == private.is_ipv4());
        let private = Some(private);
        same.next().map(|&public| External { public, private })
    };
    let found: Vec<External> = relays.filter_map(pair).collect();
    if found.is_empty() {
        return Err(io::Error::other(
            "there is no address for the relay addresses' families",
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use turn_config::settings::External;

    use super::{Finder, interval, io};

    fn external(public: &str) -> External {
        External {
            public: public.parse().unwrap(),
            private: Some("10.0.0.1".parse().unwrap()),
        }
    }

    #[tokio::test]
    async fn the_present_address_comes_first_and_silence_changes_nothing() {
        let mut finder = Finder {
            source: None,
            relays: Vec::new(),
            found: Vec::new(),
            in_vain: false,
            ticks: interval(std::time::Duration::from_secs(1)),
        };
        let (one, other) = (external("203.0.113.1"), external("203.0.113.2"));
        assert!(finder.weigh(Ok(vec![one])));
        assert!(!finder.weigh(Ok(vec![one])));
        assert!(!finder.weigh(Err(io::Error::other("nobody"))));
        assert!(finder.weigh(Ok(vec![other])));
        assert_eq!(finder.found(), [other, one]);
        assert!(finder.weigh(Ok(vec![one])));
        assert_eq!(finder.found(), [one, other]);
    }
}
