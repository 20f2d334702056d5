//! Finds the configuration file where coturn would.
//!
//! In: the folders, in order, and what is said when there is no file. Not in: the file's syntax (`file.rs`).

use std::io;
use std::path::{Path, PathBuf};

use crate::environment::Environment;

/// Folders in which a relative name is looked for; the working folder wins over `/etc`.
const FOLDERS: [&str; 15] = [
    ".",
    "turnserver",
    "coturn",
    "etc",
    "etc/turnserver",
    "etc/coturn",
    "../etc",
    "../etc/turnserver",
    "../etc/coturn",
    "/etc",
    "/etc/turnserver",
    "/etc/coturn",
    "/usr/local/etc",
    "/usr/local/etc/turnserver",
    "/usr/local/etc/coturn",
];

/// Says what the search came to.
pub(crate) enum Found {
    /// The file's path and content.
    File(PathBuf, Vec<u8>),
    /// A file is there, but cannot be read.
    Unreadable(PathBuf, io::Error),
    /// No such file anywhere.
    Nothing,
}

/// Looks for `name`; the first file that can be read counts.
pub(crate) fn find(name: &str, environment: &Environment<'_>) -> Found {
    let mut unreadable = Found::Nothing;
    for path in candidates(name, environment.program_folder.as_deref()) {
        match (environment.read)(&path) {
            Ok(bytes) => return Found::File(path, bytes),
            Err(error) if is_absent(&error) => {}
            Err(error) => {
                if let Found::Nothing = unreadable {
                    unreadable = Found::Unreadable(path, error);
                }
            }
        }
    }
    unreadable
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}

fn candidates(name: &str, program_folder: Option<&Path>) -> Vec<PathBuf> {
    if name.starts_with('/') || name.starts_with('~') {
        return vec![PathBuf::from(name)];
    }
    let mut paths = Vec::new();
    for name in [Some(name), name.strip_prefix("etc/")]
        .into_iter()
        .flatten()
    {
        for folder in FOLDERS {
            paths.push(Path::new(folder).join(name));
            if let Some(program_folder) = program_folder.filter(|_| !folder.starts_with('/')) {
                paths.push(program_folder.join(folder).join(name));
            }
        }
    }
    paths
}
