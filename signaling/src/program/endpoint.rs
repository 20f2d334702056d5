//! ICE servers from the HTTP endpoint of a `turnserver`.
//!
//! In: one short HTTP/1.1 request per client that joins. Not in: TLS; the endpoint is beside us or on a private network.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ice_api::{Host, IceConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use turn_auth::Secret;

use crate::{Asker, IceFuture, IceSource, IceUnavailable};

/// Somebody is waiting to join.
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// Bytes; a configuration has less than one thousand.
const MAX_BODY: usize = 65_536;

/// Where the endpoint is: `http://HOST[:PORT]/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointUrl {
    host: Host,
    port: u16,
    path: String,
}

/// The text is not the URL of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not http://HOST[:PORT]/PATH (https is not available yet)")]
pub struct BadEndpointUrl;

impl Default for EndpointUrl {
    fn default() -> EndpointUrl {
        EndpointUrl {
            host: Host::Name("localhost".to_owned()),
            port: 80,
            path: "/v1/ice".to_owned(),
        }
    }
}

impl FromStr for EndpointUrl {
    type Err = BadEndpointUrl;

    fn from_str(text: &str) -> Result<EndpointUrl, BadEndpointUrl> {
        let rest = text.strip_prefix("http://").ok_or(BadEndpointUrl)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = Host::from_authority(authority).map_err(|_| BadEndpointUrl)?;
        let behind_address = authority
            .rsplit_once(']')
            .map_or(authority, |(_, port)| port);
        let port = match behind_address.rsplit_once(':') {
            Some((_, digits)) => digits.parse().map_err(|_| BadEndpointUrl)?,
            None => 80,
        };
        let path = if path.is_empty() {
            EndpointUrl::default().path
        } else {
            path.to_owned()
        };
        if path.contains(|character: char| {
            character.is_whitespace() || character.is_control() || "?#".contains(character)
        }) {
            return Err(BadEndpointUrl);
        }
        Ok(EndpointUrl { host, port, path })
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}{}", self.host, self.port, self.path)
    }
}

/// Asks an endpoint for each client.
pub struct Endpoint {
    url: EndpointUrl,
    key: Option<Secret<String>>,
}

impl Endpoint {
    /// Asks the endpoint at `url` with the API key `key`.
    pub fn new(url: EndpointUrl, key: Option<Secret<String>>) -> Endpoint {
        Endpoint { url, key }
    }

    async fn fetch(&self, asker: Asker<'_>) -> anyhow::Result<IceConfig> {
        let address = match &self.url.host {
            Host::Ip(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        };
        let stream = TcpStream::connect((address, self.url.port)).await?;
        let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream)).await?;
        let exchange = async {
            let response = sender.send_request(self.request(asker)?).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
            anyhow::ensure!(status == StatusCode::OK, "it answers {status}");
            Ok(serde_json::from_slice(&body)?)
        };
        tokio::pin!(exchange);
        tokio::select! {
            // The connection ends when the exchange has dropped its sender, or breaks before.
            _ = connection => exchange.await,
            config = &mut exchange => config,
        }
    }

    fn request(&self, asker: Asker<'_>) -> anyhow::Result<Request<Body>> {
        let uri = format!("{}?user={}", self.url.path, percent_encoded(asker.user));
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
            let unavailable =
                |cause: &dyn fmt::Display| IceUnavailable(format!("{}: {cause}", self.url));
            match timeout(TIME_LIMIT, self.fetch(asker)).await {
                Ok(Ok(config)) => Ok(config),
                Ok(Err(error)) => Err(unavailable(&format!("{error:#}"))),
                Err(_) => Err(unavailable(&"no answer in 3 seconds")),
            }
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
    use super::*;

    #[test]
    fn a_url_is_read_with_port_and_path() {
        for (text, expected) in [
            (
                "http://127.0.0.1:8081/v1/ice",
                "http://127.0.0.1:8081/v1/ice",
            ),
            ("http://turn.internal", "http://turn.internal:80/v1/ice"),
            ("http://[::1]:8081/ice", "http://[::1]:8081/ice"),
        ] {
            assert_eq!(
                text.parse::<EndpointUrl>().map(|url| url.to_string()),
                Ok(expected.to_owned())
            );
        }
        for text in [
            "https://h/v1/ice",
            "h/v1/ice",
            "http://",
            "http://h:x/",
            "http://h/a b",
            "http://h/?key=1",
        ] {
            assert_eq!(text.parse::<EndpointUrl>(), Err(BadEndpointUrl), "{text}");
        }
    }

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
