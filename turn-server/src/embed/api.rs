//! The methods of the `turn` crate's server, on ours: a program that was written for it changes the line that names it.

use std::collections::HashMap;

use turn::{
    Error,
    allocation::{AllocationInfo, five_tuple::FiveTuple},
    server::config::ServerConfig,
};
use turn_proto::Admin;

use super::core::info_of;
use crate::server::{Drive, Server, lock};

/// The methods of `turn::server::Server`, with its names, its types and its errors.
///
/// The last three also work on a server that runs on threads.
impl Server {
    /// Starts a server on a configuration that was made for the `turn` crate's.
    ///
    /// # Errors
    /// When the configuration has no conn, or a generator finds itself wanting.
    pub async fn new(config: ServerConfig) -> Result<Self, Error> {
        config.validate()?;
        let started = Self::builder().config(config).start();
        started.map_err(|error| Error::Other(format!("{error:#}")))
    }

    /// Stops the server and waits until its conns are closed. It may be called again, to no effect.
    ///
    /// # Errors
    /// None at present; the type is the crate's.
    pub async fn close(&self) -> Result<(), Error> {
        match &self.drive {
            Drive::Workers(workers) => {
                let workers = lock(workers).take();
                // The threads end within a few milliseconds.
                drop(workers);
            }
            Drive::Conns(engine) => engine.close().await,
        }
        Ok(())
    }

    /// Ends the allocations that were made with this USERNAME.
    ///
    /// # Errors
    /// When the server is closed.
    pub async fn delete_allocations_by_username(&self, username: String) -> Result<(), Error> {
        match &self.drive {
            Drive::Workers(workers) => {
                let username = username.into_boxed_str();
                let workers = lock(workers);
                let workers = workers.as_ref().ok_or(Error::ErrClosed)?;
                workers.command(Admin::EndUser { username });
                // A worker answers in order, so that it has obeyed by then.
                workers.stats();
                Ok(())
            }
            Drive::Conns(engine) => engine.end_user(&username).await,
        }
    }

    /// What is known of the allocations of these 5-tuples, or of all.
    ///
    /// `relayed_bytes` are payloads from clients to peers, as in the crate.
    ///
    /// # Errors
    /// When the server is closed.
    pub async fn get_allocations_info(
        &self,
        five_tuples: Option<Vec<FiveTuple>>,
    ) -> Result<HashMap<FiveTuple, AllocationInfo>, Error> {
        let mut infos = match &self.drive {
            Drive::Workers(workers) => {
                let workers = lock(workers);
                let sessions = workers.as_ref().ok_or(Error::ErrClosed)?.sessions();
                let infos = sessions.iter().filter_map(info_of);
                infos.map(|info| (info.five_tuple, info)).collect()
            }
            Drive::Conns(engine) => engine.infos()?,
        };
        if let Some(wanted) = five_tuples {
            infos.retain(|five_tuple, _| wanted.contains(five_tuple));
        }
        Ok(infos)
    }
}
