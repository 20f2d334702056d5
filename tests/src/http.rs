//! The least HTTP that a test needs: GET one page, read one number out of Prometheus text.
//!
//! No keep-alive, no redirects, TLS by `curl`; bodies by length or until the end of the connection, or chunked.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::run;

/// One response.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields, names in lower case, the last of a name.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub body: String,
}

/// Gets `path` from the server at `address`, with further request header lines such as `Authorization: Bearer x`.
///
/// # Errors
/// When nobody answers within five seconds or the answer is not HTTP.
pub fn get(address: SocketAddr, path: &str, header_lines: &[&str]) -> Result<Response> {
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, patience)
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(patience))?;
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for line in header_lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .with_context(|| format!("no whole answer to GET {path} from {address}"))?;
    parse(&String::from_utf8_lossy(&answer))
}

/// Gets `path` from port `port` of `localhost` over TLS by `curl`, which believes one certificate only, with further flags.
///
/// # Errors
/// When `curl` is missing, or gets no answer within ten seconds.
pub fn curl(port: u16, path: &str, certificate: &Path, flags: &[&str]) -> Result<Response> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--include", "--max-time", "10"]);
    // Where the certificate's name leads, whatever the machine says.
    curl.args(["--resolve", &format!("localhost:{port}:127.0.0.1")]);
    curl.arg("--cacert").arg(certificate).args(flags);
    curl.arg(format!("https://localhost:{port}{path}"));
    parse(&run(&mut curl).context("it comes with: apt-get install curl")?)
}

fn parse(answer: &str) -> Result<Response> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the answer has no header")?;
    let mut lines = head.lines();
    let status_line = lines.next().unwrap_or_default();
    let Some(status) = status_line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
    else {
        bail!("not a status line: {status_line}");
    };
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers
        .get("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let body = if chunked {
        join_chunks(body)
    } else {
        body.to_owned()
    };
    Ok(Response {
        status,
        headers,
        body,
    })
}

fn join_chunks(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        body.push_str(after.get(..size).unwrap_or(after));
        rest = after.get(size + 2..).unwrap_or_default();
    }
    body
}

/// One reading of a Prometheus page.
#[derive(Debug, Clone)]
pub struct Metrics(String);

impl Metrics {
    /// Reads `/metrics` at `address`.
    ///
    /// # Errors
    /// When the page does not answer 200.
    pub fn scrape(address: SocketAddr) -> Result<Self> {
        let response = get(address, "/metrics", &[])?;
        if response.status != 200 {
            bail!("GET /metrics from {address}: {}", response.status);
        }
        Ok(Self(response.body))
    }

    /// The metrics that the page describes, each with its kind.
    pub fn names(&self) -> Vec<(String, String)> {
        let lines = self
            .0
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        lines
            .filter_map(|line| line.split_once(' '))
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .collect()
    }

    /// Sums all series of one name, whatever their labels; `None` when there is none.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let values: Vec<f64> = self
            .0
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let rest = line.strip_prefix(name)?;
                let value = rest.strip_prefix('{').map_or(Some(rest), |labels| {
                    labels.rsplit_once('}').map(|(_, value)| value)
                })?;
                value.strip_prefix(' ')?.split(' ').next()?.parse().ok()
            })
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_not_over_longer_names() {
        let page =
            Metrics("# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3 1700000000\nab 100\n".to_owned());
        assert_eq!(page.sum("a"), Some(5.0));
        assert_eq!(page.sum("ab"), Some(100.0));
        assert_eq!(page.sum("b"), None);
    }

    #[test]
    fn a_chunked_body_is_joined() {
        let answer =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let response = parse(answer).unwrap();
        assert_eq!((response.status, response.body.as_str()), (200, "abcde"));
    }
}
