//! Secrets that can be guessed, and doors that stand open.

use turn_config::{Origin, settings::Password};

use super::Said;

/// Fewer characters than that can be tried out by whoever has one credential: its password is a hash of the secret.
const SECRET: usize = 16;

/// Fewer characters than that can be tried out over the wire, or from one captured request.
const PASSWORD: usize = 8;

/// Words of samples and guides. A secret that contains one is no secret.
const PUBLISHED: [&str; 10] = [
    "north",
    "logen",
    "secret",
    "password",
    "passwd",
    "changeme",
    "change_me",
    "your_",
    "your-",
    "example",
];

/// Names secrets and passwords that are too easy, and what lets everybody in.
pub(super) fn check(said: &mut Said<'_>) {
    let settings = said.settings;
    let auth = &settings.auth;
    if auth.anonymous && settings.stun.relaying {
        said.of(
            "no-auth",
            "anybody who reaches this server may relay through it; use it in closed networks only",
        );
    }
    let given: Vec<_> = (settings.effective.iter())
        .filter(|row| row.option == "static-auth-secret")
        .collect();
    for (place, secret) in auth.secrets.iter().enumerate() {
        let Some(why) = weak(&String::from_utf8_lossy(secret.expose()), SECRET) else {
            continue;
        };
        let text = format!("{why}; take the output of `openssl rand -hex 32`");
        // Those of files come behind those given directly.
        match given.get(place).filter(|row| row.value == "(hidden)") {
            Some(row) => said.at(row.origin.clone(), format!("static-auth-secret: {text}")),
            None => said.of("static-auth-secret-file", text),
        }
    }
    for user in &auth.users {
        let Password::Plain(password) = &user.password else {
            continue;
        };
        let same = *password.expose() == user.name;
        let why = weak(password.expose(), PASSWORD).or(same.then_some("it is the name"));
        if let Some(why) = why {
            let text = format!("the password of {:?} is easy: {why}", user.name);
            // A file's lines are not among the rows.
            match settings.origin_of("user", &format!("{}:(hidden)", user.name)) {
                Origin::Default => said.of("static-users-file", text),
                given => said.at(given, format!("user: {text}")),
            }
        }
    }
    if let Some(secret) = &auth.nonce_secret
        && let Some(why) = weak(secret.expose(), SECRET)
    {
        said.of("stateless-nonce-secret", why);
    }
    if settings
        .http
        .api_keys
        .iter()
        .any(|key| weak(key.expose(), SECRET).is_some())
    {
        said.of(
            "http-api-key",
            "one of the keys is easy; take the output of `openssl rand -hex 32`",
        );
    }
}

/// Why a secret is none.
fn weak(secret: &str, shortest: usize) -> Option<&'static str> {
    let mut characters: Vec<char> = secret.to_lowercase().chars().collect();
    if characters.len() < shortest {
        return Some("it is short enough to be tried out");
    }
    let small = secret.to_lowercase();
    if PUBLISHED.iter().any(|word| small.contains(word)) {
        return Some("it contains a word of samples and guides");
    }
    characters.sort_unstable();
    characters.dedup();
    (characters.len() < 5).then_some("it has hardly any different characters")
}
