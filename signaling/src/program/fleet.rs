//! Settings of a process that is one of many.
//!
//! In: where the others are met, and what this one is called. Not in: what they tell each other (`fleet`).

use std::net::SocketAddr;

use turn_auth::Secret;

use super::settings::Reader;
use crate::hub::Name;
use crate::{Fleet, RedisAddress, Trust};

/// Where Redis listens if nobody says otherwise.
const PORT: u16 = 6379;

impl Reader<'_> {
    pub(super) fn fleet(&mut self, listen: &[SocketAddr]) -> Option<Fleet> {
        let Some(url) = self.values.text("redis-url") else {
            for needs in ["redis-password-file", "node-name"] {
                if self.values.text(needs).is_some() {
                    let remedy = "Write --redis-url=redis://HOST too, or leave this out.";
                    self.problem(needs, "there is no Redis to use it for", remedy);
                }
            }
            return None;
        };
        let password = self.lines("redis-password-file").into_iter().next();
        let node = self.node_name(listen);
        let Some(redis) = address(&url) else {
            let remedy = "Write redis://HOST, redis://HOST:PORT or redis://USER@HOST:PORT/DB, with TLS rediss://… \
                 Passwords go into --redis-password-file.";
            self.problem("redis-url", "this is no address of a Redis", remedy);
            return None;
        };
        Some(Fleet {
            redis: RedisAddress {
                password: password.map(Secret::new),
                tls: redis.tls.map(|_| self.trust()),
                ..redis
            },
            node: node?,
        })
    }

    /// The name that is given, or one that is the same again after a restart, and another in each process of a host.
    fn node_name(&mut self, listen: &[SocketAddr]) -> Option<Name> {
        let host = rustix::system::uname();
        let port = listen.first().map_or(0, SocketAddr::port);
        let own = || format!("{}:{port}", host.nodename().to_string_lossy());
        let name = Name::parse(&self.values.text("node-name").unwrap_or_else(own));
        if name.is_none() {
            let remedy = "Write at most 128 bytes of text.";
            self.problem("node-name", "this is no name", remedy);
        }
        name
    }
}

/// Reads a URL without a password in it: command lines are seen by everybody.
fn address(url: &str) -> Option<RedisAddress> {
    let (tls, rest) = match url.split_once("://")? {
        ("redis", rest) => (None, rest),
        ("rediss", rest) => (Some(Trust::default()), rest),
        _ => return None,
    };
    let (rest, database) = match rest.split_once('/') {
        Some((rest, "")) => (rest, 0),
        Some((rest, number)) => (rest, number.parse().ok()?),
        None => (rest, 0),
    };
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, _)) if user.is_empty() || user.contains(':') => return None,
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, rest),
    };
    let (host, port) = match place.rsplit_once(':') {
        // An IPv6 address without a port.
        Some(_) if place.ends_with(']') => (place, PORT),
        Some((host, port)) => (host, port.parse().ok()?),
        None => (place, PORT),
    };
    let host = host
        .strip_prefix('[')
        .map_or(Some(host), |host| host.strip_suffix(']'))?;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    (!host.is_empty() && host.chars().all(is_plain)).then(|| RedisAddress {
        host: host.to_owned(),
        port,
        database,
        user,
        password: None,
        tls,
    })
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::try_parse;
    use super::*;

    #[test]
    fn an_address_has_a_host_and_perhaps_more() {
        for (url, host, port, database, user) in [
            ("redis://localhost", "localhost", 6379, 0, None),
            ("redis://10.0.0.7:7000/", "10.0.0.7", 7000, 0, None),
            ("redis://[::1]", "::1", 6379, 0, None),
            (
                "redis://app@[2001:db8::1]:7001/3",
                "2001:db8::1",
                7001,
                3,
                Some("app"),
            ),
            ("rediss://r.example.org/1", "r.example.org", 6379, 1, None),
        ] {
            let read = address(url).unwrap();
            let read = (
                read.host.as_str(),
                read.port,
                read.database,
                read.user.as_deref(),
            );
            assert_eq!(read, (host, port, database, user), "{url}");
            let tls = address(url).unwrap().tls.is_some();
            assert_eq!(tls, url.starts_with("rediss://"), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_and_a_password_in_it_are_refused() {
        for url in [
            "",
            "localhost:6379",
            "redisss://localhost",
            "redis://",
            "rediss://",
            "redis://:6379",
            "redis://host:port",
            "redis://host:65536",
            "redis://host/db",
            "redis://user:secret@host",
            "redis://:secret@host",
            "redis://[::1",
            "redis://ho st",
        ] {
            assert!(address(url).is_none(), "{url}");
        }
    }

    #[test]
    fn what_belongs_to_redis_is_of_no_use_without_it() {
        for args in [
            &["--node-name=n1"][..],
            &["--redis-password-file=word"],
            &["--redis-url=redis://u:p@host"],
            &["--redis-url=redis://host", "--node-name="],
        ] {
            assert!(try_parse(args).is_err(), "{args:?}");
        }
    }
}
