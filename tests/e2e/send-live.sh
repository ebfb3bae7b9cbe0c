#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v send --live on loop devices with file systems that are written to all the
# time: after the cutover the copy is the frozen disk, byte by byte, and whatever
# fails before, the server goes on. P2V_LIVE_ROUNDS: how often (1).
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"
. "$root/tests/lib/live-server.sh"

[ "$(id -u)" = 0 ] || skip 'only root may track and freeze'
rounds=${P2V_LIVE_ROUNDS:-1}
sender='' swapper=''

# live JOB [OPTION...]
live() {
	"$p2v" send "127.0.0.1:$port" --key-file "$work/jobs/.pairing-key" --name "$1" --disk "$loop" --live "${@:2}"
}

# start_live JOB [OPTION...]: sets sender, the process itself.
start_live() {
	"$p2v" send "127.0.0.1:$port" --key-file "$work/jobs/.pairing-key" --name "$1" --disk "$loop" --live --all \
		"${@:2}" >"$work/sender.out" 2>&1 &
	sender=$!
}

# Asking by freezing would be in the sender's way.
is_held() {
	grep -qs percpu_rwsem_wait /proc/[0-9]*/wchan
}

# capture KIND MIB TIER ROUND
capture() {
	local job=$1-${3//,/-}-$4-$$
	make_server "$1" "$2" || return
	check "$1, $3: a server that works is captured" live "$job" --all --cutover --downtime 20 --tracker "$3"
	check "$1, $3: it stays frozen" is_frozen
	check "$1, $3: the copy is what it is" equal "$job"
	check "$1, $3: the job is complete" job_is_complete "$job"
	fsfreeze --unfreeze "$mounted"
	sleep 0.5
	sync
	check "$1, $3: what it writes afterwards makes a difference" is_not equal "$job"
	end_server
}

# list_files DEVICE KIND: with what is in them.
list_files() {
	mount -t "$2" "$1" "$mounted" &&
		(cd "$mounted" && find . -type f -printf '%p %s %n\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum)
	umount "$mounted"
}

# Of a copy: whole, as its own checker sees it when it was mounted once.
is_clean() {
	case $2 in
	ext4) e2fsck -f -n "$1" ;;
	xfs) xfs_repair -n "$1" ;;
	btrfs) btrfs check "$1" ;;
	esac
}

# used KIND MIB: what is free is not sent, and nobody misses it.
used() {
	local job=used-$1-$$
	make_server "$1" "$2" || return
	check "$1: what a server uses is captured" live "$job" --cutover --downtime 20
	check "$1: what is free is not sent" is_less_than "$(stat -c '%b * %B' "$work/jobs/$job/disk0.vhdx")" "$2 * 1048576 * 2 / 3"
	cp "$work/disk.img" "$work/frozen.img"
	end_server
	list_loop "$work/frozen.img" "$1" >"$work/wanted"
	"$p2v" vhdx convert "$work/jobs/$job/disk0.vhdx" "$work/copy.img" >/dev/null
	list_loop "$work/copy.img" "$1" >"$work/found"
	check "$1: every file is there" cmp "$work/wanted" "$work/found"
	check "$1: the copy is clean" is_clean "$work/copy.img" "$1"
	check "$1: there are files" test -s "$work/wanted"
	rm -f "$work/copy.img" "$work/frozen.img"
}

# list_loop FILE KIND
list_loop() {
	local device
	device=$(losetup -f --show "$1") || return
	list_files "$device" "$2"
	losetup -d "$device"
}

