//! One connection to Redis.
//!
//! In: opening it, with TLS and a password if they are wanted, and asking. Not in: what is asked (`link.rs`), bytes (`resp.rs`).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use turn_auth::Secret;

use super::link::{Broken, PATIENCE};
use super::resp::{self, Reader, Reply};
use crate::trust::Trust;

/// Where Redis is.
#[derive(Clone)]
pub struct RedisAddress {
    /// Name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database's number.
    pub database: u32,
    /// The user to log in as, if it is not the default one.
    pub user: Option<String>,
    /// The password, if it wants one.
    pub password: Option<Secret<String>>,
    /// Whose certificate it has to show; without, it is spoken to in the clear.
    pub tls: Option<Trust>,
}

/// How connections to Redis are made.
pub(crate) trait Way: Send + Sync {
    /// Makes one, logged in.
    fn open(&self) -> impl Future<Output = Result<Client, Broken>> + Send;
}

impl Way for RedisAddress {
    async fn open(&self) -> Result<Client, Broken> {
        Client::connect(self).await
    }
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that is open.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    reader: Reader,
}

impl Client {
    /// One that is open already.
    pub(super) fn over(stream: Box<dyn Stream>) -> Client {
        Client {
            stream,
            reader: Reader::default(),
        }
    }

    async fn connect(address: &RedisAddress) -> Result<Client, Broken> {
        let mut client = Client::over(open(address).await?);
        client.log_in(address).await?;
        if address.database > 0 {
            let number = address.database.to_string();
            client.ask(&[b"SELECT", number.as_bytes()]).await?;
        }
        Ok(client)
    }

    /// Shows the password. A Redis that does not know the command, or wants it otherwise, repeats in its refusal what it was told; of that
    /// the password is for nobody to read.
    async fn log_in(&mut self, address: &RedisAddress) -> Result<(), Broken> {
        let Some(password) = address.password.as_ref().map(Secret::expose) else {
            return Ok(());
        };
        let mut login: Vec<&[u8]> = vec![b"AUTH"];
        login.extend(address.user.as_ref().map(|user| user.as_bytes()));
        login.push(password.as_bytes());
        match self.ask(&login).await {
            Err(Broken::Refused(words)) if words.contains(password.as_str()) => {
                let without = words.replace(password.as_str(), "…");
                Err(Broken::Refused(without))
            }
            answer => answer.map(|_| ()),
        }
    }

    /// Asks one thing and waits for the answer.
    pub(super) async fn ask(&mut self, command: &[&[u8]]) -> Result<Reply, Broken> {
        let answer = async {
            self.stream.write_all(&resp::command(command)).await?;
            self.stream.flush().await?;
            loop {
                if let Some(reply) = self.reader.next()? {
                    return Ok(reply);
                }
                if self.stream.read_buf(self.reader.received()).await? == 0 {
                    return Err(Broken::Io(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        };
        match timeout(PATIENCE, answer).await {
            Err(_) => Err(Broken::Silent),
            // It goes into the log, as one line.
            Ok(Ok(Reply::Error(words))) => {
                Err(Broken::Refused(words.replace(char::is_control, " ")))
            }
            Ok(answer) => answer,
        }
    }
}

async fn open(address: &RedisAddress) -> Result<Box<dyn Stream>, Broken> {
    let RedisAddress {
        host, port, tls, ..
    } = address;
    let stream = TcpStream::connect((host.as_str(), *port));
    let stream = timeout(PATIENCE, stream)
        .await
        .map_err(|_| Broken::Silent)??;
    stream.set_nodelay(true)?;
    let Some(trust) = tls else {
        return Ok(Box::new(stream));
    };
    // A Redis without TLS takes what we say for the beginning of a command, and waits for its end.
    let stream = timeout(PATIENCE, trust.connect(host, stream)).await;
    Ok(Box::new(stream.map_err(|_| Broken::SilentTls)??))
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn a_refusal_that_repeats_the_password_is_told_without_it_and_in_one_line() {
        let (here, mut there) = duplex(4_096);
        let said = "-ERR unknown command 'AUTH', with args beginning with: 'fleet' 'the word' \nINFO all is well\r\n";
        there.write_all(said.as_bytes()).await.unwrap();
        let address = RedisAddress {
            host: "redis.test".to_owned(),
            port: 6_379,
            database: 0,
            user: Some("fleet".to_owned()),
            password: Some(Secret::new("the word".to_owned())),
            tls: None,
        };
        let refused = Client::over(Box::new(here)).log_in(&address).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("unknown command"), "{refused}");
        assert!(
            !refused.contains("the word") && !refused.contains('\n'),
            "{refused}"
        );
    }
}
