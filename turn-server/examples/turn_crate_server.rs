//! A TURN server as it is written with the `turn` crate, with one line changed.
//!
//! ```text
//! cargo run --example turn_crate_server -- 127.0.0.1:3478 user=pass user2=pass2
//! turnutils_uclient -u user -w pass -y 127.0.0.1        # from coturn; stop both with Ctrl-C
//! ```

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::UdpSocket;
use turn::{
    Error,
    auth::{AuthHandler, generate_auth_key},
    relay::relay_static::RelayAddressGeneratorStatic,
    server::config::{ConnConfig, ServerConfig},
};
use webrtc_util::vnet::net::Net;

// use turn::server::Server;
use turn_server::Server;

const REALM: &str = "example.org";

/// Users and the keys made of their passwords.
struct Users(HashMap<String, Vec<u8>>);

impl AuthHandler for Users {
    fn auth_handle(&self, username: &str, _: &str, _: SocketAddr) -> Result<Vec<u8>, Error> {
        self.0.get(username).cloned().ok_or(Error::ErrNoSuchUser)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().unwrap_or("127.0.0.1:3478".to_owned());
    let pairs: Vec<String> = arguments.collect();
    let pairs = if pairs.is_empty() {
        vec!["user=pass".to_owned()]
    } else {
        pairs
    };
    let users = pairs.iter().filter_map(|pair| pair.split_once('='));
    let key = |(user, password)| (user, generate_auth_key(user, REALM, password));
    let users = users.map(key).map(|(user, key)| (user.to_owned(), key));

    let conn = Arc::new(UdpSocket::bind(listen).await?);
    let address = conn.local_addr()?;
    let server = Server::new(ServerConfig {
        conn_configs: vec![ConnConfig {
            conn,
            relay_addr_generator: Box::new(RelayAddressGeneratorStatic {
                relay_address: address.ip(),
                address: address.ip().to_string(),
                net: Arc::new(Net::new(None)),
            }),
        }],
        realm: REALM.to_owned(),
        auth_handler: Arc::new(Users(users.collect())),
        channel_bind_timeout: Duration::ZERO,
        alloc_close_notify: None,
    })
    .await?;
    println!("listening {address}, Ctrl-C ends");
    tokio::signal::ctrl_c().await?;
    println!(
        "{} allocations",
        server.get_allocations_info(None).await?.len()
    );
    server.close().await?;
    Ok(())
}
