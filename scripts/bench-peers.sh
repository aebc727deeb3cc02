#!/bin/sh
# How fast netlab sends, against the tools people know: iperf 2, iperf 3, sockperf and trafgen, those installed.
#
#   sudo scripts/bench-peers.sh [--rounds R] [--seconds T] [--sizes "64 1400"] [--netlab PROGRAM]
#
# Two hosts (network namespaces) with a veth pair between them are made for this and removed at the end, however it
# ends. The tools take turns, R rounds each, so that a machine that slows down slows all of them. Every tool sends as
# fast as it can from one process; what counts is what reaches the other host in a stretch of T seconds while the tool
# is at work:
#   frames/s     by the link counter of the receiving host (`ip -s -j link`): every frame a real one, none merged
#   messages/s   of these, what the receiving program got: UDP InDatagrams; for raw frames by `netlab … recv`
# A receiver that takes less leaves the sender more of the machine, so look at both ratios.
# It needs root, iproute2 and awk.
set -eu

rounds=5 seconds=3 sizes="64 1400"
netlab=$(dirname "$0")/../target/release/netlab
while [ $# -gt 1 ]; do
    case $1 in
        --rounds) rounds=$2 ;;
        --seconds) seconds=$2 ;;
        --sizes) sizes=$2 ;;
        --netlab) netlab=$2 ;;
        *) break ;;
    esac
    shift 2
