# Each crate's own tests, and those of the test support. No root, no packages.
# budget: 360
# counts: tests
cargo test --locked --workspace --exclude e2e --no-fail-fast
cargo test --locked -p e2e --lib
