//! The HTTP endpoint that issues ICE credentials.

use std::net::SocketAddr;
use std::path::Path;

use super::{Auth, Profile};
use crate::diagnostics::Report;
use crate::environment::Environment;
use crate::origin::Origin;
use crate::secret::Secret;
use crate::values::Values;

/// Describes the HTTP endpoint; it is off while `listen` is empty and `https` is not set.
#[derive(Clone)]
pub struct Http {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// Whether it is served inside TLS too, on the ports for TLS.
    pub https: bool,
    /// Keys that may fetch credentials, of the options and of the key files.
    pub api_keys: Vec<Secret<String>>,
    /// Host in the ICE URLs; `None`: the external address, else the host of the request.
    pub advertise: Option<String>,
    /// Web origins that may ask from a browser; `*` is every origin.
    pub allowed_origins: Vec<String>,
}

impl Http {
    pub(super) fn build(
        values: &Values,
        auth: &Auth,
        tls: bool,
        profile: Profile,
        environment: &Environment<'_>,
        report: &mut Report,
    ) -> Http {
        let mut api_keys = values.secrets("http-api-key");
        for file in values.list::<String>("http-api-key-file") {
            api_keys.extend(keys_in(&file.value, &file.origin, environment, report));
        }
        let http = Http {
            listen: values.endpoints("http-listen"),
            https: tls && values.flag("https"),
            api_keys,
            advertise: values.one("http-advertise"),
            allowed_origins: values.texts("http-allowed-origin"),
        };
        if values.flag("https") && !tls {
            report.warn(
                values.origin("https"),
                "https has no effect: clients are not served over TLS; add cert=FILE and pkey=FILE",
            );
        }
        if profile == Profile::Configured {
            http.warn(values, auth, report);
        }
        http
    }

    fn warn(&self, values: &Values, auth: &Auth, report: &mut Report) {
        if self.listen.is_empty() && !self.https {
            for option in [
                "http-api-key",
                "http-api-key-file",
                "http-advertise",
                "http-allowed-origin",
            ] {
                if values.is_given(option) {
                    report.warn(
                        values.origin(option),
                        format!("{option} has no effect without http-listen or https"),
                    );
                }
            }
            return;
        }
        let option = if self.listen.is_empty() {
            "https"
        } else {
            "http-listen"
        };
        let origin = || values.origin(option);
        if auth.secrets.is_empty() {
            report.warn(
                origin(),
                format!("{option}: /v1/ice has nothing to make credentials from; add static-auth-secret=SECRET"),
            );
        }
        if self.api_keys.is_empty() {
            report.warn(
                origin(),
                format!("{option}: /v1/ice answers 401 to everybody; add http-api-key=KEY or http-api-key-file=FILE"),
            );
        }
    }
}

/// Reads a file of keys: one per line; blank lines and lines that begin with `#` are skipped.
fn keys_in(
    name: &str,
    origin: &Origin,
    environment: &Environment<'_>,
    report: &mut Report,
) -> Vec<Secret<String>> {
    const REMEDY: &str = "Name a readable text file with one key per line.";
    let bytes = match (environment.read)(Path::new(name)) {
        Ok(bytes) => bytes,
        Err(error) => {
            report.problem(
                origin.clone(),
                format!("http-api-key-file: {name} cannot be read: {error}"),
                REMEDY,
            );
            return Vec::new();
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        report.problem(
            origin.clone(),
            format!("http-api-key-file: {name} is not UTF-8 text"),
            REMEDY,
        );
        return Vec::new();
    };
    let keys: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|key| Secret::new(key.to_owned()))
        .collect();
    if keys.is_empty() {
        report.problem(
            origin.clone(),
            format!("http-api-key-file: {name} holds no key"),
            REMEDY,
        );
    }
    keys
}
