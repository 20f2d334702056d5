//! What reading a configuration needs from the outside: names resolved, files read, variables.
//!
//! In: functions and variables as values, so that tests and other programs bring their own. Not in: any resolver.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Lends host name resolution, file reading and variables to the parser.
pub struct Environment<'a> {
    /// Resolves a host name; `None` when the name has no address.
    pub resolve: &'a dyn Fn(&str) -> Option<IpAddr>,
    /// Reads a whole file.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// The variables of the process.
    pub variables: Vec<(OsString, OsString)>,
    /// The folder of the running program; some configuration files are found relative to it.
    pub program_folder: Option<PathBuf>,
}

impl<'a> Environment<'a> {
    /// Uses the file system of this machine and the given resolver.
    pub fn new(resolve: &'a dyn Fn(&str) -> Option<IpAddr>) -> Self {
        let program_folder = std::env::current_exe()
            .ok()
            .and_then(|path| path.parent().map(Path::to_path_buf));
        Environment {
            resolve,
            read: &|path| fs::read(path),
            variables: std::env::vars_os().collect(),
            program_folder,
        }
    }
}
