//! Requests to services of the operator, over HTTP and HTTPS: ICE endpoint, keys of tokens, call-outs, webhooks.
//!
//! In: one short HTTP/1.1 exchange, bounded in time and size. Not in: what is asked, and of whom.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ice_api::Host;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::trust::Trust;

/// Where a service is: `http[s]://HOST[:PORT][/PATH][?QUERY]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebUrl {
    secure: bool,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// With its query, from the slash on.
    pub(crate) path: String,
    trust: Trust,
}

/// The text is not the URL of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not http[s]://HOST[:PORT]/PATH")]
pub struct BadWebUrl;

impl FromStr for WebUrl {
    type Err = BadWebUrl;

    fn from_str(text: &str) -> Result<WebUrl, BadWebUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(BadWebUrl)?;
        let (secure, standard_port) = match scheme {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return Err(BadWebUrl),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let host = Host::from_authority(authority).map_err(|_| BadWebUrl)?;
        let behind_address = authority
            .rsplit_once(']')
            .map_or(authority, |(_, port)| port);
        let port = match behind_address.rsplit_once(':') {
            Some((_, digits)) => digits.parse().map_err(|_| BadWebUrl)?,
            None => standard_port,
        };
        let is_odd = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '#';
        if path.contains(is_odd) {
            return Err(BadWebUrl);
        }
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        Ok(WebUrl {
            secure,
            host,
            port,
            path,
            trust: Trust::default(),
        })
    }
}

/// Without the query, which may hold a key.
impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}:{}{path}", self.host, self.port)
    }
}

impl WebUrl {
    /// The same service at `path`, if the operator named none.
    pub fn with_path(mut self, path: &str) -> WebUrl {
        if self.path == "/" {
            path.clone_into(&mut self.path);
        }
        self
    }

    /// The same service, if it shows a certificate of one of these.
    pub fn trusting(mut self, trust: Trust) -> WebUrl {
        self.trust = trust;
        self
    }

    /// What belongs into the `Host` field (RFC 9110 §7.2).
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Why there is no answer; for the log.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {cause}")]
pub(crate) struct NoAnswer {
    url: WebUrl,
    cause: String,
}

/// Bounds of one exchange.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) time: Duration,
    /// Bytes of the answer.
    pub(crate) body: usize,
}

/// Sends a request to the service at `url` and waits for the whole answer. Redirections are not followed.
pub(crate) async fn exchange(
    url: &WebUrl,
    request: Request<Body>,
    bounds: Bounds,
) -> Result<(StatusCode, Bytes), NoAnswer> {
    let cause = match timeout(bounds.time, attempt(url, request, bounds.body)).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("no answer in {} seconds", bounds.time.as_secs_f32()),
    };
    Err(NoAnswer {
        url: url.clone(),
        cause,
    })
}

async fn attempt(
    url: &WebUrl,
    request: Request<Body>,
    largest: usize,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let address = match &url.host {
        Host::Ip(address) => address.to_string(),
        Host::Name(name) => name.clone(),
    };
    let stream = TcpStream::connect((address.as_str(), url.port)).await?;
    stream.set_nodelay(true)?;
    if url.secure {
        let stream = url.trust.connect(&address, stream).await?;
        converse(stream, request, largest).await
    } else {
        converse(stream, request, largest).await
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Body>,
    largest: usize,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), largest).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        Ok((status, body))
    };
    tokio::pin!(exchange);
    tokio::select! {
        // The connection ends when the exchange has dropped its sender, or breaks before.
        _ = connection => exchange.await,
        answer = &mut exchange => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_with_port_and_path() {
        for (text, shown) in [
            (
                "http://127.0.0.1:8081/v1/ice",
                "http://127.0.0.1:8081/v1/ice",
            ),
            ("http://turn.internal", "http://turn.internal:80/"),
            (
                "https://auth.example.org/jwks.json",
                "https://auth.example.org:443/jwks.json",
            ),
            ("https://h?key=secret", "https://h:443/"),
            ("http://[::1]:8081/ice", "http://[::1]:8081/ice"),
        ] {
            let url = text.parse::<WebUrl>().map(|url| url.to_string());
            assert_eq!(url, Ok(shown.to_owned()));
        }
        for text in [
            "ftp://h/",
            "h/v1/ice",
            "http://",
            "http://h:x/",
            "http://h/a b",
            "http://h/#a",
        ] {
            assert_eq!(text.parse::<WebUrl>(), Err(BadWebUrl), "{text}");
        }
    }
}
