# Changes the codec, authentication and the peer policy in every small way, one at a time: the tests of that crate notice.
# budget: 7200
# counts: itself
command -v cargo-mutants >/dev/null || cargo install --locked cargo-mutants
out=${CARGO_TARGET_DIR:-target}/mutants
mkdir -p "$out"
# Random cases by the dozen: a change that only one in a thousand notices is not tested for.
# Without line numbers it is linked in half the time.
export PROPTEST_CASES=64 PEERS=20000 CARGO_PROFILE_DEV_DEBUG=0
survivors=0

# Changes some files of one crate, and tries them by some of its tests.
mutants() {
  local name=$1 options=("${@:2}") ended=0
  # Where a table is made while compiling, a change can keep the compiler for ever.
  cargo mutants -j2 --build-timeout=120 -o "$out/$name" "${options[@]}" || ended=$?
  # 3: some tests or builds never ended, which nobody overlooks.
  [ "$ended" = 0 ] || [ "$ended" = 3 ] || survivors=1
  local results="$out/$name/mutants.out"
  echo "say: $name: $(cat "$results"/{caught,timeout}.txt | wc -l) changes noticed, $(wc -l <"$results/missed.txt") not"
  sed 's/^/say: not noticed: /' "$results/missed.txt"
}

# An argument given by -C is for the build as well, so that tests that are not run are not built.
mutants authentication -p turn-auth -C=--lib -C=--tests
policy=turn-server/crates/turn-proto/src
mutants policy -p turn-proto -f "$policy/peer.rs" -f "$policy/peers.rs" -f "$policy/scope.rs" -f "$policy/client_lists.rs" \
  -C=--lib -C=--test=peers -C=--test=peer_oracle
mutants codec -p turn-wire -C=--lib -C=--tests
[ "$survivors" = 0 ]
