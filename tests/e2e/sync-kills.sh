#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A transfer that is broken at a random moment ($P2V_SYNC_KILLS times): either
# side killed, the line down for a while, every connection reset, the receiver's
# disk full and then not.  Each time it resumes, sends no more than the window
# (64 MiB) again, and what is called complete is equal.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/two-machines.sh"

kills=${P2V_SYNC_KILLS:-15}
mib=$((1 << 20))
changed_mib=80 # of each disk, each time
RANDOM=${P2V_TEST_SEED:-$$}
echo "# seed ${P2V_TEST_SEED:-$$}"

# A disk of its own for the receiver, that can become full.
mkdir "$work/jobs"
if mount -t tmpfs -o size=2G,mode=700 none "$work/jobs" 2>/dev/null; then
	cleanup_commands+=("stop_receiver; umount '$work/jobs'")
	kinds=(sender receiver line full)
else
	kinds=(sender receiver line)
fi

# In the background, as the very process that $! names: a function would be killed in its place.
send_in_background() {
	exec ip netns exec "$here" "$p2v" send 192.0.2.2 --key-file "$work/jobs/.pairing-key" \
		--disk "$work/a.img" --disk "$work/b.img" --name web "$@" >>"$work/send.log" 2>&1
}

equal() {
	"$p2v" vhdx compare "$work/a.img" "$work/jobs/web/disk0.vhdx" &&
		"$p2v" vhdx compare "$work/b.img" "$work/jobs/web/disk1.vhdx"
}

is_complete() {
	"$p2v" status --dir "$work/jobs" --json | jq -e '.jobs[0] | .complete and .disks == 2' >/dev/null
}

# change FILE: so much of it becomes something else, at a random place.
change() {
	dd if=/dev/urandom of="$1" bs=1M count=$changed_mib seek=$((RANDOM % 120)) conv=notrunc status=none
}

reset_connections() {
	ip netns exec "$here" ss -HKt dst 192.0.2.2 >/dev/null 2>&1
}

break_nothing() {
	return
}

break_sender() {
	kill -KILL "$sender" 2>/dev/null || true
	wait "$sender" 2>/dev/null || true
	send_in_background &
	sender=$!
}

break_receiver() {
	has_session web "$before" || return
	stop_receiver
	start_receiver
}

# Who has never reached the receiver takes that for a wrong address, and gives up.
break_line() {
	has_session web "$before" || return
	ip -n "$here" link set veth0 down
	sleep "$((RANDOM % 3)).5"
	ip -n "$here" link set veth0 up
}

break_reset() {
	has_session web "$before" || return
	reset_connections
}

# Whether the sender gives up or tries until there is space again, both are right.
break_full() {
	local status=0
	has_session web "$before" || return
	fallocate -l "$(($(df --output=avail -B1 "$work/jobs" | tail -n 1) - 4096 * (RANDOM % 500)))" \
		"$work/jobs/filler" || true
	sleep 3
	rm "$work/jobs/filler"
	wait "$sender" || status=$?
	[ "$status" != 0 ] || return 0
	send_in_background &
	sender=$!
}

# survive KIND: with both disks changed.  What goes over the line is what has changed, and at most a window more.
survive() {
	local kind=$1 before sent status=0 most
	before=$(sessions web)
	: >"$work/send.log"
	change "$work/a.img"
	change "$work/b.img"
	sent=$(sent_bytes)
	send_in_background --limit 80M &
	sender=$!
	sleep "$((RANDOM % 2)).$((RANDOM % 10))"
	"break_$kind" || { cat "$work/send.log" && return 1; }
	wait "$sender" || status=$?
	cat "$work/send.log"
	sent=$(($(sent_bytes) - sent))
	# Headers of TCP and TLS, hashes that are asked for.
	most=$((2 * changed_mib * mib * 102 / 100 + 64 * mib + 2 * mib))
	echo "$sent bytes were sent, at most $most are fine; the sender's exit code: $status"
	[ "$status" = 0 ] && [ "$sent" -le "$most" ] && equal && is_complete
}

truncate -s 200M "$work/a.img" "$work/b.img"
check 'the receiver starts' start_receiver
# What the kernel does not have it does not say.
if ip netns exec "$here" ss -HKt dst 192.0.2.99 2>&1 | grep -q 'not supported'; then
	echo '# connections cannot be reset here (no ss --kill)'
else
	kinds+=(reset)
fi
check 'a run that nothing breaks' survive nothing
for i in $(seq "$kills"); do
	kind=${kinds[RANDOM % ${#kinds[@]}]}
	check "$i: $kind" survive "$kind"
done
for disk in 0 1; do
	check "copy $disk is sound" "$p2v" vhdx check "$work/jobs/web/disk$disk.vhdx"
done
finish
