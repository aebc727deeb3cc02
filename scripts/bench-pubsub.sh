#!/bin/sh
# What a broker can carry: netlab's own beside mosquitto, in one run.
#
#   scripts/bench-pubsub.sh [--rounds R] [--seconds T] [--rate N] [--size B] [--subscribers S] [--netlab PROGRAM]
#
# One publisher sends N messages a second of B bytes by QoS 0, S subscribers count them (netlab's clients for both
# brokers, over loopback). The brokers take turns, R rounds each, so that a machine that slows down slows both. Each
# round says
#   published   messages a second that the publisher reached
#   delivered   of the copies due, how many arrived
#   CPU         of the broker's process, µs a message published (/proc/PID/stat)
#   latency     from publisher to subscriber, median and in 99 of 100, of the slowest subscriber
#   memory      the broker's, before and after the messages (VmRSS)
# and the end the ratios of the medians. It needs awk, and mosquitto for the comparison.
set -eu

rounds=3 seconds=5 rate=50000 size=64 subscribers=3
netlab=$(dirname "$0")/../target/release/netlab
while [ $# -gt 1 ]; do
    case $1 in
        --rounds) rounds=$2 ;;
        --seconds) seconds=$2 ;;
        --rate) rate=$2 ;;
        --size) size=$2 ;;
        --subscribers) subscribers=$2 ;;
        --netlab) netlab=$2 ;;
        *) break ;;
    esac
    shift 2
done
if [ $# -gt 0 ]; then
    sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
[ -x "$netlab" ] || { echo "bench-pubsub.sh: no $netlab; build it first: cargo build --release" >&2; exit 1; }

scratch=$(mktemp -d)
broker='' listeners=''
end() {
    for process in $listeners $broker; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    broker='' listeners=''
}
trap 'end; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP

# Waits until a file has a text, 10 s at most.
await() {
    tries=0
    until grep -q -- "$1" "$2" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { echo "bench-pubsub.sh: never saw '$1':" >&2; cat "$2" >&2; exit 1; }
        sleep 0.05
    done
}

# A number of the last line of a file of JSON objects.
figure() {
    tail -n 1 "$2" | awk -v key="\"$1\":" '{
        at = index($0, key); if (!at) { print 0; exit }
        rest = substr($0, at + length(key)); sub(/[,}].*/, "", rest); print rest + 0 }'
}

# CPU time of a process in clock ticks, user and system, and its memory in KiB.
ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
memory() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }

# round NAME: starts the broker, its subscribers and the publisher; appends a line of figures to NAME.
round() {
    name=$1 port=$((20000 + $$ % 20000))
    : >"$scratch/log"
    # What an earlier round said is no answer.
    rm -f "$scratch"/err.*
    case $name in
        netlab)
            "$netlab" pubsub broker --listen "127.0.0.1:$port" >/dev/null 2>"$scratch/log" &
            broker=$!
            await 'listening on' "$scratch/log" ;;
        mosquitto)
            printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$port" >"$scratch/mosquitto.conf"
            [ "$(id -u)" != 0 ] || echo 'user root' >>"$scratch/mosquitto.conf"
            mosquitto -v -c "$scratch/mosquitto.conf" >/dev/null 2>"$scratch/log" &
            broker=$!
            await ' running' "$scratch/log"
            # What it says of every packet would be measured as well.
            end
            mosquitto -c "$scratch/mosquitto.conf" >/dev/null 2>&1 &
            broker=$!
            until "$netlab" pubsub publish --broker "mqtt://127.0.0.1:$port" -t ready -m x >/dev/null 2>&1; do sleep 0.05; done ;;
    esac
    number=1
    while [ "$number" -le "$subscribers" ]; do
        "$netlab" pubsub subscribe --broker "mqtt://127.0.0.1:$port" -t load --quiet --json \
            >"$scratch/out.$number" 2>"$scratch/err.$number" &
        listeners="$listeners $!"
        await 'subscribed to' "$scratch/err.$number"
        number=$((number + 1))
    done
    before=$(ticks "$broker") small=$(memory "$broker")
    "$netlab" pubsub publish --broker "mqtt://127.0.0.1:$port" -t load --size "$size" --rate "$rate" \
        --duration "${seconds}s" --json >"$scratch/sent" 2>/dev/null
    # What is under way arrives within moments; nothing more comes then.
    sleep 1
    after=$(ticks "$broker") large=$(memory "$broker")
    for process in $listeners; do
        kill -INT "$process" || true
        wait "$process" || true
    done
    listeners=''
    end
    sent=$(figure messages_sent "$scratch/sent")
    received=0 p50=0 p99=0
    number=1
    while [ "$number" -le "$subscribers" ]; do
        received=$((received + $(figure messages_received "$scratch/out.$number")))
        p50=$(printf '%s\n%s\n' "$p50" "$(figure latency_p50_ns "$scratch/out.$number")" | sort -n | tail -n 1)
        p99=$(printf '%s\n%s\n' "$p99" "$(figure latency_p99_ns "$scratch/out.$number")" | sort -n | tail -n 1)
        number=$((number + 1))
    done
    awk -v name="$name" -v achieved="$(figure achieved_rate "$scratch/sent")" -v sent="$sent" -v received="$received" \
        -v subscribers="$subscribers" -v used=$((after - before)) -v hz="$(getconf CLK_TCK)" -v p50="$p50" -v p99="$p99" \
        -v small="$small" -v large="$large" 'BEGIN {
            printf "%s %.0f %.3f %.2f %.0f %.0f %.1f %.1f\n", name, achieved, 100 * received / sent / subscribers,
                used / hz * 1e6 / sent, p50 / 1e3, p99 / 1e3, small / 1024, large / 1024 }' | tee -a "$scratch/$name" |
        awk '{ printf "%-10s %12s %9s %% %10s µs %8s/%s µs %9s → %s MiB\n", $1, $2, $3, $4, $5, $6, $7, $8 }'
}

median() { cut -d' ' -f"$2" "$scratch/$1" | sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

brokers=netlab
if command -v mosquitto >/dev/null; then brokers="netlab mosquitto"; else echo "mosquitto is not installed: no comparison" >&2; fi
echo "Linux $(uname -r), $(nproc) CPUs, $rounds rounds of $seconds s: $rate messages/s of $size bytes to $subscribers subscribers, QoS 0" >&2
printf '%-10s %12s %11s %13s %13s %14s\n' broker published/s delivered CPU/message latency memory
number=1
while [ "$number" -le "$rounds" ]; do
    turn=$number
    for name in $brokers; do round "$name"; done
    number=$((turn + 1))
done
if [ "$brokers" != netlab ]; then
    for what in "published/s 2" "delivered 3" "CPU/message 4" "latency 5"; do
        own=$(median netlab "${what#* }") other=$(median mosquitto "${what#* }")
        awk -v what="${what% *}" -v own="$own" -v other="$other" 'BEGIN {
            printf "%-12s netlab %s, mosquitto %s: %s times\n", what, own, other, (other > 0 ? sprintf("%.2f", own / other) : "-") }'
    done
fi
