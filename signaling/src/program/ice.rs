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
            if self.values.is_given("ice-url") {
                self.problem(
                    "ice-url",
                    "cannot stand beside ice-endpoint",
                    "Remove one of the two.",
                );
            }
            let key = self
                .lines("ice-endpoint-key-file")
                .into_iter()
                .next()
                .map(Secret::new);
            let url = url.with_path("/v1/ice");
            return IceSettings::Endpoint { url, key };
        }
        let mut urls = Vec::new();
        for text in self.values.texts("ice-url") {
            match text.parse::<IceUrl>() {
                Ok(url) => urls.push(url),
                Err(error) => self.problem(
                    "ice-url",
                    format!("{text:?} is {error}"),
                    "Write one of these forms.",
                ),
            }
        }
        let secrets: Vec<_> = self
            .lines("ice-secret-file")
            .into_iter()
            .map(|line| Secret::new(line.into_bytes()))
            .collect();
        if secrets.is_empty() && urls.iter().any(|url| url.scheme.is_turn()) {
            self.problem(
                "ice-url",
                "names a relay, for which clients need credentials",
                "Write --ice-secret-file=FILE with its static-auth-secret.",
            );
        }
        if urls.is_empty() {
            self.report.note(
                Origin::Default,
                "ice-url: none given; clients behind NATs will not reach each other",
            );
        }
        IceSettings::Fixed { urls, secrets }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;
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
}
