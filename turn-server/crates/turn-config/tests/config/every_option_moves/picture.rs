//! Everything that settings say, as text.

use std::fmt::Write;

use turn_config::settings::{Password, Settings};

/// Everything the settings say, secrets too, one group per line.
pub(crate) fn picture(settings: &Settings) -> String {
    let mut text = picture_without_warnings(settings);
    for warning in &settings.warnings {
        writeln!(text, "{warning}").unwrap();
    }
    text
}

pub(super) fn picture_without_warnings(settings: &Settings) -> String {
    let mut text = String::new();
    let mut line = |content: String| writeln!(text, "{content}").unwrap();
    line(format!("{:?} {:?}", settings.listening, settings.clients));
    line(format!("{:?} {:?}", settings.stun, settings.redirect));
    line(format!("{:?}", settings.relay));
    let auth = &settings.auth;
    let users: Vec<String> = auth
        .users
        .iter()
        .map(|user| match &user.password {
            Password::Plain(password) => format!("{}:{}", user.name, password.expose()),
            Password::Key(key) => format!("{}:{:?}", user.name, key.expose()),
        })
        .collect();
    line(format!(
        "anonymous: {}, realm: {}, users: [{}]",
        auth.anonymous,
        auth.realm,
        users.join(", ")
    ));
    let secrets: Vec<&str> = auth
        .secrets
        .iter()
        .map(|secret| std::str::from_utf8(secret.expose()).unwrap())
        .collect();
    line(format!("secrets: [{}]", secrets.join(", ")));
    let shared = auth.nonce_secret.as_ref().map(|secret| secret.expose());
    line(format!(
        "nonce secret: {}",
        shared.map_or("", String::as_str)
    ));
    line(format!(
        "rest_separator: {:?}, nonce_lifetime: {:?}",
        auth.rest_separator, auth.nonce_lifetime
    ));
    line(format!("{:?} {:?}", settings.quotas, settings.lifetimes));
    line(format!("{:?}", settings.caps));
    line(format!("tls: {:?}", settings.tls));
    line(format!("dtls: {:?}", settings.dtls));
    line(format!("{:?}", settings.wire));
    line(format!("{:?}", settings.logging));
    line(format!("{:?} {:?}", settings.process, settings.metrics));
    let http = &settings.http;
    let keys: Vec<&str> = http
        .api_keys
        .iter()
        .map(|key| key.expose().as_str())
        .collect();
    line(format!(
        "http_listen: {:?}, api_keys: [{}]",
        http.listen,
        keys.join(", ")
    ));
    line(format!(
        "https: {}, advertise: {:?}, allowed_origins: {:?}",
        http.https, http.advertise, http.allowed_origins
    ));
    for effective in &settings.effective {
        line(format!("{} = {}", effective.option, effective.value));
    }
    text
}
