# Looks for new inputs that break a promise; RUNS says how many it tries for each target.
# budget: 5400
# counts: itself
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
tests/fuzz/discover | sed -n 's/.* executions,/say: &/p'
