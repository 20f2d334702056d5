//! The metadata services of clouds, asked only where the operator says so: they also hand out a machine's credentials, which is
//! why the unit bars the way to them.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    time::Duration,
};

use turn_config::settings::Cloud;

/// Where all of them answer.
const METADATA: ([u8; 4], u16) = ([169, 254, 169, 254], 80);

/// How long each step may take; the service is next door.
const PATIENCE: Duration = Duration::from_secs(2);

/// More than any answer.
const MOST: u64 = 16 << 10;

/// Asks for the public IPv4 address.
///
/// # Errors
/// When nobody answers, or not with an address.
pub(super) fn ask(cloud: Cloud) -> io::Result<IpAddr> {
    let text = match cloud {
        Cloud::Aws => {
            let lifetime = "X-aws-ec2-metadata-token-ttl-seconds: 60";
            let token = request("PUT", "/latest/api/token", lifetime)?;
            let token = format!("X-aws-ec2-metadata-token: {}", token.trim());
            request("GET", "/latest/meta-data/public-ipv4", &token)?
        }
        Cloud::Gcp => {
            let path =
                "/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/external-ip";
            request("GET", path, "Metadata-Flavor: Google")?
        }
        Cloud::Azure => {
            let path = "/metadata/instance/network/interface/0/ipv4/ipAddress/0/publicIpAddress?api-version=2021-02-01&format=text";
            request("GET", path, "Metadata: true")?
        }
    };
    let address = text.trim().parse();
    address.map_err(|_| io::Error::other(format!("the metadata say {:?}", text.trim())))
}

/// The body of the answer to one request.
fn request(method: &str, path: &str, header: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(METADATA), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the body ends with the connection, in no chunks.
    let host = "169.254.169.254";
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\n{header}\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer)?;
    body(&answer).map(str::to_owned)
}

fn body(answer: &str) -> io::Result<&str> {
    let status = answer.lines().next().unwrap_or_default();
    let is_good = status.split(' ').nth(1) == Some("200");
    let (_, body) = (answer.split_once("\r\n\r\n").filter(|_| is_good))
        .ok_or_else(|| io::Error::other(format!("the metadata service answers {status:?}")))?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::body;

    #[test]
    fn only_a_good_answer_has_a_body() {
        assert_eq!(
            body("HTTP/1.0 200 OK\r\nA: b\r\n\r\n203.0.113.5").unwrap(),
            "203.0.113.5"
        );
        for bad in [
            "HTTP/1.1 404 Not Found\r\n\r\nno",
            "HTTP/1.1 200 OK\r\n",
            "",
            "SSH-2.0",
        ] {
            assert!(body(bad).is_err(), "{bad}");
        }
    }
}
