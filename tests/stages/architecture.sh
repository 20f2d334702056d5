# Which crate may know which, and who may touch sockets.
# budget: 60
# counts: tests
cargo test --locked -p e2e --test architecture