done
if [ $# -gt 0 ]; then
    sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
[ "$(id -u)" = 0 ] || { echo "bench-peers.sh: run it as root: sudo $0" >&2; exit 4; }
[ -x "$netlab" ] || { echo "bench-peers.sh: no $netlab; build it first: cargo build --release" >&2; exit 1; }

a=netlab-bench-a-$$ b=netlab-bench-b-$$
scratch=$(mktemp -d)
made=
# Ends what a tool has left in one of our namespaces: trafgen sends from a child, which outlives it.
end_all() { ip netns pids "$1" | xargs -r kill -KILL 2>/dev/null || true; }
clean_up() {
    for namespace in $made; do
        end_all "$namespace"
        ip netns delete "$namespace" 2>/dev/null || true
    done
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

for namespace in "$a" "$b"; do
    ip netns add "$namespace"
    made="$made $namespace"
    ip -n "$namespace" link set lo up
    # Neighbour discovery would be in the counts.
    ip netns exec "$namespace" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
done
ip link add v0 netns "$a" type veth peer name v0 netns "$b"
ip -n "$a" address add 10.99.0.1/24 brd + dev v0
ip -n "$b" address add 10.99.0.2/24 brd + dev v0
ip -n "$a" link set v0 up
ip -n "$b" link set v0 up
ip -n "$a" route add 239.0.0.0/8 dev v0
ip -n "$b" route add 239.0.0.0/8 dev v0

on_b() { ip netns exec "$b" "$@"; }
has() { command -v "$1" >/dev/null; }

# One line: nanoseconds, frames received by the link, UDP datagrams received by a program.
sample() {
    on_b sh -c 'date +%s%N; ip -s -j link show dev v0; cat /proc/net/snmp' | awk '
        NR == 1 { time = $1 }
        match($0, /"rx":\{[^}]*"packets":[0-9]+/) {
            frames = substr($0, RSTART, RLENGTH); sub(/.*:/, "", frames)
        }
        /^Udp: [0-9]/ { datagrams = $2 }
        END { print time, frames, datagrams }'
}

# Waits until a shell condition holds.
until_true() {
    tries=0
    until eval "$1" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 200 ]; then
            echo "bench-peers.sh: $name: waited in vain for: $1" >&2
            cat "$scratch/errors" >&2
            exit 1
        fi
        sleep 0.05
    done
}

# Ends one of our own processes: asks, and insists when it does not listen.
end() {
    kill -TERM "$1" 2>/dev/null || return 0
    tries=0
    while [ "$tries" -lt 20 ] && kill -0 "$1" 2>/dev/null; do
        tries=$((tries + 1))
        sleep 0.05
    done
    kill -KILL "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

frames_now() { sample | cut -d' ' -f2; }

# run NAME SIZE: starts both ends of one tool, measures, ends them, appends "frames/s messages/s" to NAME.SIZE.
run() {
    name=$1 size=$2 time=$((seconds + 60))s
    listening="on_b ss -Hulan | grep -q ':4747 '"
    receiver="" count=$scratch/count
    case $name in
        unicast/netlab)
            receiver="$netlab unicast recv" sender="$netlab unicast --to 10.99.0.2:4747 --rate max --duration $time --size $size send" ;;
        broadcast/netlab)
            receiver="$netlab broadcast -i v0 recv" sender="$netlab broadcast -i v0 --rate max --duration $time --size $size send" ;;
        multicast/netlab)
            receiver="$netlab multicast -i v0 --group 239.1.1.1 recv" sender="$netlab multicast -i v0 --group 239.1.1.1 --rate max --duration $time --size $size send" ;;
        raw/netlab)
            sender="$netlab broadcast --raw -i v0 --rate max --duration $time --size $size send" ;;
        unicast/iperf3)
            receiver="iperf3 -s -p 4747 -1" sender="iperf3 -c 10.99.0.2 -p 4747 -u -b 0 -l $size -t ${time%s}"
            listening="on_b ss -Hltn | grep -q ':4747 '" ;;
        unicast/iperf2)
            receiver="iperf -s -u -p 4747" sender="iperf -c 10.99.0.2 -p 4747 -u -b 100g -l $size -t ${time%s}" ;;
        multicast/iperf2)
            receiver="iperf -s -u -B 239.1.1.1%v0 -p 4747" sender="iperf -c 239.1.1.1 -p 4747 -u -b 100g -l $size -t ${time%s}" ;;
        unicast/sockperf)
            receiver="sockperf server -i 10.99.0.2 -p 4747" sender="sockperf throughput -i 10.99.0.2 -p 4747 -m $size -t ${time%s}" ;;
        multicast/sockperf)
            receiver="sockperf server -i 239.1.1.1 -p 4747 --mc-rx-if 10.99.0.2" sender="sockperf throughput -i 239.1.1.1 -p 4747 --mc-tx-if 10.99.0.1 -m $size -t ${time%s}" ;;
        raw/trafgen)
            printf '{ 0xff,0xff,0xff,0xff,0xff,0xff, 0x02,0,0,0,0,1, 0x88,0xb5, fill(0, %s) }\n' "$size" >"$scratch/frame"
            sender="trafgen --dev v0 --conf $scratch/frame --cpus 1" ;;
    esac
    if [ -z "$receiver" ]; then
        receiver="$netlab broadcast --raw -i v0 recv --json"
        listening="on_b cat /proc/net/packet | grep -qi ' 88b5 '"
    fi
    # `ip netns exec` becomes the program, which so has the number $!.
    # shellcheck disable=SC2086 # a command and its arguments
    ip netns exec "$b" $receiver >"$count" 2>"$scratch/errors" &
    receiving=$!
    until_true "$listening"
    before=$(frames_now)
    # shellcheck disable=SC2086
    ip netns exec "$a" $sender >/dev/null 2>>"$scratch/errors" &
    sending=$!
    until_true "[ \$((\$(frames_now) - before)) -gt 1000 ]"
    first=$(sample)
    sleep "$seconds"
    last=$(sample)
    end "$sending"
    end_all "$a"
    end "$receiving"
    end_all "$b"
    after=$(frames_now)
    received=
    case $name in raw/*)
        # The program counted the whole of it, not the stretch: what share of all frames it got.
        received=$(tail -n 1 "$count" | awk -v all=$((after - before)) '
            function value(key) { return match($0, "\"" key "\":[0-9]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) : 0 }
            { print (value("messages_received") + value("messages_unrecognized")) / all }')
    esac
    echo "$first $last" | awk -v share="$received" '{
        frames = $5 - $2; if (share == "") share = ($6 - $3) / frames
        rate = frames / ($4 - $1) * 1e9
        printf "%.0f %.0f\n", rate, rate * share }' >>"$scratch/$(echo "$name.$size" | tr / _)"
}

median() { sort -n | awk '{ value[NR] = $1 } END { print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'; }
result() { cut -d' ' -f"$2" "$scratch/$(echo "$1" | tr / _)" | median; }

tools="unicast/netlab"
has iperf3 && tools="$tools unicast/iperf3"
has iperf && tools="$tools unicast/iperf2"
has sockperf && tools="$tools unicast/sockperf"
tools="$tools multicast/netlab"
has iperf && tools="$tools multicast/iperf2"
has sockperf && tools="$tools multicast/sockperf"
tools="$tools broadcast/netlab raw/netlab"
has trafgen && tools="$tools raw/trafgen"

echo "Linux $(uname -r), $(nproc) CPUs, $rounds rounds of $seconds s, one sending process; medians" >&2
for size in $sizes; do
    round=1
    while [ "$round" -le "$rounds" ]; do
        for tool in $tools; do
            if [ "$tool" = unicast/sockperf ] || [ "$tool" = multicast/sockperf ]; then
                # The smallest sockperf message has 14 bytes, the largest 65,506.
                [ "$size" -ge 14 ] || continue
            fi
            run "$tool" "$size"
        done
        echo "size $size: round $round of $rounds" >&2
        round=$((round + 1))
    done
done

ratio() { awk -v own="$1" -v other="$2" 'BEGIN { if (other > 0) printf "%.2f", own / other; else print "-" }'; }
printf '%-20s %6s %12s %12s %22s\n' "mode/tool" size "frames/s" "messages/s" "netlab is … times that"
for size in $sizes; do
    for tool in $tools; do
        frames=$(result "$tool.$size" 1) messages=$(result "$tool.$size" 2)
        if [ "${tool#*/}" = netlab ]; then
            own_frames=$frames own_messages=$messages
            printf '%-20s %6s %12.0f %12.0f\n' "$tool" "$size" "$frames" "$messages"
        else
            printf '%-20s %6s %12.0f %12.0f %10s %11s\n' "$tool" "$size" "$frames" "$messages" \
                "$(ratio "$own_frames" "$frames")" "$(ratio "$own_messages" "$messages")"
        fi
    done
done
