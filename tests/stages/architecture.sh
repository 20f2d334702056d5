# Which crate may know which, who may touch sockets, and that what pages promise is tested.
# budget: 60
# counts: tests
cargo test --locked -p e2e --test architecture --test pages
