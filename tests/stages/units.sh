# Each crate's own tests, and those of the test support. No root, no packages.
# budget: 300
# counts: tests
cargo test --locked --workspace --exclude e2e
cargo test --locked -p e2e --lib
