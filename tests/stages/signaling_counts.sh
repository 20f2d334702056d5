# What a relayed signal costs in instructions, system calls and heap allocations, and that rooms do not raise it; held by
# tests/signaling_counts.txt.
# budget: 60
# counts: itself
cargo run --locked -p signaling --example bench -- counts --server=target/release/signaling --hold=tests/signaling_counts.txt
