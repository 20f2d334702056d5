//! Credentials of systemd (`LoadCredential=`): files that the service manager gives to the service alone, in a folder that it
//! names. A credential that is called like an option gives its value.
//!
//! They stand between the file and the variables: they replace what the file says, and add to its lists.

use std::path::Path;

use crate::environment::Environment;
use crate::option::Registry;
use crate::origin::Origin;
use crate::raw::Raw;

/// The variable in which systemd names the folder.
const FOLDER: &str = "CREDENTIALS_DIRECTORY";

/// A credential, and the option that takes the path of its file.
const CREDENTIALS: [(&str, &str); 7] = [
    ("static-auth-secret", "static-auth-secret-file"),
    ("static-users", "static-users-file"),
    ("oauth-keys", "oauth-keys-file"),
    ("http-api-key", "http-api-key-file"),
    ("cert", "cert"),
    ("pkey", "pkey"),
    ("CA-file", "CA-file"),
];

/// Reads which credentials there are; other names are another program's.
pub(crate) fn read_credentials(registry: &'static Registry, environment: &Environment<'_>) -> Raw {
    let mut raw = Raw::default();
    let mut variables = environment.variables.iter();
    let Some((_, folder)) = variables.find(|(name, _)| name == FOLDER) else {
        return raw;
    };
    for (credential, option) in CREDENTIALS {
        let path = Path::new(folder).join(credential);
        let Some(spec) = registry.find(option) else {
            continue;
        };
        if (environment.read)(&path).is_ok() {
            let origin = Origin::Environment {
                name: format!("{FOLDER}/{credential}").into(),
            };
            raw.push_exactly(spec, path.display().to_string(), origin);
        }
    }
    raw
}
