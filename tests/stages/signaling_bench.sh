# The signaling bench, for a moment each: every contender passes on all messages in their order; its times mean nothing.
# budget: 60
# counts: itself
cargo run --locked -p signaling --example bench -- --smoke
