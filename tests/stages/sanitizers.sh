# The only unsafe code, under AddressSanitizer: its own tests, and those of the drivers that use it. It has to be nightly Rust.
# budget: 300
# counts: tests
rustup toolchain list | grep -q '^nightly' || rustup toolchain install --profile minimal nightly
# The target is named so that build scripts and macros go without. Miri can do none of this: it knows no recvmmsg.
sanitized() {
  RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/sanitizers \
    cargo +nightly test --locked --target x86_64-unknown-linux-gnu --lib --tests "$@"
}
# What the sanitizer lays around an allocation, and what it keeps of those given back, is resident, too: three tests are of
# memory as it is without. A fourth counts the heap by itself, and takes long enough without.
sanitized -p udp-batch -- --skip only_pages_that_packets_touched_are_resident
sanitized -p turn-io -- --skip clients_that_do_not_read_cost_bounded_memory \
  --skip an_association_is_small_and_an_abandoned_handshake_too --skip clients_that_have_gone_leave_nothing_on_the_heap
