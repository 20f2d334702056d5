# Random sequences against the invariants, hundreds of times as many as usual, optimised.
# budget: 3600
# counts: tests
export PROPTEST_CASES=${PROPTEST_CASES-100000} SEEDS=${SEEDS-100000}
cargo test --locked --release -p turn-wire -p turn-auth -p turn-proto -p turn-config -p signaling
PEERS=${PEERS-10000000} cargo test --locked --release -p turn-proto --test peer_oracle -- --nocapture |
  sed 's/^.* addresses judged/say: &/'
