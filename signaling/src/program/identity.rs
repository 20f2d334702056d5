//! Who clients are, as the operator wants it: from options to what is checked.
//!
//! In: the options of `--auth`, and reading secrets again. Not in: checking tokens (`identity`).

use std::path::PathBuf;
use std::sync::Arc;

use tracing::{info, warn};
use turn_auth::Secret;

use super::settings::{Reader, lines_of};
use crate::{CallOut, Expected, Freshness, Identification, KeySource, SecretKeys, Tokens, WebUrl};

/// How users become known.
pub enum IdentitySettings {
    /// The token is the user's name.
    Anonymous,
    /// The token is signed.
    Tokens {
        /// The file with the secrets, and what is in it.
        secrets: Option<(PathBuf, Vec<Secret<String>>)>,
        /// Where public keys are.
        keys: Option<WebUrl>,
        /// What tokens have to say besides.
        expected: Expected,
    },
    /// A service is asked.
    CallOut {
        /// Its address.
        url: WebUrl,
        /// Our credentials there.
        key: Option<Secret<String>>,
    },
}

impl Reader<'_> {
    pub(super) fn identity(&mut self) -> IdentitySettings {
        let auth = self.values.text("auth").unwrap_or_default();
        for (long, its) in [
            ("jwt-secret-file", "jwt"),
            ("jwks-url", "jwt"),
            ("jwt-issuer", "jwt"),
            ("jwt-audience", "jwt"),
            ("auth-url", "callout"),
            ("auth-key-file", "callout"),
        ] {
            if its != auth && self.values.is_given(long) {
                let remedy = format!("Write --auth={its}, or remove it.");
                self.problem(long, format!("means nothing with --auth={auth}"), &remedy);
            }
        }
        match auth.as_str() {
            "jwt" => self.tokens(),
            "callout" => self.call_out(),
            _ => IdentitySettings::Anonymous,
        }
    }

    fn tokens(&mut self) -> IdentitySettings {
        let file = self.values.text("jwt-secret-file").map(PathBuf::from);
        let lines = self.lines("jwt-secret-file");
        // RFC 7518 §3.2: a key of the hash's size or larger; what is shorter is found by trying.
        if lines.iter().any(|secret| secret.len() < 32) {
            let remedy = "Make one with `openssl rand -hex 32`.";
            self.problem(
                "jwt-secret-file",
                "has a secret of less than 32 bytes",
                remedy,
            );
        }
        let keys = self.service("jwks-url");
        if file.is_none() && keys.is_none() {
            let remedy = "Write --jwt-secret-file=FILE or --jwks-url=URL.";
            self.problem("auth", "jwt has nothing to check tokens with", remedy);
        }
        IdentitySettings::Tokens {
            secrets: file.map(|file| (file, lines.into_iter().map(Secret::new).collect())),
            keys,
            expected: Expected {
                issuer: self.values.text("jwt-issuer"),
                audience: self.values.text("jwt-audience"),
            },
        }
    }

    fn call_out(&mut self) -> IdentitySettings {
        let Some(url) = self.service("auth-url") else {
            let remedy = "Write --auth-url=URL.";
            self.problem("auth", "callout has nobody to ask", remedy);
            return IdentitySettings::Anonymous;
        };
        let key = self.lines("auth-key-file").into_iter().next();
        IdentitySettings::CallOut {
            url,
            key: key.map(Secret::new),
        }
    }

    /// The service that an option names.
    pub(super) fn service(&mut self, long: &str) -> Option<WebUrl> {
        let text = self.values.text(long)?;
        let url = text.parse::<WebUrl>();
        if let Err(error) = &url {
            let remedy = "Write for example https://auth.example.org/path.";
            self.problem(long, format!("{text:?} is {error}"), remedy);
        }
        Some(url.ok()?.trusting(self.trust()))
    }
}

/// What the program checks tokens with, and how it takes new secrets.
pub(super) struct Identity {
    pub(super) identification: Identification,
    secrets: Option<(PathBuf, Arc<Tokens>)>,
}

impl Identity {
    pub(super) fn new(settings: IdentitySettings) -> Identity {
        let (identification, secrets) = match settings {
            IdentitySettings::Anonymous => (Identification::Anonymous, None),
            IdentitySettings::CallOut { url, key } => {
                let callout = CallOut::new(url, key);
                (Identification::CallOut(Arc::new(callout)), None)
            }
            IdentitySettings::Tokens {
                secrets,
                keys,
                expected,
            } => {
                let lines = secrets.as_ref().map_or(&[][..], |(_, lines)| lines);
                let tokens = Arc::new(Tokens {
                    secrets: SecretKeys::new(lines),
                    published: keys.map(|url| KeySource::new(url, Freshness::default())),
                    expected,
                });
                let file = secrets.map(|(file, _)| (file, Arc::clone(&tokens)));
                (Identification::Tokens(tokens), file)
            }
        };
        Identity {
            identification,
            secrets,
        }
    }

    /// Reads the secrets again; what cannot be used changes nothing.
    pub(super) fn reload(&self) {
        let Some((file, tokens)) = &self.secrets else {
            info!("nothing to read again: there is no --jwt-secret-file");
            return;
        };
        let name = file.display();
        match std::fs::read(file).map(|bytes| lines_of(&bytes)) {
            Ok(lines) if lines.is_empty() => warn!("{name} is empty; the secrets stay as they are"),
            Ok(lines) => {
                info!(secrets = lines.len(), "{name} read again");
                let secrets: Vec<_> = lines.into_iter().map(Secret::new).collect();
                tokens.secrets.replace(&secrets);
            }
            Err(error) => warn!("{name} cannot be read: {error}; the secrets stay as they are"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;
    use super::*;

    #[test]
    fn the_ways_to_know_users_are_read() {
        let long = "0123456789abcdef0123456789abcdef";
        let file = format!("--jwt-secret-file={long}");
        let jwt = settings(&[
            "--auth=jwt",
            &file,
            "--jwks-url=https://auth.example.org/jwks.json",
            "--jwt-issuer=i",
            "--jwt-audience=a",
        ]);
        let IdentitySettings::Tokens {
            secrets,
            keys,
            expected,
        } = jwt.identity
        else {
            panic!("no tokens")
        };
        assert_eq!(secrets.unwrap().1.len(), 2);
        assert_eq!(
            keys.unwrap().to_string(),
            "https://auth.example.org:443/jwks.json"
        );
        assert_eq!(expected.issuer.as_deref(), Some("i"));
        assert_eq!(expected.audience.as_deref(), Some("a"));
        let callout = settings(&[
            "--auth=callout",
            "--auth-url=http://h/who",
            "--auth-key-file=key",
        ]);
        let IdentitySettings::CallOut { url, key } = callout.identity else {
            panic!("nobody is called")
        };
        assert_eq!(
            (url.to_string().as_str(), key.is_some()),
            ("http://h:80/who", true)
        );
        assert!(
            !callout
                .warnings
                .iter()
                .any(|warning| warning.text.contains("join-key-file"))
        );
    }
}
