#!/usr/bin/env bash
# What the chat costs: `netlab chat serve` with both relays, beside a bare loop of blocking writes to as many sockets.
#
#   scripts/bench-chat.sh [--clients N] [--rate R] [--seconds S] [--rounds K] [--size B]
#
# 1,000 clients and 100 messages/s to all of them unless told otherwise, so 100,000 copies a second, all on loopback.
# The servers take turns, so that a machine that slows down slows all of them; what counts is the ratio of CPU time per
# copy to that of the bare loop, in the same run. Every client must have got every message, all in the same order. Then
# the same with larger messages, and with one client more that never reads: it is dropped, and the others must not see
# a pause. examples/chat_bench.rs says how it is measured. It needs cargo, and some 2,100 open files.
set -euo pipefail

case ${1:-} in
    -h | --help)
        sed -n '2,4s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
esac
cd "$(dirname "$0")/.."
cargo build --quiet --release --bin netlab --example chat_bench
# The clients' sockets are open twice in one process.
ulimit -n "$(ulimit -H -n)" 2>/dev/null || true
echo "Linux $(uname -r), $(nproc) CPUs" >&2
exec "${CARGO_TARGET_DIR:-target}/release/examples/chat_bench" "${CARGO_TARGET_DIR:-target}/release/netlab" "$@"
