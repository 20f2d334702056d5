# The README's first screen: its two commands, its proof, its links.
# budget: 180
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test readme
