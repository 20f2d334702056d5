//! The file that tells which process serves.

use std::{fs, path::Path, path::PathBuf};

use tracing::warn;

/// A file with the process id, removed at the end.
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes it. Whoever runs a service today knows its process without, so that nobody is without a relay for lack of it.
    pub(crate) fn write(path: &Path) -> Option<Self> {
        match fs::write(path, format!("{}\n", std::process::id())) {
            Ok(()) => Some(Self(path.to_owned())),
            Err(error) => {
                let path = path.display();
                warn!(
                    "pidfile: cannot write {path} ({error}); it goes on without one: name a file that this user may write"
                );
                None
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A device is everybody's: who wants no such file writes pidfile=/dev/null.
        if fs::metadata(&self.0).is_ok_and(|it| it.is_file()) {
            // Somebody else may have removed it; that is what is wanted.
            let _ = fs::remove_file(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, process};

    use super::PidFile;

    #[test]
    fn a_file_goes_with_the_process_and_a_device_stays() {
        let folder = std::env::temp_dir().join(format!("turnpike-pid-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (file, device) = (folder.join("file"), folder.join("device"));
        // By another name: a mistake would otherwise cost this machine its /dev/null.
        symlink("/dev/null", &device).unwrap();
        let written = [&file, &device].map(|path| PidFile::write(path).unwrap());
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            format!("{}\n", process::id())
        );
        drop(written);
        assert!(!file.exists());
        assert!(device.is_symlink());
        fs::remove_dir_all(folder).unwrap();
    }
}
