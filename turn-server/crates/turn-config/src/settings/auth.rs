//! Who may allocate: long-term accounts, REST secrets, nobody or everybody.

use std::time::Duration;

use super::{OAuth, Profile, Stun, auth_files};
use crate::diagnostics::{Report, quote};
use crate::environment::Environment;
use crate::origin::Origin;
use crate::secret::Secret;
use crate::values::Values;

/// Says whom the relay believes.
///
/// Static accounts and secrets work at the same time (coturn ignores the accounts as soon as there is a secret).
#[derive(Clone)]
pub struct Auth {
    /// Anybody may allocate (`no-auth`); there are no users, secrets and tokens then.
    pub anonymous: bool,
    /// Sent to clients, and part of every key. Never empty.
    pub realm: String,
    /// Static accounts, one per name.
    pub users: Vec<User>,
    /// Secrets of time-limited credentials (REST), in the order given.
    pub secrets: Vec<Secret<Vec<u8>>>,
    /// Stands between the time and the user in the name of a time-limited credential.
    pub rest_separator: char,
    /// Access tokens; `None` when none are accepted.
    pub oauth: Option<OAuth>,
    /// How long a nonce is accepted; `None`: as long as the server runs.
    pub nonce_lifetime: Option<Duration>,
    /// What several servers make the key of their nonces from; `None`: each start has a key of its own.
    pub nonce_secret: Option<Secret<String>>,
}

/// Describes one static account.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct User {
    /// The name as given.
    pub name: String,
    /// How the name is proven.
    pub password: Password,
}

/// Says how an account is proven.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Password {
    /// The password itself; the key is made from it with the realm.
    Plain(Secret<String>),
    /// The ready key, MD5 of name, realm and password (`0x` and 32 hex digits; `turnadmin -k` prints it).
    Key(Secret<[u8; 16]>),
}

impl Auth {
    pub(super) fn build(
        values: &Values,
        stun: Stun,
        profile: Profile,
        environment: &Environment<'_>,
        report: &mut Report,
    ) -> Auth {
        let realm: String = values.one("realm").unwrap_or_default();
        let mut auth = Auth {
            anonymous: values.flag("no-auth"),
            oauth: OAuth::build(values, &realm, environment, report),
            realm,
            users: users(values, environment, report),
            secrets: secrets(values, environment, report),
            nonce_secret: values.one("stateless-nonce-secret"),
            rest_separator: values.one("rest-api-separator").unwrap_or(':'),
            nonce_lifetime: values
                .number("stale-nonce")
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
        };
        if auth.anonymous {
            refuse_a_mechanism_beside_no_auth(values, report);
            if !auth.users.is_empty() {
                report.warn(
                    values.origin("user"),
                    "user is ignored: no-auth lets everybody in",
                );
                auth.users.clear();
            }
            return auth;
        }
        let needed = profile == Profile::Configured && (stun.relaying || stun.binding_needs_auth);
        if needed && auth.believes_nobody() {
            let refused = |option| values.is_refused(option);
            // A file from which nothing came was complained of.
            let files = [
                "oauth-keys-file",
                "static-auth-secret-file",
                "static-users-file",
            ];
            let broken_file = files.iter().any(|option| values.is_given(option));
            if !refused("static-auth-secret") && !refused("user") && !broken_file {
                refuse_to_be_open(values, report);
            }
            return auth;
        }
        if values.flag("use-auth-secret")
            && auth.secrets.is_empty()
            && profile == Profile::Configured
        {
            report.warn(
                values.origin("use-auth-secret"),
                "use-auth-secret: there is no static-auth-secret, so only user counts",
            );
        }
        if !values.is_given("realm") && profile == Profile::Configured {
            remark_on_the_realm(&auth, values, report);
        }
        auth
    }
}

impl Auth {
    fn believes_nobody(&self) -> bool {
        self.users.is_empty() && self.secrets.is_empty() && self.oauth.is_none()
    }
}

