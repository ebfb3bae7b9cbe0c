#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Send and receive in network namespaces: first and second runs and what they
# cost, wrong keys, garbage, two senders of one job.  Each time the content is
# compared, and the key looked for where it must not be.  What breaks transfers is
# in sync-kills.sh, slow and lossy lines are in sync-slow-line.sh.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/two-machines.sh"

send() {
	ip netns exec "$here" "$p2v" send 192.0.2.2 --key-file "$work/jobs/.pairing-key" \
		--disk "$work/a.img" --disk "$work/b.img" --name web "$@"
}

# In the background, as the very process that $! names: a function would be killed in its place.
send_in_background() {
	exec ip netns exec "$here" "$p2v" send 192.0.2.2 --key-file "$work/jobs/.pairing-key" \
		--disk "$work/a.img" --disk "$work/b.img" --name web "$@" >"$work/send.log" 2>&1
}

equal() {
	"$p2v" vhdx compare "$work/a.img" "$work/jobs/web/disk0.vhdx" &&
		"$p2v" vhdx compare "$work/b.img" "$work/jobs/web/disk1.vhdx"
}

sound() {
	"$p2v" vhdx check "$work/jobs/web/disk0.vhdx" && "$p2v" vhdx check "$work/jobs/web/disk1.vhdx"
}

# change FILE MIB: so much of it becomes something else, at a random place.
change() {
	dd if=/dev/urandom of="$1" bs=1M count="$2" seek=$((RANDOM % 150)) conv=notrunc status=none
}

wire_bytes() {
	jq .wire_bytes "$work/result.json"
}

# costs_at_most BYTES: the last run that wrote result.json.
costs_at_most() {
	echo "$(wire_bytes) bytes went over the wire, at most $1 are fine"
	[ "$(wire_bytes)" -le "$1" ]
}

is_complete() {
	"$p2v" status --dir "$work/jobs" --json | jq -e '.jobs[0] | .complete and .disks == 2' >/dev/null
}

truncate -s 200M "$work/a.img" "$work/b.img"
change "$work/a.img" 30
change "$work/b.img" 20

check 'the receiver starts' start_receiver
key=$(sed -n 's/^pairing key: //p' "$work/receiver.out")
check 'a first run' send --verify
check 'is equal' equal
check 'what VHDX checkers accept' sound
check 'and complete' is_complete
send --json >"$work/result.json" 2>"$work/progress.json"
check 'progress ends at the total' jq -e -s '.[-1].progress | .done_bytes == .total_bytes and .done_bytes > 50000000' "$work/progress.json"
check 'a second run costs next to nothing' costs_at_most 20000
printf 'other' | dd of="$work/b.img" bs=1 seek=123456 conv=notrunc status=none
check 'a difference is noticed' is_not equal
send --json >"$work/result.json"
check 'a small change is a small transfer' costs_at_most 90000
check 'and equal again' equal

# One block of 64 KiB in a hundred becomes something else.
change_one_in_a_hundred() {
	local block
	rm -f "$work/changed"
	for block in $(shuf -i 0-3199 -n 32); do
		head -c 65536 /dev/urandom >"$work/block"
		dd if="$work/block" of="$work/a.img" bs=65536 seek="$block" conv=notrunc status=none
		cat "$work/block" >>"$work/changed"
	done
	send --json >"$work/result.json"
	# For all hashes 0.01 % of both disks, 200 MiB each.
	costs_at_most $(($(zstd -1 -c "$work/changed" | wc -c) * 105 / 100 + 2 * 200 * 1048576 / 10000)) && equal
}
check 'one block in a hundred changed costs what changed' change_one_in_a_hundred

"$p2v" receive --dir "$work/other" --listen 127.0.0.1:0 >"$work/other.out" 2>&1 &
other=$!
cleanup_commands+=("kill -KILL $other")
soon -p "$other" test -s "$work/other/.pairing-key"
send_with_other_key() {
	ip netns exec "$here" "$p2v" send 192.0.2.2 --key-file "$work/other/.pairing-key" --disk "$work/a.img" --name x
}
check 'another key is refused' refuses 3 'another pairing key' send_with_other_key
check 'and leaves nothing' test ! -e "$work/jobs/x"
check 'a typing error is told' refuses 2 'typing error' "$p2v" send 192.0.2.2 --key 00000-00000-00000-00000-00001 --disk "$work/a.img"
log_says_soon() {
	soon grep -q "$1" "$work/receiver.err" || { tail "$work/receiver.err" && return 1; }
}
# says_to_receiver COMMAND: what it prints goes to the receiver, whether that takes all of it or not.
says_to_receiver() {
	bash -c "$1" | ip netns exec "$here" timeout 5 bash -c "cat >/dev/tcp/192.0.2.2/$port" || true
}
# log_is_longer LINES: than so many.
log_is_longer() {
	[ "$(wc -l <"$work/receiver.err")" -gt "$1" ]
}
check 'text is refused' says_to_receiver 'yes | head -c 100000'
check 'with a line in the log' log_says_soon 'does not speak TLS'
for i in 1 2 3; do
	lines=$(wc -l <"$work/receiver.err")
	check "garbage $i is refused" says_to_receiver 'head -c 100000 /dev/urandom'
	check 'with a line in the log' soon log_is_longer "$lines"
done

# say_incomplete true|false: what the VHDX itself says, of both disks.
say_incomplete() {
	[ "$(for i in 0 1; do "$p2v" vhdx info --json "$work/jobs/web/disk$i.vhdx" | jq .incomplete; done | uniq)" = "$1" ]
}

# A complete job that is sent again: its VHDX files are not for others until the commit.
look_while_sending() {
	local sender
	change "$work/a.img" 30
	say_incomplete false || return 1
	send_in_background --limit 6M &
	sender=$!
	soon -p "$sender" say_incomplete true || return
	kill -KILL "$sender"
	wait "$sender" || true
	say_incomplete true && is_not is_complete && send && say_incomplete false && equal
}
check 'what is under way says so itself' look_while_sending

# Two senders of one job: the newer one goes on, the older one says so and gives up.
take_over() {
	local older status=0
	change "$work/a.img" 30
	send_in_background --limit 3M &
	older=$!
	soon -p "$older" say_incomplete true || return
	send || return 1
	wait "$older" || status=$?
	cat "$work/send.log"
	[ "$status" = 3 ] && grep -q 'another sender has taken this job over' "$work/send.log" && equal && is_complete
}
check 'the newer one of two senders goes on' take_over

check 'the copies are sound' sound

check 'the key is in no log' is_not grep -q -e "$key" "$work/receiver.err" "$work/send.log" "$work/jobs/web/log"
check 'the job has a log' grep -q ': complete' "$work/jobs/web/log"
hash_a=$(hash_of "$work/a.img")
check 'one more run' send
check 'has not touched the source' same_content "$work/a.img" "$hash_a"
finish
