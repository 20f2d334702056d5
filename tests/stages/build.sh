# The programs as they are shipped; the stages below run them.
# budget: 300
# counts: itself
cargo build --locked --release --workspace
