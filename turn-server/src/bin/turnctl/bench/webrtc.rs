//! The baseline `webrtc-rs`: `turn::server` as the crate ships it, on one UDP socket, with the bench's credentials.
//!
//! Nothing is tuned here, and nothing may be: this is what a user of the crate gets.

use super::target::{PASSWORD, REALM, USER};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use turn::auth::AuthHandler;
use turn::relay::relay_static::RelayAddressGeneratorStatic;
use turn::server::Server;
use turn::server::config::{ConnConfig, ServerConfig};
use turn_auth::LongTermKey;
use webrtc_util::vnet::net::Net;

/// Serves until it is killed.
///
/// # Errors
/// The address cannot be bound.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start a tokio runtime")?;
    runtime.block_on(async {
        let conn = UdpSocket::bind(listen)
            .await
            .with_context(|| format!("cannot bind {listen}"))?;
        let relays = RelayAddressGeneratorStatic {
            relay_address: listen.ip(),
            address: listen.ip().to_string(),
            net: Arc::new(Net::new(None)),
        };
        let config = ServerConfig {
            conn_configs: vec![ConnConfig {
                conn: Arc::new(conn),
                relay_addr_generator: Box::new(relays),
            }],
            realm: REALM.to_owned(),
            auth_handler: Arc::new(OneUser),
            channel_bind_timeout: Duration::from_secs(0),
            alloc_close_notify: None,
        };
        let _server = Server::new(config)
            .await
            .context("turn::server does not start")?;
        std::future::pending().await
    })
}

struct OneUser;

impl AuthHandler for OneUser {
    fn auth_handle(
        &self,
        username: &str,
        realm: &str,
        _: SocketAddr,
    ) -> Result<Vec<u8>, turn::Error> {
        if username != USER {
            return Err(turn::Error::ErrFakeErr);
        }
        Ok(LongTermKey::derive(username, realm, PASSWORD)
            .as_bytes()
            .to_vec())
    }
}
