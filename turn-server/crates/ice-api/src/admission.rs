//! Who is given a configuration.
//!
//! In: API keys, and quickstart's rule (the machine itself freely, others with this run's token). Not in: reading header fields (`router.rs`).

use subtle::{Choice, ConstantTimeEq};
use turn_auth::Secret;

/// Who is given a configuration. Without keys and without quickstart: nobody, so that forgetting to configure it opens nothing.
#[derive(Default)]
pub struct Admission {
    api_keys: Vec<Secret<String>>,
    run_token: Option<Secret<String>>,
}

/// What one request shows of itself.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// What stood behind `Authorization: Bearer`.
    pub bearer: Option<&'a str>,
    /// The token of the query.
    pub token: Option<&'a str>,
    /// Made on this machine ([`crate::is_local`]), and not by a page of a foreign origin.
    pub trusted_local: bool,
}

impl Admission {
    /// Admits the holders of `keys`.
    pub fn keys(keys: impl IntoIterator<Item = Secret<String>>) -> Admission {
        Admission {
            api_keys: keys.into_iter().collect(),
            run_token: None,
        }
    }

    /// Admits the machine itself, and others with this run's `token`, besides.
    pub fn with_quickstart(mut self, token: Secret<String>) -> Admission {
        self.run_token = Some(token);
        self
    }

    /// Says whether `caller` is served. How long it takes does not depend on which key nearly matched.
    pub fn admits(&self, caller: &Caller<'_>) -> bool {
        if self.run_token.is_some() && caller.trusted_local {
            return true;
        }
        let mut found = Choice::from(0);
        for key in self.api_keys.iter().chain(&self.run_token) {
            found |= matches(key, caller.bearer);
        }
        // A key is worth more than a run's token, and query strings end up in logs: keys are read from the header only.
        if let Some(token) = &self.run_token {
            found |= matches(token, caller.token);
        }
        found.into()
    }
}

fn matches(key: &Secret<String>, shown: Option<&str>) -> Choice {
    let key = key.expose().as_bytes();
    let usable = Choice::from(u8::from(!key.is_empty()));
    usable & key.ct_eq(shown.unwrap_or_default().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Caller<'_> = Caller {
        bearer: None,
        token: None,
        trusted_local: false,
    };

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn without_keys_nobody_is_admitted() {
        let admission = Admission::default();
        assert!(!admission.admits(&NOBODY));
        assert!(!admission.admits(&Caller {
            trusted_local: true,
            ..NOBODY
        }));
        assert!(!admission.admits(&Caller {
            bearer: Some(""),
            ..NOBODY
        }));
    }

    #[test]
    fn every_key_admits_and_nothing_else_does() {
        let admission = Admission::keys([secret("one"), secret("two")]);
        for (bearer, expected) in [
            (Some("one"), true),
            (Some("two"), true),
            (Some("on"), false),
            (Some("onee"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(
                admission.admits(&Caller { bearer, ..NOBODY }),
                expected,
                "{bearer:?}"
            );
        }
        assert!(
            !admission.admits(&Caller {
                token: Some("one"),
                ..NOBODY
            }),
            "keys do not belong in the query"
        );
        assert!(!admission.admits(&Caller {
            trusted_local: true,
            ..NOBODY
        }));
    }

    #[test]
    fn an_empty_key_admits_nobody() {
        assert!(!Admission::keys([secret("")]).admits(&Caller {
            bearer: Some(""),
            ..NOBODY
        }));
    }

    #[test]
    fn quickstart_admits_the_machine_itself_and_holders_of_the_token() {
        let admission = Admission::default().with_quickstart(secret("run"));
        assert!(admission.admits(&Caller {
            trusted_local: true,
            ..NOBODY
        }));
        assert!(admission.admits(&Caller {
            token: Some("run"),
            ..NOBODY
        }));
        assert!(admission.admits(&Caller {
            bearer: Some("run"),
            ..NOBODY
        }));
        assert!(!admission.admits(&NOBODY));
        assert!(!admission.admits(&Caller {
            token: Some("ran"),
            ..NOBODY
        }));
    }
}
