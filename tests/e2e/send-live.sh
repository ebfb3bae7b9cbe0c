#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v send --live on loop devices with file systems that are written to all the
# time: after the cutover the copy is the frozen disk, byte by byte, and whatever
# fails before, the server goes on. P2V_LIVE_ROUNDS: how often (1).
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"

[ "$(id -u)" = 0 ] || skip 'only root may track and freeze'
rounds=${P2V_LIVE_ROUNDS:-1}
mounted=$work/mounted
writer=
loop=
sender=

# make_server KIND MIB: a file system on a loop device, and who writes to it.
make_server() {
	rm -f "$work/disk.img"
	truncate -s "$2M" "$work/disk.img"
	loop=$(losetup -f --show "$work/disk.img") || skip 'no loop devices here'
	"mkfs.$1" -q "$loop" && mkdir -p "$mounted" && mount "$loop" "$mounted" || return
	write_all_the_time &
	writer=$!
}

write_all_the_time() {
	local i=0
	while :; do
		dd if=/dev/urandom of="$mounted/$((RANDOM % 8))" bs=32k count=$((RANDOM % 24 + 1)) \
			seek=$((RANDOM % 16)) conv=notrunc,fsync status=none || true
		[ $((i++ % 7)) != 0 ] || rm -f "$mounted/$((RANDOM % 8))"
		sleep 0.05
	done
}

# Frozen or not.
end_server() {
	[ -n "$loop" ] || return 0
	[ -z "$writer" ] || kill -KILL "$writer" 2>/dev/null || true
	fsfreeze --unfreeze "$mounted" 2>/dev/null || true
	[ -z "$writer" ] || wait "$writer" 2>/dev/null || true
	soon umount "$mounted" 2>/dev/null || true
	losetup -d "$loop"
	writer='' loop=''
}
cleanup_commands+=(end_server)

# live JOB [OPTION...]
live() {
	"$p2v" send "127.0.0.1:$port" --key-file "$work/jobs/.pairing-key" --name "$1" --disk "$loop" --live --all "${@:2}"
}

# start_live JOB [OPTION...]: sets sender, the process itself.
start_live() {
	"$p2v" send "127.0.0.1:$port" --key-file "$work/jobs/.pairing-key" --name "$1" --disk "$loop" --live --all \
		"${@:2}" >"$work/sender.out" 2>&1 &
	sender=$!
}

equal() {
	"$p2v" vhdx compare "$work/disk.img" "$work/jobs/$1/disk0.vhdx"
}

# Freezing what is frozen already fails.
is_frozen() {
	! fsfreeze --freeze "$mounted" 2>/dev/null || { fsfreeze --unfreeze "$mounted" && false; }
}

# Asking by freezing would be in the sender's way.
is_held() {
	cat /proc/[0-9]*/wchan 2>/dev/null | grep -q percpu_rwsem_wait
}

# capture KIND MIB TIER ROUND
capture() {
	local job=$1-$3-$4-$$
	make_server "$1" "$2" || return
	check "$1, $3: a server that works is captured" live "$job" --cutover --downtime 20 --tracker "$3"
	check "$1, $3: it stays frozen" is_frozen
	check "$1, $3: the copy is what it is" equal "$job"
	check "$1, $3: the job is complete" job_is_complete "$job"
	fsfreeze --unfreeze "$mounted"
	sleep 0.5
	sync
	check "$1, $3: what it writes afterwards makes a difference" is_not equal "$job"
	end_server
}

# The sender waits; another command tells what it would take, and cuts over.
ordered() {
	local job=ordered-$$
	make_server ext4 64 || return
	start_live "$job" --pre-freeze "touch $work/pre" --post-freeze "touch $work/post"
	soon -p "$sender" "$p2v" cutover "$job" --status >"$work/status" 2>&1
	soon -p "$sender" grep -q 'cutover now would take' "$work/sender.out"
	check 'how long a cutover would take is told' "$p2v" cutover "$job" --status
	check 'an order cuts over' "$p2v" cutover "$job"
	check 'then the sender ends well' wait "$sender"
	check 'the copy is what the server is' equal "$job"
	check 'the command before the freeze has run' test -e "$work/pre"
	check 'the one for who goes on has not' is_not test -e "$work/post"
	end_server
}

# It takes longer than it may.
too_slow() {
	local job=slow-$$
	rm -f "$work/pre" "$work/post"
	make_server ext4 64 || return
	start_live "$job" --limit 1M --max-freeze 1 --tracker hash --fence none --pre-freeze "touch $work/pre" \
		--post-freeze "touch $work/post"
	soon -p "$sender" "$p2v" cutover "$job" --status >/dev/null 2>&1
	check 'what would take too long is not done' is_not "$p2v" cutover "$job"
	check 'the server goes on' is_not is_frozen
	check 'nothing is complete' is_not job_is_complete "$job"
	check 'the sender can be ended' "$p2v" cutover "$job" --end
	wait "$sender" || true
	end_server
}

# Killed while it is frozen, which lasts: what the command writes is noticed only then, and goes over a slow line.
killed() {
	local job=killed-$$
	make_server ext4 64 || return
	start_live "$job" --cutover --downtime 1000 --max-freeze 600 --limit 1M --tracker hash \
		--pre-freeze "dd if=/dev/urandom of=$mounted/large bs=1M count=24"
	check 'who writes waits' soon -p "$sender" is_held
	kill -KILL "$sender"
	wait "$sender" 2>/dev/null || true
	check 'a server whose sender is killed goes on' soon is_not is_frozen
	check 'and nothing is complete' is_not job_is_complete "$job"
	end_server
}

check 'a receiver starts' start_receiver
check 'without a sender there is nothing to cut over' refuses 3 'no .* runs on this machine|not found|No such file' "$p2v" cutover nobody-$$
check 'images are refused' refuses 3 'no disk of this machine' "$p2v" send "127.0.0.1:$port" --key-file "$work/jobs/.pairing-key" --disk "$0" --live
for round in $(seq "$rounds"); do
	capture ext4 64 auto "$round"
	capture xfs 320 auto "$round"
	capture btrfs 128 auto "$round"
	capture ext4 64 hash "$round"
done
ordered
too_slow
killed
finish
