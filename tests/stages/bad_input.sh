# Garbage, strangers, greed, guesses, mistakes of operators, clients that vanish; and the configurations that operators bring along.
# budget: 150
# counts: tests
export RUST_LIB_BACKTRACE=0
cargo test --locked -p e2e --test bad_input --test malformed --test timing --test bad_configuration --test deployments
