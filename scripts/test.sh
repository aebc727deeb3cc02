#!/usr/bin/env bash
# All checks and tests of netlab: formatting, lints, documentation, scripts, unit tests, the program, virtual LANs, peers.
#
# Run it as root to have missing test tools installed (Debian, Ubuntu) and to test both as root and as an ordinary user;
# as an ordinary user it tests what it can and says what it left out.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
export PATH="$PATH:/usr/sbin:/sbin"

# Tool a test needs -> Debian package that has it.
declare -A package=(
    [ip]=iproute2 [bridge]=iproute2 [ethtool]=ethtool [tshark]=tshark [socat]=socat [iperf]=iperf [nft]=nftables
    [shellcheck]=shellcheck [sysctl]=procps [tc]=iproute2 [unshare]=util-linux
    [chromium]=chromium [chromedriver]=chromium-driver
    [mosquitto]=mosquitto [mosquitto_pub]=mosquitto-clients [openssl]=openssl [nc]=netcat-openbsd
)
missing=()
for tool in "${!package[@]}"; do
    command -v "$tool" >/dev/null || missing+=("${package[$tool]}")
done
if ((${#missing[@]})); then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
    if ((EUID == 0)) && command -v apt-get >/dev/null; then
        echo "== installing: ${missing[*]}"
        apt-get update -qq
        # Not every distribution has each of them (Ubuntu's chromium is no package).
        known=()
        for name in "${missing[@]}"; do
            if apt-cache show "$name" >/dev/null 2>&1; then known+=("$name"); else echo "== no such package: $name" >&2; fi
        done
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${known[@]}" >/dev/null
    else
        echo "== not installed, so some tests will be skipped: ${missing[*]}" >&2
    fi
fi

step() { printf '\n== %s\n' "$*"; "$@"; }

step cargo fmt --check
step cargo clippy --locked --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" step cargo doc --locked --no-deps --document-private-items
if command -v shellcheck >/dev/null; then step shellcheck scripts/*.sh .ci/run; fi
if cargo deny --version >/dev/null 2>&1; then step cargo deny check licenses bans sources; fi

# Last, so that the test runner's own summary ends the output.
step cargo test --locked --no-fail-fast --lib --bins --tests
