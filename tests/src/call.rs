//! Two browsers in one call on the served page, and the questions that every such test asks.
//!
//! Which network they are in, and what the answers have to be, is the test's business.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fmt, thread};

use anyhow::{Context, Result, bail, ensure};

use crate::browser::{Kind, Page, PeerStats};
use crate::certificate::{Authority, Certificate};
use crate::netns::Namespace;
use crate::server::Server;

/// A call on two busy cores comes up in a few seconds; this is for the day when nothing else fits on the machine.
const CONNECT: Duration = Duration::from_secs(45);
const CHAT: Duration = Duration::from_secs(15);
/// For how long media is watched.
const WATCHED: Duration = Duration::from_secs(5);

/// `turnserver` without arguments: relay, credentials, signaling and pages.
#[derive(Debug)]
pub struct Quickstart {
    /// The running program.
    pub server: Server,
    key: String,
}

impl Quickstart {
    /// Starts it inside `space` without any argument and reads the join key from what it prints.
    ///
    /// # Errors
    /// When it does not start or prints no key.
    pub fn start(space: &Namespace) -> Result<Self> {
        Self::told(Server::quickstart(space, &[])?)
    }

    /// Starts it with the one flag that quickstart lacks for a test that counts: Prometheus on its port.
    ///
    /// # Errors
    /// As [`Quickstart::start`].
    pub fn with_metrics(space: &Namespace) -> Result<Self> {
        Self::told(Server::quickstart(
            space,
            &["--quickstart", "--prometheus"],
        )?)
    }

    /// Starts it with a control socket.
    ///
    /// # Errors
    /// As [`Quickstart::start`].
    pub fn with_control(space: &Namespace, socket: &Path) -> Result<Self> {
        let socket = format!("--control-socket={}", socket.display());
        Self::told(Server::quickstart(space, &["--quickstart", &socket])?)
    }

    /// Starts it with all allocations on one relay port, as in a container that publishes one.
    ///
    /// # Errors
    /// As [`Quickstart::start`].
    pub fn with_one_relay_port(space: &Namespace) -> Result<Self> {
        let flags = [
            "--quickstart",
            "--multiplex-peer",
            "--multiplex-peer-ports=1",
        ];
        Self::told(Server::quickstart(space, &flags)?)
    }

    /// Starts it with its pages on port 443 too, where TURN over TLS is.
    ///
    /// # Errors
    /// As [`Quickstart::start`].
    pub fn with_https(space: &Namespace, certificate: &Certificate) -> Result<Self> {
        let [cert, pkey] = certificate.flags();
        let flags = [
            "--quickstart",
            "--https",
            "--tls-listening-port=443",
            &cert,
            &pkey,
        ];
        Self::told(Server::quickstart(space, &flags)?)
    }

    fn told(mut server: Server) -> Result<Self> {
        const LABEL: &str = "Join key";
        server.wait_for_output(LABEL)?;
        let printed = server.output();
        let rest = printed.split(LABEL).nth(1).unwrap_or_default();
        let key = rest
            .split_whitespace()
            .next()
            .with_context(|| format!("no key in:\n{printed}"))?
            .to_owned();
        Ok(Self { server, key })
    }

    /// Tells the join key of this run.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Makes the address of a page as seen from a host that reaches the server as `host`; the key is in it.
    pub fn url(&self, host: IpAddr, page: &str, query: &str) -> String {
        let host = if host.is_loopback() {
            "localhost".to_owned()
        } else {
            bracketed(host)
        };
        format!("http://{host}:8080/{page}?key={}&{query}", self.key)
    }