/// Accounts count unless lt-cred-mech was turned off; of two with one name, the last.
fn users(values: &Values, environment: &Environment<'_>, report: &mut Report) -> Vec<User> {
    let mut given = auth_files::read("static-users-file", "user", values, environment, report);
    given.extend(values.list::<User>("user"));
    let Some(first) = given.first() else {
        return Vec::new();
    };
    if values.is_given("lt-cred-mech") && !values.flag("lt-cred-mech") {
        report.warn(
            first.origin.clone(),
            "user is ignored: lt-cred-mech is turned off",
        );
        return Vec::new();
    }
    let mut users: Vec<User> = Vec::new();
    for account in given {
        if let Some(earlier) = users
            .iter()
            .position(|user| user.name == account.value.name)
        {
            report.warn(
                account.origin,
                format!(
                    "user: {} replaces an account of the same name; remove one of them",
                    quote(&account.value.name)
                ),
            );
            users.remove(earlier);
        }
        users.push(account.value);
    }
    users
}

/// Secrets count unless use-auth-secret was turned off.
fn secrets(
    values: &Values,
    environment: &Environment<'_>,
    report: &mut Report,
) -> Vec<Secret<Vec<u8>>> {
    const FILE: &str = "static-auth-secret-file";
    let mut given = values.list::<Secret<String>>("static-auth-secret");
    given.extend(auth_files::read(
        FILE,
        "static-auth-secret",
        values,
        environment,
        report,
    ));
    if let Some(first) = given.first()
        && values.is_given("use-auth-secret")
        && !values.flag("use-auth-secret")
    {
        report.warn(
            first.origin.clone(),
            "static-auth-secret is ignored, in files too: use-auth-secret is turned off",
        );
        return Vec::new();
    }
    given
        .into_iter()
        .map(|secret| Secret::new(secret.value.into_exposed().into_bytes()))
        .collect()
}

fn refuse_a_mechanism_beside_no_auth(values: &Values, report: &mut Report) {
    let mechanism = if values.flag("lt-cred-mech") {
        "lt-cred-mech"
    } else if values.flag("use-auth-secret") {
        "use-auth-secret"
    } else if values.is_given("static-auth-secret") {
        "static-auth-secret"
    } else if values.is_given("static-auth-secret-file") {
        "static-auth-secret-file"
    } else if values.flag("oauth") {
        "oauth"
    } else if values.is_given("oauth-keys-file") {
        "oauth-keys-file"
    } else {
        return;
    };
    report.problem(
        values.origin("no-auth"),
        format!(
            "no-auth contradicts {mechanism} ({})",
            values.origin(mechanism)
        ),
        format!("Remove no-auth to ask for credentials, or {mechanism} to relay for anybody."),
    );
}

fn refuse_to_be_open(values: &Values, report: &mut Report) {
    const NO_DATABASE: &str = "users and secrets are not read from databases yet";
    if values.flag("use-auth-secret") {
        report.problem(
            values.origin("use-auth-secret"),
            "use-auth-secret: there is no secret, so nobody could get in",
            format!("Add static-auth-secret=SECRET; {NO_DATABASE}."),
        );
    } else if values.flag("lt-cred-mech") {
        report.problem(
            values.origin("lt-cred-mech"),
            "lt-cred-mech: there is no account, so nobody could get in",
            format!("Add user=NAME:PASSWORD or static-auth-secret=SECRET; {NO_DATABASE}."),
        );
    } else {
        report.problem(
            Origin::Default,
            "no authentication is configured, and this server is never an open relay by accident",
            "Add static-auth-secret=SECRET (time-limited credentials), or lt-cred-mech with user=NAME:PASSWORD, or \
             no-auth to relay for anybody.",
        );
    }
}

fn remark_on_the_realm(auth: &Auth, values: &Values, report: &mut Report) {
    let ready_key = auth
        .users
        .iter()
        .find(|user| matches!(user.password, Password::Key(_)));
    if let Some(user) = ready_key {
        let text = format!(
            "user: the key of {} was made for one realm, but realm is not set; {} is used",
            quote(&user.name),
            quote(&auth.realm)
        );
        report.warn(values.origin("user"), text);
    } else if !auth.users.is_empty() || !auth.secrets.is_empty() {
        report.note(
            Origin::Default,
            format!("realm is not set; clients are told {}", quote(&auth.realm)),
        );
    }
}
