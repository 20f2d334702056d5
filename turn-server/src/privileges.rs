//! Giving up root: the server becomes another user when it has opened what only root may (`proc-user`, `proc-group`).
//!
//! What it goes on to need belongs to that user by then: the log file, which a reload opens anew, the file of the process id,
//! which goes at the end, and the control socket. Relay ports above 1023 need no right.

use std::{
    fmt,
    fs::Metadata,
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, lchown},
    path::Path,
};

use anyhow::{Context as _, bail};
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, initgroups, setgid, setgroups, setuid};
use tracing::warn;
use turn_config::settings::Settings;

/// Whom the server becomes.
#[derive(Debug)]
pub(crate) struct Identity {
    user: Option<User>,
    group: Gid,
    name: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Identity {
    /// Finds them; `None` where the operator wants nobody else.
    ///
    /// # Errors
    /// When there is no such user or group, or this user may not become one.
    pub(crate) fn wanted(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let (user, group) = (&settings.process.user, &settings.process.group);
        let place = |option| format!("{}{option}", settings.place(option));
        let user = match user {
            None => None,
            Some(name) => Some(find_user(name).with_context(|| place("proc-user"))?),
        };
        let group = match group {
            None => None,
            Some(name) => Some(find_group(name).with_context(|| place("proc-group"))?),
        };
        let Some(gid) = group
            .as_ref()
            .map(|it| it.gid)
            .or(user.as_ref().map(|it| it.gid))
        else {
            return Ok(None);
        };
        let names = [
            user.as_ref().map(|it| &it.name),
            group.as_ref().map(|it| &it.name),
        ];
        let names: Vec<_> = names.into_iter().flatten().map(String::as_str).collect();
        let identity = Self {
            name: names.join(":"),
            group: gid,
            user,
        };
        if identity.is_present() {
            return Ok(None);
        }
        if !geteuid().is_root() {
            let option = if settings.process.user.is_some() {
                "proc-user"
            } else {
                "proc-group"
            };
            bail!(
                "{}: only root may become {identity}; start the server as root, or as that user and without proc-user and \
                 proc-group",
                place(option)
            );
        }
        Ok(Some(identity))
    }

    fn is_present(&self) -> bool {
        let is_user = self.user.as_ref().is_none_or(|user| user.uid == geteuid());
        is_user && self.group == getegid()
    }

    /// Gives files away that this process has made or opened. What cannot be given is told: it is missed at a reload only.
    pub(crate) fn own<'a>(&self, files: impl Iterator<Item = &'a Path>) {
        let owner: Option<Uid> = self.user.as_ref().map(|user| user.uid);
        for file in files {
            // One with a second name may be another file, which somebody has put here; a device is everybody's.
            let is_own =
                |it: &Metadata| (it.is_file() || it.file_type().is_socket()) && it.nlink() == 1;
            if !std::fs::symlink_metadata(file).is_ok_and(|it| is_own(&it)) {
                continue;
            }
            let owner = owner.map(Uid::as_raw);
            // A link that has come in between is itself what is given.
            if let Err(error) = lchown(file, owner, Some(self.group.as_raw())) {
                warn!("{} cannot be given to {self}: {error}", file.display());
            }
        }
    }

    /// Becomes it, in all threads and for good.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn become_it(&self) -> anyhow::Result<()> {
        let refused = || format!("cannot become {self} (proc-user, proc-group)");
        // First the groups: who is no longer root may not change them.
        match &self.user {
            Some(user) => {
                let name = std::ffi::CString::new(user.name.as_str())?;
                initgroups(&name, self.group).with_context(refused)?;
            }
            None => setgroups(&[self.group]).with_context(refused)?,
        }
        setgid(self.group).with_context(refused)?;
        if let Some(user) = &self.user {
            setuid(user.uid).with_context(refused)?;
            // A way back would be none that was meant.
            if !user.uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
                bail!("the kernel lets {self} become root again; nothing is served that way");
            }
        }
        Ok(())
    }
}

fn find_user(name: &str) -> anyhow::Result<User> {
    let by_number = || Some(User::from_uid(Uid::from_raw(name.parse().ok()?)));
    let found = User::from_name(name).map_err(io::Error::from)?;
    let found = match found {
        None => by_number().and_then(Result::ok).flatten(),
        found => found,
    };
    found.with_context(|| format!("there is no user {name:?}; name one of /etc/passwd, or make it: useradd --system {name}"))
}

fn find_group(name: &str) -> anyhow::Result<Group> {
    let by_number = || Some(Group::from_gid(Gid::from_raw(name.parse().ok()?)));
    let found = Group::from_name(name).map_err(io::Error::from)?;
    let found = match found {
        None => by_number().and_then(Result::ok).flatten(),
        found => found,
    };
    found.with_context(|| format!("there is no group {name:?}; name one of /etc/group, or make it: groupadd --system {name}"))
}