    /// The same over TLS, on the port that browsers take by themselves, of a host with a name.
    pub fn secure_url(&self, name: &str, page: &str, query: &str) -> String {
        format!("https://{name}/{page}?key={}&{query}", self.key)
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// Two pages in one room.
#[derive(Debug)]
pub struct Call {
    /// The page that came first.
    pub one: Page,
    /// The page that came second.
    pub other: Page,
}

/// What both pages measured over the watched time.
#[derive(Debug)]
pub struct Measured {
    /// Before and after, at the first page.
    pub one: [PeerStats; 2],
    /// Before and after, at the second page.
    pub other: [PeerStats; 2],
}

impl Call {
    /// Opens the call page of the server at `host` in two browsers; `relay_only` forbids them every other path.
    ///
    /// # Errors
    /// When a browser or a page does not come up.
    pub fn open(
        quickstart: &Quickstart,
        host: IpAddr,
        places: [(&Namespace, Kind); 2],
        relay_only: bool,
    ) -> Result<Self> {
        let relay = if relay_only { "&relay=1" } else { "" };
        let url =
            |name: &str| quickstart.url(host, "call", &format!("room=lab&name={name}{relay}"));
        Self::pages(places, url, None)
    }

    /// Opens the call page over TLS at a host with a name, in browsers whose users trust one more authority.
    ///
    /// # Errors
    /// As [`Call::open`].
    pub fn open_secure(
        quickstart: &Quickstart,
        name: &str,
        places: [(&Namespace, Kind); 2],
        authority: &Authority,
    ) -> Result<Self> {
        let url =
            |page: &str| quickstart.secure_url(name, "call", &format!("room=lab&name={page}"));
        Self::pages(places, url, Some(authority))
    }

    fn pages(
        places: [(&Namespace, Kind); 2],
        url: impl Fn(&str) -> String,
        authority: Option<&Authority>,
    ) -> Result<Self> {
        let [(one_space, one_kind), (other_space, other_kind)] = places;
        let one = Page::open_trusting(one_space, one_kind, &url("one"), authority)?;
        let other = Page::open_trusting(other_space, other_kind, &url("other"), authority)?;
        Ok(Self { one, other })
    }

    /// Waits until both pages say that they are connected.
    ///
    /// # Errors
    /// When one of them does not in time.
    pub fn connected(&mut self) -> Result<()> {
        self.one.connected(CONNECT)?;
        self.other.connected(CONNECT)
    }

    /// Waits until both pages know of each other, so that nothing but the path between them is missing.
    ///
    /// # Errors
    /// When signaling does not bring them together in time.
    pub fn introduced(&mut self) -> Result<()> {
        let both_there = "window.turnpike?.peers().length === 1";
        self.one.wait_for(both_there, CONNECT)?;
        self.other.wait_for(both_there, CONNECT)
    }

    /// Watches for a while and makes sure that neither page ever connects.
    ///
    /// # Errors
    /// When one does.
    pub fn stays_apart(&mut self, watched: Duration) -> Result<()> {
        let deadline = Instant::now() + watched;
        while Instant::now() < deadline {
            for page in [&mut self.one, &mut self.other] {
                let state = page.evaluate("document.querySelector('main').dataset.state")?;
                ensure!(
                    state != "connected",
                    "the pages are connected although nothing connects them: {:?}",
                    page.stats()
                );
            }
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// Measures for five seconds and makes sure that video is decoded and bytes arrive on both sides.
    ///
    /// # Errors
    /// When a counter stands still.
    pub fn media_flows(&mut self) -> Result<Measured> {
        // Decoding may begin a moment after the path is up.
        for page in [&mut self.one, &mut self.other] {
            page.wait_for("window.turnpike.stats().then((peers) => peers.some((peer) => peer.framesDecoded > 0))", CONNECT)?;
        }
        let before = [self.one.peer_stats()?, self.other.peer_stats()?];
        thread::sleep(WATCHED);
        let after = [self.one.peer_stats()?, self.other.peer_stats()?];
        for (before, after) in before.iter().zip(&after) {
            let grew = after.frames_decoded > before.frames_decoded
                && after.bytes_received > before.bytes_received;
            ensure!(grew, "media stands still: {before:?} then {after:?}");
        }
        let [one_before, other_before] = before;
        let [one_after, other_after] = after;
        Ok(Measured {
            one: [one_before, one_after],
            other: [other_before, other_after],
        })
    }

    /// Sends a chat message over the data channel in each direction and waits for it at the other end.
    ///
    /// # Errors
    /// When one does not arrive.
    pub fn chat_arrives(&mut self) -> Result<()> {
        self.one.send_chat("from one")?;
        self.other.send_chat("from the other")?;
        self.other.received_chat("from one", CHAT)?;
        self.one.received_chat("from the other", CHAT)
    }
}

impl Measured {
    /// Tells the types of the candidates in use, of both sides of both pages.
    pub fn candidate_types(&self) -> BTreeSet<String> {
        self.last()
            .iter()
            .flat_map(|stats| [&stats.local_candidate_type, &stats.remote_candidate_type])
            .flatten()
            .cloned()
            .collect()
    }

    /// Makes sure that both pages use a relay, their own and the other's.
    ///
    /// # Errors
    /// When any candidate in use is of another type or unknown.
    pub fn relay_to_relay(&self) -> Result<()> {
        for stats in self.last() {
            let types = [
                stats.local_candidate_type.as_deref(),
                stats.remote_candidate_type.as_deref(),
            ];
            ensure!(
                types == [Some("relay"), Some("relay")],
                "not relayed at both ends: {self}"
            );
        }
        Ok(())
    }

    /// Makes sure that media takes a relay on at least one side, and tells nothing about the other.
    ///
    /// # Errors
    /// When the pages talk directly.
    pub fn relayed(&self) -> Result<()> {
        ensure!(
            self.candidate_types().contains("relay"),
            "not relayed: {self}"
        );
        Ok(())
    }

    /// Makes sure that no relay is in the path.
    ///
    /// # Errors
    /// When one is, or a page does not know.
    pub fn direct(&self) -> Result<()> {
        for stats in self.last() {
            let (Some(local), Some(remote)) =
                (&stats.local_candidate_type, &stats.remote_candidate_type)
            else {
                bail!("no selected pair: {self}");
            };
            ensure!(local != "relay" && remote != "relay", "relayed: {self}");
        }
        Ok(())
    }

    /// Makes sure that both pages speak `protocol` to the relay.
    ///
    /// # Errors
    /// When one speaks another, or no relay is in use.
    pub fn relay_protocol(&self, protocol: &str) -> Result<()> {
        for stats in self.last() {
            ensure!(
                stats.relay_protocol.as_deref() == Some(protocol),
                "expected {protocol} to the relay: {self}"
            );
        }
        Ok(())
    }

    /// Sums the media bytes that arrived at both pages during the watched time.
    pub fn bytes(&self) -> u64 {
        let grown = |[before, after]: &[PeerStats; 2]| {
            after.bytes_received.saturating_sub(before.bytes_received)
        };
        grown(&self.one) + grown(&self.other)
    }

    fn last(&self) -> [&PeerStats; 2] {
        let ([_, one], [_, other]) = (&self.one, &self.other);
        [one, other]
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = self.last();
        write!(formatter, "one: {one:?}, other: {other:?}")
    }
}
