//! The control socket as a file: made for the server's user and group alone, and removed when the server ends.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};
use tracing::warn;

use super::protocol::SOCKET;

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 16;

/// A bound control socket. Dropping it removes the file, unless another server has put its own there.
pub(crate) struct ControlSocket {
    pub(super) listener: UnixListener,
    file: OwnFile,
}

/// The file of a socket, known by its inode.
struct OwnFile {
    path: PathBuf,
    inode: u64,
}

impl ControlSocket {
    /// Binds the socket where the operator wants it; without a wish, at the usual place, if this machine has that folder.
    ///
    /// # Errors
    /// When the place that the operator has named cannot be had.
    pub(crate) fn bind(wanted: &turn_config::settings::Control) -> anyhow::Result<Option<Self>> {
        use turn_config::settings::Control;
        match wanted {
            Control::Off => Ok(None),
            Control::At(path) => Self::bind_at(path).map(Some),
            Control::Usual => {
                let path = Path::new(SOCKET);
                if !path.parent().is_some_and(Path::is_dir) {
                    return Ok(None);
                }
                // Nobody has asked for it: a second server on a machine, or another user's, does without.
                Ok(Self::bind_at(path)
                    .inspect_err(|error| warn!("control-socket: {error:#}"))
                    .ok())
            }
        }
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.file.path
    }

    fn bind_at(path: &Path) -> anyhow::Result<Self> {
        let context = || {
            format!(
                "cannot listen on {}; name a place where this user may write",
                path.display()
            )
        };
        remove_stale(path)?;
        let listener = listen(path).with_context(context)?;
        let inode = fs::symlink_metadata(path).with_context(context)?.ino();
        let path = path.to_owned();
        Ok(Self {
            listener,
            file: OwnFile { path, inode },
        })
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The file takes over the mode that the socket has: at no moment may others open it.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Whatever the umask says: the group is there for operators.
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Removes the socket of a server that has ended without doing so; anything else stays.
fn remove_stale(path: &Path) -> anyhow::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        bail!(
            "{} is there already and is no socket; name another place",
            path.display()
        );
    }
    if UnixStream::connect(path).is_ok() {
        bail!(
            "another server listens on {}; name another place for this one",
            path.display()
        );
    }
    // If it cannot be removed, binding says why.
    let _ = fs::remove_file(path);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{fs::PermissionsExt, net::UnixListener},
        path::PathBuf,
    };

    use turn_config::settings::Control;

    use super::ControlSocket;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("turnpike-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_user_and_group_may_open_it_and_it_goes_with_the_server() {
        let folder = Folder::new("control-mode");
        let path = folder.0.join("control.sock");
        let socket = ControlSocket::bind(&Control::At(path.clone())).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        drop(socket);
        assert!(!path.exists());
        assert!(ControlSocket::bind(&Control::Off).unwrap().is_none());
    }

    #[test]
    fn a_left_over_socket_is_replaced_and_a_living_one_is_not() {
        let folder = Folder::new("control-stale");
        let path = folder.0.join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "closing does not remove it");
        let wanted = Control::At(path.clone());
        let first = ControlSocket::bind(&wanted).unwrap();
        let error = ControlSocket::bind(&wanted).err().unwrap().to_string();
        assert!(error.contains("another server listens"), "{error}");
        drop(first);
        fs::write(&path, "precious").unwrap();
        let error = ControlSocket::bind(&wanted).err().unwrap().to_string();
        assert!(error.contains("is no socket"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_socket_that_another_server_put_there_stays() {
        let folder = Folder::new("control-other");
        let path = folder.0.join("control.sock");
        let first = ControlSocket::bind(&Control::At(path.clone())).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
    }
}
