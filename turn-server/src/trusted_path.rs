//! Paths that root follows on behalf of a user. A folder or a link on the way that is that user's to change would let it choose
//! which file of root's is shown or given to it: a server that somebody has broken into must not get more at its next start.

use std::{
    ffi::OsString,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};

/// Links followed at most, as in the kernel.
const LINKS: usize = 40;

/// Whoever may write into a folder of these bits: its group, everybody; and whether names there are their owners' alone.
const GROUP: u32 = 0o020;
const EVERYBODY: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Finds where a path leads, through no folder in which the user with this number and group may exchange what is on the way.
/// The last folder may be the user's, if the path ends there.
///
/// # Errors
/// When there is no such path, or it is not to be trusted.
pub(crate) fn follow(path: &Path, user: u32, group: u32) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut ahead: Vec<OsString> = names(&absolute);
    let (mut here, mut links) = (PathBuf::from("/"), 0);
    while let Some(name) = ahead.pop() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        let found = fs::symlink_metadata(&next).with_context(|| next.display().to_string())?;
        let folder = fs::symlink_metadata(&here)?;
        if may_exchange(&folder, &found, user, group) {
            bail!(
                "{} is in a folder where that user may put what it likes, so root does not follow it",
                next.display()
            );
        }
        if !found.is_symlink() {
            here = next;
            continue;
        }
        links += 1;
        ensure!(links <= LINKS, "{}: too many links", path.display());
        let target = fs::read_link(&next)?;
        if target.is_absolute() {
            here = PathBuf::from("/");
        }
        ahead.extend(names(&target));
    }
    Ok(here)
}

/// The names of a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().rev();
    let names = names.filter(|name| matches!(name, Component::Normal(_) | Component::ParentDir));
    names.map(|name| name.as_os_str().to_owned()).collect()
}

/// Whether a user may put something else in the place of what was found in a folder.
fn may_exchange(folder: &Metadata, found: &Metadata, user: u32, group: u32) -> bool {
    if user == 0 {
        return false;
    }
    let mode = folder.mode();
    let may_write = mode & EVERYBODY != 0 || (mode & GROUP != 0 && folder.gid() == group);
    let protected = mode & STICKY != 0 && found.uid() != user;
    folder.uid() == user || (may_write && !protected)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, chown, symlink},
        path::PathBuf,
    };

    use rustix::process::geteuid;

    use super::follow;

    /// Nobody's number, for whom root follows paths here.
    const USER: u32 = 61_234;

    /// A folder of its own for a test, that is gone afterwards.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("turnpike-{name}-{}", std::process::id());
            let path = fs::canonicalize(std::env::temp_dir()).unwrap().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn folder(&self, name: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::create_dir(&path).unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn links_of_roots_are_followed_as_certbot_makes_them() {
        let scratch = Scratch::new("trusted-links");
        let (live, archive) = (scratch.folder("live"), scratch.folder("archive"));
        fs::write(archive.join("cert1.pem"), "c").unwrap();
        symlink("../archive/cert1.pem", live.join("cert.pem")).unwrap();
        symlink(&live, scratch.0.join("here")).unwrap();
        let found = follow(&scratch.0.join("here/cert.pem"), USER, USER).unwrap();
        assert_eq!(found, archive.join("cert1.pem"));
        symlink("round", scratch.0.join("round")).unwrap();
        assert!(follow(&scratch.0.join("round"), USER, USER).is_err());
        assert!(follow(&scratch.0.join("nothing"), USER, USER).is_err());
    }

    /// Needs root, who alone can make what is another's.
    #[test]
    fn what_the_user_may_exchange_is_not_followed() {
        if !geteuid().is_root() {
            return;
        }
        let scratch = Scratch::new("trusted-own");
        let (own, shared, sticky) = (
            scratch.folder("own"),
            scratch.folder("shared"),
            scratch.folder("sticky"),
        );
        chown(&own, Some(USER), None).unwrap();
        chown(&shared, None, Some(USER)).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o770)).unwrap();
        fs::set_permissions(&sticky, Permissions::from_mode(0o1777)).unwrap();
        for folder in [&own, &shared, &sticky] {
            fs::write(folder.join("roots"), "r").unwrap();
            symlink("/etc/shadow", folder.join("link")).unwrap();
            // A folder at the end of a path is nobody's to exchange by itself.
            assert!(follow(folder, USER, USER).is_ok());
        }
        std::os::unix::fs::lchown(sticky.join("link"), Some(USER), None).unwrap();
        let is_followed = |path: PathBuf| follow(&path, USER, USER).is_ok();
        for folder in [&own, &shared] {
            assert!(!is_followed(folder.join("roots")));
            assert!(!is_followed(folder.join("link")));
        }
        assert!(is_followed(sticky.join("roots")));
        assert!(!is_followed(sticky.join("link")));
        // By a link of root's as well.
        symlink(own.join("link"), scratch.0.join("cert")).unwrap();
        assert!(!is_followed(scratch.0.join("cert")));
    }
}
