//! Settings of where ICE servers come from.
//!
//! In: the options and the files they name. Not in: the servers themselves (`ice_api`, `endpoint.rs`).

use ice_api::IceUrl;
use turn_auth::Secret;
use turn_config::Origin;

use super::settings::Reader;
use crate::WebUrl;

/// Where ICE servers come from.
pub enum IceSettings {
    /// These, with credentials minted here.
    Fixed {
        /// The servers.
        urls: Vec<IceUrl>,
        /// The secrets shared with the relays among them, newest first.
        secrets: Vec<Secret<Vec<u8>>>,
    },
    /// A `turnserver` is asked.
    Endpoint {
        /// Its address.
        url: WebUrl,
        /// The API key.
        key: Option<Secret<String>>,
    },
}

impl Reader<'_> {
    pub(super) fn ice(&mut self) -> IceSettings {
        if let Some(url) = self.service("ice-endpoint") {
            for other in ["ice-url", "ice-secret-file"] {
                if self.values.is_given(other) {
                    let remedy = "Remove one of the two.";
                    self.problem(other, "cannot stand beside ice-endpoint", remedy);
                }
            }
            let key = self
                .lines("ice-endpoint-key-file")
                .into_iter()
                .next()
                .map(Secret::new);
            let url = url.with_path("/v1/ice");
            return IceSettings::Endpoint { url, key };
        }
        if self.values.is_given("ice-endpoint-key-file") && !self.values.is_given("ice-endpoint") {
            let remedy = "Write --ice-endpoint=URL too, or remove it.";
            self.problem(
                "ice-endpoint-key-file",
                "there is no endpoint to show it to",
                remedy,
            );
        }
        let mut urls = Vec::new();
        let mut is_odd = false;
        for text in self.values.texts("ice-url") {
            match text.parse::<IceUrl>() {
                Ok(url) => urls.push(url),
                Err(error) => {
                    is_odd = true;
                    let remedy = "Write one of these forms.";
                    self.problem("ice-url", format!("{text:?} is {error}"), remedy);
                }
            }
        }
        let secrets: Vec<_> = self
            .lines("ice-secret-file")
            .into_iter()
            .map(|line| Secret::new(line.into_bytes()))
            .collect();
        let has_relay = urls.iter().any(|url: &IceUrl| url.scheme.is_turn());
        if self.values.is_given("ice-secret-file") && !has_relay && !is_odd {
            let remedy = "Write --ice-url=turn:HOST:3478 too, or remove it.";
            self.problem(
                "ice-secret-file",
                "there is no relay whose secret it could be",
                remedy,
            );
        }
        if secrets.is_empty() && has_relay {
            self.problem(
                "ice-url",
                "names a relay, for which clients need credentials",
                "Write --ice-secret-file=FILE with its static-auth-secret.",
            );
        }
        if urls.is_empty() {
            self.report.note(
                Origin::Default,
                "ice-url: none given; clients behind NATs will not reach each other. Write --ice-url=turn:HOST:3478 and \
                 --ice-secret-file=FILE, or --ice-endpoint=URL of a turnserver",
            );
        }
        IceSettings::Fixed { urls, secrets }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::{settings, try_parse};
    use super::*;

    #[test]
    fn an_endpoint_is_read_with_its_key() {
        let settings = settings(&[
            "--ice-endpoint=http://127.0.0.1:8081/v1/ice",
            "--ice-endpoint-key-file=key",
        ]);
        let IceSettings::Endpoint { url, key } = settings.ice else {
            panic!("no endpoint")
        };
        assert_eq!(url.to_string(), "http://127.0.0.1:8081/v1/ice");
        assert!(key.is_some());
    }

    #[test]
    fn what_belongs_to_a_relay_or_an_endpoint_is_of_no_use_without_it() {
        for args in [
            &["--ice-secret-file=key"][..],
            &["--ice-secret-file=key", "--ice-url=stun:h"],
            &["--ice-endpoint-key-file=key"],
            &["--ice-endpoint=http://h", "--ice-secret-file=key"],
        ] {
            assert!(try_parse(args).is_err(), "{args:?}");
        }
    }
}
