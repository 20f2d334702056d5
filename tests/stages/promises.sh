# Every promise to operators with its number, in one table: the budget, what is measured of ours, and the same of Debian's coturn.
# budget: 600
# counts: tests
export RUST_LIB_BACKTRACE=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
promises() { cargo test --locked "$@" -- --test-threads=1 --nocapture 2>&1 | tee -a "$log"; }

cargo build --locked --release -p turn-server -p fuzz
promises -p e2e --test promises
promises -p e2e --test malformed
promises -p turn-io --test dtls_malformed
promises -p e2e --test timing
promises -p fuzz --test replay
PEERS=${PEERS-10000000} SEEDS=${SEEDS-1000} promises --release -p turn-proto \
  --test amplification --test peer_oracle --test lossy_network
# By the clock: printed and not judged, for other programs have a say.
${CARGO_TARGET_DIR:-target}/release/refusals time "${SAMPLES-1000000}" | tee -a "$log"
sed -n 's/^promise: //p' "$log" | awk -F ' \\| ' '
  BEGIN { row("promise", "budget", "measured", "coturn") }
  { row($1, $2, $3, $4) }
  function row(a, b, c, d) {
    what[++n] = a; budget[n] = b; ours[n] = c; theirs[n] = d
    if (length(a) > w) w = length(a); if (length(b) > x) x = length(b); if (length(c) > y) y = length(c)
  }
  END { for (i = 1; i <= n; i++) printf "say: %-*s | %-*s | %-*s | %s\n", w, what[i], x, budget[i], y, ours[i], theirs[i] }'
