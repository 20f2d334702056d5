//! What only root can do for a server that will run as another user: certificate and key that root alone may read are copied to
//! where that user may, and the log file that the configuration names is made its own.
//!
//! The unit calls it before the start and before each reload, so that the server itself needs no right at all, and a file of
//! coturn's serves as it is.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::{
        FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, fchown,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use rustix::fs::OFlags;
use turn_config::settings::Settings;

use crate::{certificates, daemon, trusted_path::follow};

/// A user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct User {
    id: u32,
    group: u32,
}

/// Does it, and tells what it was, a line for each file.
///
/// # Errors
/// When there is no such user, or a file cannot be read or written. What can be done is done before that is told.
pub fn for_user(name: &str, settings: &Settings) -> anyhow::Result<String> {
    let accounts = fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
    let user = find(&accounts, name).with_context(|| format!("there is no user {name}"))?;
    let mut done = String::new();
    let mut failed = None;
    let mut note = |outcome: anyhow::Result<String>| match outcome {
        // Writing to a string cannot fail.
        Ok(line) => drop(writeln!(done, "{line}")),
        Err(error) => failed = Some(error),
    };
    // A device, as /dev/null, is everybody's.
    let log = daemon::log_file(settings).filter(|path| !is_device(path));
    if let Some(path) = log {
        let given = give_log(&path, user).with_context(|| format!("log-file: {}", path.display()));
        note(given.map(|()| format!("{} is {name}'s", path.display())));
    }
    for tls in certificates::file_sets(settings) {
        for path in certificates::originals(tls) {
            let copy = certificates::copy_of(path, &tls.copies);
            let copied = copy_for(path, &copy, &tls.copies, user)
                .with_context(|| format!("{} cannot be copied", path.display()));
            note(copied.map(|()| format!("{} is copied for {name}", path.display())));
        }
    }
    failed.map_or(Ok(done), Err)
}

fn is_device(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_char_device())
}

/// Finds a user among the lines of `/etc/passwd`.
fn find(accounts: &str, name: &str) -> Option<User> {
    let mut lines = accounts.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let is_meant = fields.next() == Some(name);
        let id = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        is_meant.then_some(User { id, group })
    })
}

/// Makes a log file that the user may write to. One that somebody else has begun goes on.
fn give_log(path: &Path, user: User) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o640);
    // Whoever may put a link there would choose what is given away.
    let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(i32::try_from(careful.bits())?);
    let folder = path.parent().context("it has no folder")?;
    let name = path.file_name().context("it has no name")?;
    let file = options.open(follow(folder, user.id, user.group)?.join(name))?;
    let metadata = file.metadata()?;
    ensure!(metadata.is_file(), "it is no file");
    ensure!(
        metadata.nlink() == 1,
        "it has another name besides, so it may be another file"
    );
    if metadata.uid() != user.id {
        fchown(&file, Some(user.id), Some(user.group))?;
    }
    Ok(())
}

/// Copies a file for the user's group to read. Whoever reads it meanwhile reads the old or the new one whole.
fn copy_for(path: &Path, copy: &Path, copies: &Path, user: User) -> anyhow::Result<()> {
    // Whoever may put a link there would choose what is shown to it.
    let content = fs::read(follow(path, user.id, user.group)?)?;
    let folder = copy.parent().context("it has no folder")?;
    fs::create_dir_all(folder)?;
    for folder in folder.ancestors().take_while(|it| it.starts_with(copies)) {
        chown(folder, None, Some(user.group))?;
        fs::set_permissions(folder, Permissions::from_mode(0o750))?;
    }
    let unfinished = with_suffix(copy, ".new");
    let _ = fs::remove_file(&unfinished);
    let mut options = OpenOptions::new();
    let mut file: File = options
        .create_new(true)
        .write(true)
        .mode(0o640)
        .open(&unfinished)?;
    fchown(&file, None, Some(user.group))?;
    // The unit's umask would keep the group out.
    file.set_permissions(Permissions::from_mode(0o640))?;
    file.write_all(&content)?;
    fs::rename(&unfinished, copy)?;
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, chown, symlink},
        path::{Path, PathBuf},
    };

    use rustix::process::geteuid;

    use super::{User, copy_for, find, give_log};

    const USER: User = User {
        id: 61_234,
        group: 61_234,
    };

    /// A folder of that user's, and a secret of root's beside it.
    fn broken_into(name: &str) -> (PathBuf, PathBuf) {
        let name = format!("turnpike-{name}-{}", std::process::id());
        let all = fs::canonicalize(std::env::temp_dir()).unwrap().join(name);
        let _ = fs::remove_dir_all(&all);
        let own = all.join("own");
        fs::create_dir_all(&own).unwrap();
        chown(&own, Some(USER.id), None).unwrap();
        let secret = all.join("shadow");
        fs::write(&secret, "root's").unwrap();
        (own, secret)
    }

    fn owner(path: &Path) -> u32 {
        fs::metadata(path).unwrap().uid()
    }

    /// Needs root, who alone can give files away.
    #[test]
    fn a_log_that_is_another_file_is_not_given_away() {
        if !geteuid().is_root() {
            return;
        }
        let (own, secret) = broken_into("prepare-log");
        let log = own.join("turn.log");
        give_log(&log, USER).unwrap();
        assert_eq!(owner(&log), USER.id);
        fs::remove_file(&log).unwrap();
        fs::hard_link(&secret, &log).unwrap();
        assert!(give_log(&log, USER).is_err());
        fs::remove_file(&log).unwrap();
        symlink(&secret, &log).unwrap();
        assert!(give_log(&log, USER).is_err());
        // A folder that the user has put in the place of another.
        symlink(secret.parent().unwrap(), own.join("folder")).unwrap();
        assert!(give_log(&own.join("folder/shadow"), USER).is_err());
        assert!(give_log(&own.join("folder/new"), USER).is_err());
        assert_eq!(owner(&secret), 0);
        fs::remove_dir_all(own.parent().unwrap()).unwrap();
    }

    /// The same.
    #[test]
    fn a_certificate_that_the_user_may_exchange_is_not_copied_for_it() {
        if !geteuid().is_root() {
            return;
        }
        let (own, secret) = broken_into("prepare-copy");
        let copies = own.parent().unwrap().join("copies");
        let copy = copies.join("cert.pem");
        symlink(&secret, own.join("cert.pem")).unwrap();
        assert!(copy_for(&own.join("cert.pem"), &copy, &copies, USER).is_err());
        assert!(!copy.exists());
        copy_for(&secret, &copy, &copies, USER).unwrap();
        assert_eq!(fs::read_to_string(&copy).unwrap(), "root's");
        fs::remove_dir_all(own.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\n# turn:x:1:1\nbroken\nturnserver:x:107:113::/:/bin/false\n";
        assert_eq!(find(accounts, "turn"), None);
        assert_eq!(
            find(accounts, "turnserver"),
            Some(User {
                id: 107,
                group: 113
            })
        );
        assert_eq!(find(accounts, ""), None);
    }
}
