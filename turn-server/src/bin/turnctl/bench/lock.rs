//! One bench at a time on a machine: two would measure each other.

use anyhow::{Context, Result, bail};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The same for every user, whatever `TMPDIR` says.
pub(crate) const PATH: &str = "/tmp/turnctl-bench.lock";

/// Held until dropped, or until the process ends in whatever way.
pub(crate) struct MachineLock {
    _file: File,
}

impl MachineLock {
    /// Waits up to `patience` for the machine.
    ///
    /// # Errors
    /// Another bench still runs, or the lock file cannot be opened.
    pub(crate) fn take(path: &Path, patience: Duration) -> Result<Self> {
        let file =
            open(path).with_context(|| format!("cannot open the lock file {}", path.display()))?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
                Err(TryLockError::WouldBlock) if began.elapsed() >= patience => {
                    bail!(
                        "another bench (or a build that takes {}) is running; --wait=SECONDS waits longer",
                        path.display()
                    )
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// The path that every bench on this machine takes.
    pub(crate) fn path() -> PathBuf {
        PathBuf::from(PATH)
    }
}

/// Opens for reading, which is enough to lock and works on a file that another user made; creates it only when it is missing.
fn open(path: &Path) -> io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            File::options().create(true).append(true).open(path)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("turnctl-lock-test-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_second_holder_is_refused_until_the_first_lets_go() {
        let path = path("second");
        let first = MachineLock::take(&path, Duration::ZERO).unwrap();
        assert!(MachineLock::take(&path, Duration::ZERO).is_err());
        drop(first);
        assert!(MachineLock::take(&path, Duration::ZERO).is_ok());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_refusal_names_the_remedy() {
        let path = path("remedy");
        let _first = MachineLock::take(&path, Duration::ZERO).unwrap();
        let error = MachineLock::take(&path, Duration::ZERO).err().unwrap();
        assert!(error.to_string().contains("--wait"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }
}
