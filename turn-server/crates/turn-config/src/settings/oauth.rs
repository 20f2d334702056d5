//! Access tokens (RFC 7635): under which name they are made out to this server, and the keys that open them.
//!
//! coturn keeps the keys in its database. Here they are in a file, one key per line:
//!
//! ```text
//! # kid : algorithm : key in base64 [: made at, Unix time : lifetime in seconds, 0 is for ever]
//! north:A256GCM:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=
//! union:A128GCM:MTIzNDU2Nzg5MDEyMzQ1Ng==:1700000000:86400
//! ```

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::diagnostics::{Report, quote};
use crate::environment::Environment;
use crate::origin::Origin;
use crate::secret::Secret;
use crate::values::Values;

/// Says whose tokens are accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct OAuth {
    /// The name that tokens are made out to.
    pub server_name: String,
    /// The keys, one per name.
    pub keys: Vec<OAuthKey>,
}

/// Describes a key shared with an authorization server.
#[derive(Clone, PartialEq, Eq)]
pub struct OAuthKey {
    /// Its name, which clients send as USERNAME.
    pub kid: String,
    /// How tokens are sealed with it.
    pub algorithm: OAuthAlgorithm,
    /// The key, as long as its algorithm demands.
    pub key: Secret<Vec<u8>>,
    /// When it ends, Unix time.
    pub expires_at: Option<u64>,
}

/// Names how tokens are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OAuthAlgorithm {
    /// AES-256-GCM.
    A256Gcm,
    /// AES-128-GCM.
    A128Gcm,
}

impl OAuth {
    /// Keys count unless oauth was turned off; without a key there are no tokens.
    pub(super) fn build(
        values: &Values,
        realm: &str,
        environment: &Environment<'_>,
        report: &mut Report,
    ) -> Option<OAuth> {
        let file = values.one::<String>("oauth-keys-file");
        let origin = values.origin("oauth-keys-file");
        if values.is_given("oauth") && !values.flag("oauth") {
            if file.is_some() {
                report.warn(origin, "oauth-keys-file is ignored: oauth is turned off");
            }
            return None;
        }
        let Some(file) = file else {
            if values.flag("oauth") {
                report.warn(
                    values.origin("oauth"),
                    "oauth has no effect without oauth-keys-file: keys are not read from databases yet",
                );
            }
            return None;
        };
        let keys = keys_in(&file, &origin, environment, report);
        (!keys.is_empty()).then(|| OAuth {
            server_name: values
                .one("server-name")
                .unwrap_or_else(|| realm.to_owned()),
            keys,
        })
    }
}

/// The keys in a file; of two with one name, the last.
fn keys_in(
    name: &str,
    origin: &Origin,
    environment: &Environment<'_>,
    report: &mut Report,
) -> Vec<OAuthKey> {
    const REMEDY: &str = "Write one key per line, KID:A256GCM:BASE64 or KID:A128GCM:BASE64.";
    let bytes = (environment.read)(Path::new(name)).map_err(|error| error.to_string());
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            let what = format!("oauth-keys-file: {name} cannot be read: {error}");
            report.problem(origin.clone(), what, REMEDY);
            return Vec::new();
        }
    };
    let mut keys: Vec<OAuthKey> = Vec::new();
    let mut sound = true;
    for (line, text) in (1..).zip(text.lines().map(str::trim)) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match key(text) {
            Ok(key) => {
                keys.retain(|earlier| earlier.kid != key.kid);
                keys.push(key);
            }
            Err(what) => {
                sound = false;
                let what = format!("oauth-keys-file: {name}:{line}: {what}");
                report.problem(origin.clone(), what, REMEDY);
            }
        }
    }
    if sound && keys.is_empty() {
        let what = format!("oauth-keys-file: {name} has no key");
        report.problem(origin.clone(), what, REMEDY);
    }
    keys
}

/// Reads one line; what is said of a wrong one shows nothing of the key.
fn key(line: &str) -> Result<OAuthKey, String> {
    let mut fields = line.split(':').map(str::trim);
    let (Some(kid), Some(algorithm), Some(key)) = (fields.next(), fields.next(), fields.next())
    else {
        return Err("the line has not three fields".into());
    };
    if kid.is_empty() {
        return Err("the key has no name".into());
    }
    // As coturn reads the names of algorithms.
    let algorithm = match algorithm.to_ascii_uppercase().as_str() {
        "A256GCM" => OAuthAlgorithm::A256Gcm,
        "A128GCM" => OAuthAlgorithm::A128Gcm,
        _ => return Err(format!("the algorithm {} is not known", quote(algorithm))),
    };
    let needed = match algorithm {
        OAuthAlgorithm::A256Gcm => 32,
        OAuthAlgorithm::A128Gcm => 16,
    };
    let mut key = BASE64_STANDARD
        .decode(key)
        .map_err(|_| "the key is not base64".to_owned())?;
    if key.len() < needed {
        let has = key.len();
        return Err(format!("the key has {has} bytes and needs {needed}"));
    }
    // coturn takes the first bytes of a longer key, and keys made by `echo` are one byte longer.
    key.truncate(needed);
    let mut number = || match fields.next() {
        None | Some("") => Ok(0),
        Some(text) => (text.parse::<u64>()).map_err(|_| format!("{} is no number", quote(text))),
    };
    let (made_at, lifetime) = (number()?, number()?);
    if fields.next().is_some() {
        return Err("the line has more than five fields".into());
    }
    Ok(OAuthKey {
        kid: kid.to_owned(),
        algorithm,
        key: Secret::new(key),
        expires_at: (lifetime > 0).then(|| made_at.saturating_add(lifetime)),
    })
}