is_less_than() {
	[ $(($1)) -lt $(($2)) ] || { echo "$(($1)) is not less than $(($2))" && false; }
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

# list_extents FILE: where it lies on its disk: "FIRST_IN_FILE LAST_IN_FILE FIRST_ON_DISK LENGTH", in KiB.
list_extents() {
	filefrag -e -b1024 "$1" | tr .: '  ' | awk '$1 ~ /^[0-9]+$/ { print $2, $3, $4, $6 }'
}

# write_at KIB: all the time, there on the disk.
write_at() {
	while :; do
		dd if=/dev/urandom of="$loop" bs=1k seek="$1" count=8 oflag=direct conv=notrunc status=none
		sleep 0.02
	done
}

# start_swapping JOB: a server with a file that may be swapped to. Somebody writes there, also while it is frozen,
# but behind what the kernel really uses.
start_swapping() {
	make_server ext4 32 || return
	fallocate -l 4M "$mounted/swap file"
	chmod 600 "$mounted/swap file"
	mkswap -q "$mounted/swap file" 64
	swapon -p 0 "$mounted/swap file"
	sync
	list_extents "$mounted/swap file" >"$work/extents"
	start_live "$1" --limit 4M --max-freeze 60
	soon -p "$sender" grep -q 'cutover now would take' "$work/sender.out"
	write_at "$(awk '$1 <= 2048 && 2048 <= $2 { print $3 + 2048 - $1 }' "$work/extents")" &
	swapper=$!
}

end_swapper() {
	[ -n "$swapper" ] || return 0
	kill "$swapper"
	wait "$swapper" 2>/dev/null || true
	swapper=''
}

end_swapping() {
	end_swapper
	swapoff "$mounted/swap file" 2>/dev/null || true
	end_server
}
cleanup_commands=(end_swapping "${cleanup_commands[@]}")

equal_outside_swap() {
	local first length image

	rm -f "$work/copy.img"
	"$p2v" vhdx convert "$work/jobs/$1/disk0.vhdx" "$work/copy.img" && cp "$work/disk.img" "$work/frozen.img" || return
	while read -r _ _ first length; do
		for image in "$work/copy.img" "$work/frozen.img"; do
			fallocate --punch-hole --offset $((first * 1024)) --length $((length * 1024)) "$image"
		done
	done <"$work/extents"
	cmp "$work/copy.img" "$work/frozen.img"
}

# is_still_swap JOB
is_still_swap() {
	local device status=0

	rm -f "$work/copy.img"
	"$p2v" vhdx convert "$work/jobs/$1/disk0.vhdx" "$work/copy.img" && device=$(losetup -f --show "$work/copy.img") || return
	mkdir -p "$work/copy-mounted" && mount "$device" "$work/copy-mounted"
	blkid -p -o value -s TYPE "$work/copy-mounted/swap file" | grep -x swap || status=$?
	umount "$work/copy-mounted"
	losetup -d "$device"
	return $status
}

cut_over_or_end() {
	"$p2v" cutover "$1" || { cat "$work/sender.out" && "$p2v" cutover "$1" --end && false; }
}

# What is swapped out while all is frozen is no writer, as long as it is swap.
swaps() {
	local job=swaps-$$
	start_swapping "$job" || return
	check 'a server that swaps to a file is cut over' cut_over_or_end "$job"
	check 'then its sender ends well' wait "$sender"
	check 'the copy is what it is outside swap' equal_outside_swap "$job"
	check 'there it is not' is_not equal "$job"
	check 'it is still swap' is_still_swap "$job"
	end_swapping
	start_swapping "$job-off" || return
	swapoff "$mounted/swap file"
	check 'where it swaps no more it is noticed' refuses 1 'were written while all' "$p2v" cutover "$job-off"
	check 'the server goes on' is_not is_frozen
	check 'nothing is complete' is_not job_is_complete "$job-off"
	end_swapper
	check 'a file that was swapped to is sent' cut_over_or_end "$job-off"
	wait "$sender" || true
	check 'so that all is equal' equal "$job-off"
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

# Killed while it is frozen, which lasts: the receiver takes nothing from the last command before it on.
killed() {
	local job=killed-$$
	make_server ext4 64 || return
	start_live "$job" --cutover --downtime 1000 --max-freeze 600 --tracker hash \
		--pre-freeze "kill -STOP $receiver"
	check 'who writes waits' soon -p "$sender" is_held
	kill -KILL "$sender"
	wait "$sender" 2>/dev/null || true
	kill -CONT "$receiver"
	check 'a server whose sender is killed goes on' soon is_not is_frozen
	check 'and nothing is complete' is_not job_is_complete "$job"
	end_server
}

# A sender that died between its two commits.
held() {
	local job=held-$$
	head -c 3000000 /dev/urandom >"$work/held.img"
	truncate -s 4M "$work/held.img"
	"$build/tests/sync/tool-hold" "$port" "$work/jobs/.pairing-key" "$job" "$work/held.img" || true
	"$p2v" status --dir "$work/jobs" >"$work/status"
	check 'a job is held' grep -q "$job.*held since" "$work/status"
	check 'and it is told what that is' grep -q 'has not said the last word' "$work/status"
	check 'programs see it too' holds "$job"
	check 'it is not complete' is_not job_is_complete "$job"
	check 'nor are its copies' is_not equal_to_image "$job"
	check 'it is not converted' refuses 3 'the job is held' "$p2v" convert "$work/jobs/$job" --out "$work/out"
	check 'nor completed for a dry run' refuses 2 'which it completes' \
		"$p2v" convert "$work/jobs/$job" --dry-run --take-held
	check 'who takes it has a job as any other' refuses 3 'no operating system' \
		"$p2v" convert "$work/jobs/$job" --out "$work/out" --take-held
	check 'it is complete' job_is_complete "$job"
	check 'it is held no more' is_not holds "$job"
	check 'it is what was sent' equal_to_image "$job"
}

holds() {
	"$p2v" status --dir "$work/jobs" --json |
		jq -e --arg job "$1" '.jobs[] | select(.name == $job) | .held and .held_since > 0' >/dev/null
}

equal_to_image() {
	"$p2v" vhdx compare "$work/held.img" "$work/jobs/$1/disk0.vhdx"
}

check 'a receiver starts' start_receiver
check 'without a sender there is nothing to cut over' refuses 3 'no .* runs on this machine|not found|No such file' "$p2v" cutover nobody-$$
check 'images are refused' refuses 3 'no disk of this machine' "$p2v" send "127.0.0.1:$port" --key-file "$work/jobs/.pairing-key" --disk "$0" --live
for round in $(seq "$rounds"); do
	capture ext4 64 auto "$round"
	capture xfs 320 auto "$round"
	capture btrfs 128 auto "$round"
	capture xfs 320 bpf,no-mmap "$round"
	capture ext4 64 tracepoints,no-mmap "$round"
	capture ext4 64 hash "$round"
done
used ext4 96
used xfs 320
used btrfs 256
ordered
swaps
too_slow
killed
held
finish
