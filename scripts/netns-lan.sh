#!/bin/sh
# The virtual LAN of `netlab lan shell`, made by hand with iproute2: to read, and to try commands in several terminals.
#
#   sudo scripts/netns-lan.sh up [--hosts N] [--switch snooping|flooding|hub] [--threaded]
#   sudo ip netns exec netlab-h2 COMMAND…        runs COMMAND on host h2
#   sudo scripts/netns-lan.sh status
#   sudo scripts/netns-lan.sh down
#
# A host is a network namespace: interfaces, addresses, routes and counters of its own. A cable is a veth pair: what goes
# into one end comes out of the other. The switch is a bridge, in a namespace of its own, with one end of each cable as
# its ports. Nothing outside these namespaces is touched.
set -eu

STATE=/run/netlab-lan # the names of the namespaces this script made, one a line: `down` removes these and no others
SWITCH=netlab-sw

usage() {
    sed -n '4,7s/^# *//p' "$0" >&2
    exit 2
}

fail() {
    echo "netns-lan.sh: $*" >&2
    exit 1
}

# Makes a namespace and notes that it is ours. One that is there already belongs to somebody else.
new_namespace() {
    [ ! -e "/run/netns/$1" ] || fail "there is a namespace $1 already, and this script did not make it"
    # Noted first: were this script killed in between, `down` would look for one namespace too many, not miss one.
    echo "$1" >>"$STATE"
    ip netns add "$1"
    # Without IPv6 the LAN is silent: no router solicitations, no neighbour discovery among the frames you count.
    ip netns exec "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
    ip -n "$1" link set lo up
}

make_switch() {
    new_namespace "$SWITCH"
    case $KIND in
    snooping)
        # A switch that listens to IGMP (RFC 4541): a group goes to the ports of its members only. It needs a querier,
        # or it knows of no members and floods; and it still floods for one query response interval after that is
        # switched on: so that comes first, at 10 hundredths of a second. The other intervals keep it quiet afterwards.
        ip -n "$SWITCH" link add br0 type bridge mcast_snooping 1 mcast_igmp_version 3 \
            mcast_query_response_interval 10 mcast_startup_query_count 1 \
            mcast_query_interval 8640000 mcast_membership_interval 25920000 mcast_last_member_interval 10
        ip -n "$SWITCH" link set br0 type bridge mcast_querier 1
        ;;
    flooding)
        # A cheap switch: it learns where hosts are, but sends every group to every port.
        ip -n "$SWITCH" link add br0 type bridge mcast_snooping 0
        ;;
    hub)
        # It forgets at once where a host is, so every frame goes to every port.
        ip -n "$SWITCH" link add br0 type bridge mcast_snooping 0 ageing_time 0
        ;;
    esac
    # Do not pass bridged frames through the packet filter (the setting is there only with br_netfilter loaded).
    ip netns exec "$SWITCH" sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true
    ip -n "$SWITCH" link set br0 address 02:4e:4c:ff:00:00 up
}

make_host() {
    number=$1
    host=netlab-h$number
    address=10.77.$((number / 256)).$((number % 256))
    mac=$(printf '02:4e:4c:00:%02x:%02x' $((number / 256)) $((number % 256)))
    new_namespace "$host"
    # Accept packets whatever their source address is, and allow more than 20 groups a socket.
    ip netns exec "$host" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
        net.ipv4.igmp_max_memberships=4096
    # The cable: h1 in the host, p1 in the switch.
    ip -n "$host" link add "h$number" address "$mac" type veth peer name "p$number" netns "$SWITCH"
    ip -n "$SWITCH" link set "p$number" master br0
    if [ -n "$THREADED" ]; then
        # Without TSO at the sending end and with GRO at the receiving one, veth receives by NAPI …
        ip netns exec "$host" ethtool -K "h$number" tso off gro on
        ip netns exec "$SWITCH" ethtool -K "p$number" tso off gro on
    fi
    ip -n "$SWITCH" link set "p$number" up
    ip -n "$host" link set "h$number" up
    if [ -n "$THREADED" ]; then
        # … and NAPI can have a kernel thread of its own: `ps ax | grep napi/` shows what receiving costs each host.
        # (`ip netns exec` mounts the namespace's own /sys.)
        ip netns exec "$host" sh -c "echo 1 >/sys/class/net/h$number/threaded"
        ip netns exec "$SWITCH" sh -c "echo 1 >/sys/class/net/p$number/threaded"
    fi
    ip -n "$host" address add "$address/16" broadcast 10.77.255.255 dev "h$number"
    # Groups and the limited broadcast address leave by this interface, too.
    ip -n "$host" route add 224.0.0.0/4 dev "h$number"
    ip -n "$host" route add 255.255.255.255 dev "h$number"
    # A queue holds a fast sender back where the cable, which holds 256 packets, would lose them.
    ip netns exec "$host" tc qdisc replace dev "h$number" root pfifo limit 1000
    # Tell the switch where the host is: it need not have spoken before it is found.
    [ "$KIND" = hub ] || bridge -n "$SWITCH" fdb replace "$mac" dev "p$number" master static
}

up() {
    if [ -e "$STATE" ]; then
        echo "The LAN is up already ('down' removes it):"
        status
        return
    fi
    [ "$(id -u)" -eq 0 ] || fail "named namespaces need root: run it with sudo (netlab lan shell needs no root)"
    for program in ip bridge tc sysctl ${THREADED:+ethtool}; do
        command -v "$program" >/dev/null || fail "$program is not installed"
    done
    (umask 077 && : >"$STATE")
    trap 'echo "netns-lan.sh: failed; removing what there is" >&2; down' EXIT
    trap 'exit 130' INT TERM HUP
    make_switch
    i=1
    while [ "$i" -le "$HOSTS" ]; do
        make_host "$i"
        i=$((i + 1))
    done
    trap - EXIT INT TERM HUP
    status
}

down() {
    [ -e "$STATE" ] || return 0
    # The processes inside would keep the namespaces alive, nameless.
    while read -r name; do
        [ -e "/run/netns/$name" ] || continue
        for pid in $(ip netns pids "$name"); do kill "$pid" 2>/dev/null || true; done
        ip netns delete "$name" # takes its interfaces along, and so the other ends of their cables
    done <"$STATE"
    rm -f "$STATE"
}

status() {
    if [ ! -e "$STATE" ]; then
        echo "The LAN is down."
        return
    fi
    while read -r name; do
        [ -e "/run/netns/$name" ] || continue
        printf '%-12s ' "$name"
        ip -n "$name" -br -4 address show | awk '$1 != "lo" {print $1, $2, $3; some = 1} END {if (!some) print "(the switch)"}'
    done <"$STATE"
    echo "Try: ip netns exec netlab-h2 COMMAND…"
}

HOSTS=4 KIND=snooping THREADED=
[ $# -ge 1 ] || usage
action=$1
shift
while [ $# -gt 0 ]; do
    case $1 in
    --threaded) THREADED=yes ;;
    --hosts | --switch)
        [ $# -ge 2 ] || usage
        if [ "$1" = --hosts ]; then HOSTS=$2; else KIND=$2; fi
        shift
        ;;
    *) usage ;;
    esac
    shift
done
case $HOSTS in '' | *[!0-9]* | ?????*) usage ;; esac
{ [ "$HOSTS" -ge 2 ] && [ "$HOSTS" -le 1023 ]; } || fail "--hosts takes 2 to 1023 (a Linux bridge has 1023 ports)"
case $KIND in snooping | flooding | hub) ;; *) usage ;; esac
case $action in
up) up ;;
down) down ;;
status) status ;;
*) usage ;;
esac
