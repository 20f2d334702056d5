// The body of a program for the `turn` crate's server: `one_line.rs` includes it twice, beneath different `use` lines.

/// Serves one client, and tells what the server says of it: its user and whether it has a relay, how many allocations an
/// empty list names, and how many are left when the user is deleted.
pub(super) async fn run(config: ServerConfig, network: &Network) -> Result<(String, bool, usize, usize), Error> {
    let server = Arc::new(Server::new(config).await?);
    let mut client = network.client("ann", "pass").await;
    let relayed = client.allocate().await;
    let infos: HashMap<FiveTuple, AllocationInfo> = server.get_allocations_info(None).await?;
    let five_tuples = infos.keys().copied().collect();
    let infos = server.get_allocations_info(Some(five_tuples)).await?;
    let info = infos.into_values().next().ok_or(Error::ErrNoAllocationFound)?;
    let none = server.get_allocations_info(Some(Vec::new())).await?.len();
    server.delete_allocations_by_username("ann".to_owned()).await?;
    // The crate has sent its command and gone on.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left = server.get_allocations_info(None).await?.len();
    // A server is shared among tasks, and closed by any of them.
    let closing = Arc::clone(&server);
    tokio::spawn(async move { closing.close().await })
        .await
        .map_err(|error| Error::Other(error.to_string()))??;
    match server.get_allocations_info(None).await {
        Err(Error::ErrClosed) => Ok((info.username, info.relay_addr == relayed, none, left)),
        other => Err(Error::Other(format!("not closed: {other:?}"))),
    }
}
