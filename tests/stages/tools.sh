# What the other stages run and a fresh machine lacks. A second run finds everything there and does nothing.
# budget: 600
# counts: itself
fail() { echo "$1" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail 'this needs root, for namespaces and apt-get: sudo env PATH="$PATH" tests/run (or tests/run --quick without)'
major=$(node --version | sed 's/^v\([0-9]*\).*/\1/') || fail 'node is missing: install node 20 or later'
[ "$major" -ge 20 ] || fail "node $(node --version) is too old: install node 20 or later"

# Debian's own versions: the release is the pin, because a security update removes the version before it.
packages=(chromium coturn curl fail2ban firefox-esr haproxy iproute2 libnss3-tools man-db nftables openssl postgresql procps python3-yaml redis-server strace stun-client systemd valgrind)
# A Debian package, and machines to try it on; a container's image.
packages+=(binutils debootstrap dpkg-dev lintian podman runc systemd-container)
# pion, to be built here, and GStreamer's webrtcbin with Debian's own Python.
packages+=(golang-go golang-github-pion-webrtc.v3-dev)
packages+=(gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice gstreamer1.0-plugins-bad gstreamer1.0-plugins-base python3-gi)
# It counts instructions.
packages+=(valgrind)
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  # coturn is here for its client; its server must not take the port, HAProxy, PostgreSQL and Redis are started by tests alone, and
  # of fail2ban only the judge of filters is wanted. What was installed before is somebody's.
  for service in coturn fail2ban haproxy postgresql redis-server; do
    if [ -d /run/systemd/system ] && [[ " ${missing[*]} " = *" $service "* ]]; then
      systemctl mask "$service.service"
    fi
  done
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" ||
    fail "this failed: apt-get install ${missing[*]}"
fi
dpkg-query -W "${packages[@]}"

for folder in tests/browsers tests/clients; do
  cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed" && continue
  (cd "$folder" && npm ci) || fail "this failed: (cd $folder && npm ci)"
  cp "$folder/package-lock.json" "$folder/node_modules/.installed"
done

venv=${CARGO_TARGET_DIR:-target}/e2e/venv
if ! cmp -s tests/clients/requirements.txt "$venv/.installed"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --require-hashes -r tests/clients/requirements.txt ||
    fail "this failed: $venv/bin/pip install --require-hashes -r tests/clients/requirements.txt"
  cp tests/clients/requirements.txt "$venv/.installed"
fi

# Without optimisation: it runs for a second, and compiling it is what takes time.
cargo deny --version 2>/dev/null | grep -q ' 0\.20\.' ||
  cargo install --locked --debug --version 0.20.2 cargo-deny ||
  fail 'this failed: cargo install --locked --version 0.20.2 cargo-deny'
