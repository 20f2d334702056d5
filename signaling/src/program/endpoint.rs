//! ICE servers from the HTTP endpoint of a `turnserver`.
//!
//! In: one request per client that joins. Not in: HTTP (`web.rs`).

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use ice_api::IceConfig;
use turn_auth::Secret;

use crate::web::{Bounds, WebUrl, exchange};
use crate::{Asker, IceFuture, IceSource, IceUnavailable};

/// Somebody is waiting to join; a configuration has less than one thousand bytes.
const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(3),
    body: 65_536,
};

/// Asks an endpoint for each client.
pub struct Endpoint {
    url: WebUrl,
    key: Option<Secret<String>>,
}

impl Endpoint {
    /// Asks the endpoint at `url` with the API key `key`.
    pub fn new(url: WebUrl, key: Option<Secret<String>>) -> Endpoint {
        Endpoint { url, key }
    }

    async fn fetch(&self, asker: Asker<'_>) -> anyhow::Result<IceConfig> {
        let (status, body) = exchange(&self.url, self.request(asker)?, BOUNDS).await?;
        anyhow::ensure!(
            status == StatusCode::OK,
            "{}: it answers {status}",
            self.url
        );
        Ok(serde_json::from_slice(&body)?)
    }

    fn request(&self, asker: Asker<'_>) -> anyhow::Result<Request<Body>> {
        let joint = if self.url.path.contains('?') {
            '&'
        } else {
            '?'
        };
        let user = percent_encoded(asker.user);
        let uri = format!("{}{joint}user={user}", self.url.path);
        let mut request = Request::get(uri).header(header::HOST, self.host_field(asker));
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", key.expose()));
        }
        Ok(request.body(Body::empty())?)
    }

    /// The endpoint builds its URLs from the `Host` field. One beside us would build URLs of 127.0.0.1; for it the host is the
    /// one with which the client found us.
    fn host_field(&self, asker: Asker<'_>) -> String {
        let host = asker
            .host
            .filter(|_| self.url.host.is_loopback())
            .unwrap_or(&self.url.host);
        format!("{host}:{}", self.url.port)
    }
}

impl IceSource for Endpoint {
    fn servers<'a>(&'a self, asker: Asker<'a>) -> IceFuture<'a> {
        Box::pin(async move {
            let fetched = self.fetch(asker).await;
            fetched.map_err(|error| IceUnavailable(format!("{error:#}")))
        })
    }
}

/// Encodes all but RFC 3986's unreserved characters.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use ice_api::Host;

    use super::*;

    #[test]
    fn an_endpoint_beside_us_is_told_the_host_that_the_client_used() {
        let lan = Host::parse("192.168.1.5").unwrap();
        let asker = Asker {
            host: Some(&lan),
            user: "u",
            now_unix: 0,
        };
        let endpoint = |url: &str| Endpoint::new(url.parse().unwrap(), None);
        assert_eq!(
            endpoint("http://127.0.0.1:8081/").host_field(asker),
            "192.168.1.5:8081"
        );
        assert_eq!(
            endpoint("http://turn.internal:8081/").host_field(asker),
            "turn.internal:8081"
        );
        assert_eq!(
            endpoint("http://localhost/").host_field(Asker {
                host: None,
                ..asker
            }),
            "localhost:80"
        );
    }

    #[test]
    fn names_are_encoded() {
        assert_eq!(percent_encoded("Zoë & co/1"), "Zo%C3%AB%20%26%20co%2F1");
    }
}
