#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Faults planted into p2v send --live while a server works: whatever happens, a job
# that is complete is the frozen disk, byte by byte; and after a fault that passes
# the same command goes on and completes it. P2V_LIVE_FAULTS: how many (9);
# P2V_LIVE_LOAD: who writes (live-server.sh).
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"
. "$root/tests/lib/live-server.sh"

[ "$(id -u)" = 0 ] || skip 'only root may track and freeze'
count=${P2V_LIVE_FAULTS:-9}
tool=$build/tests/capture/tool-blktrace
[ -x "$tool" ] || skip "no $tool"
sender=

# start_live JOB [OPTION...]: sets sender.
start_live() {
	"$p2v" send "127.0.0.1:$port" --key-file "$work/jobs/.pairing-key" --name "$1" --disk "$loop" --live --all \
		"${@:2}" >"$work/sender.out" 2>&1 &
	sender=$!
}

nap() {
	sleep "0.$((RANDOM % 10))"
}

# In the background, so that also a copy that is about to be complete is hit.
plant() {
	local flag=/sys/block/${loop##*/}/queue/iostats
	nap
	case $1 in
	nothing) ;;
	killed) kill -KILL "$sender" ;;
	uncounted) echo 0 >"$flag" && sleep 0.05 && echo 1 >"$flag" ;;
	unlogged) "$tool" "$loop" $((RANDOM % 60)) ;;
	grown) truncate -s +8M "$work/disk.img" && losetup -c "$loop" ;;
	overflow)
		truncate -s +8M "$work/disk.img" && losetup -c "$loop" &&
			dd if=/dev/urandom of="$loop" bs=1M seek=$(($(blockdev --getsize64 "$loop") / 1048576 - 1)) count=1 \
				oflag=direct conv=notrunc status=none
		truncate -s "$size" "$work/disk.img" && losetup -c "$loop"
		;;
	added)
		local other
		truncate -s 16M "$work/other.img"
		other=$(losetup -f --show "$work/other.img") && dd if=/dev/urandom of="$other" bs=1M count=16 oflag=direct status=none
		losetup -d "$other"
		;;
	esac
}

# A cutover while it happens.
try_cutover() {
	soon -p "$sender" "$p2v" cutover "$1" --status >/dev/null 2>&1 || true
	plant "$2" &
	nap
	"$p2v" cutover "$1" >"$work/cutover.out" 2>&1 || cat "$work/cutover.out"
	wait $! || true
}

# Frozen for good, or not complete; and then the same once more.
ends_well() {
	if job_is_complete "$1"; then
		# Killed between the copy's end and its own word of it: the server goes on.
		[ "$2" = killed ] && ! is_frozen && echo killed-late >>"$work/outcomes" && return
		# It may have grown when it was complete.
		truncate -s "$size" "$work/disk.img"
		equal "$1" || return
		echo committed >>"$work/outcomes"
		return
	fi
	# Killed when it had decided, before the receiver knew: it stays frozen, and a person says what counts.
	if "$p2v" status --dir "$work/jobs" | grep "$1.*held since" >/dev/null; then
		echo held >>"$work/outcomes"
		return
	fi
	echo refused >>"$work/outcomes"
	[ "$2" != grown ] || return 0
	kill -KILL "$sender" 2>/dev/null || true
	wait "$sender" 2>/dev/null || true
	soon is_not is_frozen || { echo 'it is frozen, and nothing is complete' && return 1; }
	start_live "$1" --cutover --downtime 20 --tracker "$3"
	wait "$sender" && job_is_complete "$1" && equal "$1"
}

# fault KIND MIB TIER FAULT NUMBER
fault() {
	local job=fault$5-$$
	make_server "$1" "$2" || return
	size=$(stat -c %s "$work/disk.img")
	start_live "$job" --tracker "$3"
	try_cutover "$job" "$4"
	check "$5: $1, $3, $4: no copy that differs" ends_well "$job" "$4" "$3"
	kill -KILL "$sender" 2>/dev/null || true
	wait "$sender" 2>/dev/null || true
	end_server
	rm -rf "$work/jobs/$job"
}

kinds=('ext4 64' 'xfs 320' 'btrfs 128')
planted=('auto nothing' 'auto killed' 'auto uncounted' 'auto grown' 'auto overflow' 'auto added' 'blktrace nothing'
	'blktrace unlogged' 'blktrace killed' 'hash killed')

# Where the kernel shows nobody its log of requests there is nothing to lose in it.
has_log() {
	make_server ext4 64
	start_live probe-$$ --tracker blktrace --cutover --downtime 20
	wait "$sender" || true
	end_server
	! grep -q 'tracking by blktrace: ' "$work/sender.out"
}

check 'a receiver starts' start_receiver
if ! has_log; then
	echo 'no log of requests here: left out'
	planted=("${planted[@]/blktrace/auto}")
	planted=("${planted[@]/unlogged/uncounted}")
fi
for i in $(seq "$count"); do
	read -r tier what <<<"${planted[$((i % ${#planted[@]}))]}"
	# shellcheck disable=SC2086 # two words
	fault ${kinds[$(((i + i / ${#planted[@]}) % 3))]} "$tier" "$what" "$i"
done
check 'some were committed' grep -q committed "$work/outcomes"
sort "$work/outcomes" | uniq -c
finish
