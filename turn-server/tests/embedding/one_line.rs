//! One source text for both servers: what differs is the line that names the server.

use std::{collections::HashMap, sync::Arc, time::Duration};

use turn::{
    Error,
    allocation::{AllocationInfo, five_tuple::FiveTuple},
    server::config::ServerConfig,
};

use crate::network::{Network, config};

mod ours {
    use super::*;
    use turn_server::Server;

    include!("program.rs");
}

mod theirs {
    use super::*;
    use turn::server::Server;

    include!("program.rs");
}

#[tokio::test(start_paused = true)]
async fn a_program_does_the_same_with_either_server() {
    let expected = ("ann".to_owned(), true, 0, 0);
    let network = Network::new().await;
    let with = config(network.listen().await, network.generator());
    assert_eq!(ours::run(with, &network).await, Ok(expected.clone()));
    let network = Network::new().await;
    let with = config(network.listen().await, network.generator());
    assert_eq!(theirs::run(with, &network).await, Ok(expected));
}
