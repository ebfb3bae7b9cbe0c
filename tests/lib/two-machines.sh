# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Two machines for send and receive: network namespaces $here (the sender's,
# 192.0.2.1) and $there (the receiver's, 192.0.2.2), joined by veth0 at either
# end. To be sourced after e2e.sh; skips where namespaces cannot be made.
#
#	start_receiver          into $work/jobs, where its key is, too
#	stop_receiver           by SIGKILL
#	ip netns exec "$here" "$p2v" send 192.0.2.2 …
# shellcheck disable=SC2154

port=4902
here=p2v-here-$$ there=p2v-there-$$
receiver=

ip netns add "$here" 2>/dev/null || skip 'no network namespaces here'
cleanup_commands+=("ip netns del $here")
ip netns add "$there"
cleanup_commands+=("ip netns del $there")
ip link add veth0 netns "$here" type veth peer name veth0 netns "$there"
ip -n "$here" address add 192.0.2.1/24 dev veth0
ip -n "$there" address add 192.0.2.2/24 dev veth0
for namespace in "$here" "$there"; do
	ip -n "$namespace" link set lo up
	ip -n "$namespace" link set veth0 up
done

start_receiver() {
	ip netns exec "$there" "$p2v" receive --dir "$work/jobs" --listen "192.0.2.2:$port" \
		>>"$work/receiver.out" 2>>"$work/receiver.err" &
	receiver=$!
	soon -p "$receiver" is_listening || { tail "$work/receiver.err" >&2 && return 1; }
}

is_listening() {
	ip netns exec "$there" ss -Hltn "sport = :$port" | grep -q .
}

stop_receiver() {
	kill -KILL "$receiver" 2>/dev/null || true
	wait "$receiver" 2>/dev/null || true
}
cleanup_commands+=(stop_receiver)

# sessions JOB: how many the receiver has begun.
sessions() {
	grep -c ": job $1: [0-9]* disk" "$work/receiver.err" || true
}

# has_session JOB BEFORE: it has begun more than that, or soon does.
has_session() {
	soon has_begun_more "$@"
}
has_begun_more() {
	[ "$(sessions "$1")" -gt "$2" ]
}

# sent_bytes: what has left the sender's machine so far, headers and all.
sent_bytes() {
	ip -n "$here" -j -s link show veth0 | jq '.[0].stats64.tx.bytes'
}
