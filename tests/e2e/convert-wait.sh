#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A conversion that waits for the cutover has all but the last difference by then, and
# makes what an ordinary conversion of the same job makes; what cannot be waited for is
# refused, and who waits for a sender that has gone is told, and leaves nothing behind.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"
. "$root/tests/lib/working-disk.sh"

[ "$(id -u)" = 0 ] || skip 'only root may track and mount'
job=$work/jobs/server
out=$work/out

# start_waiting: sets waiter, the process itself.
start_waiting() {
	TMPDIR=$work/tmp "$p2v" convert "$job" --wait --to kvm --out "$out" --name vm --json >"$work/waiter.out" \
		2>"$work/waiter.err" &
	waiter=$!
}

waiter_says() {
	soon -p "$waiter" -t 300 grep -q "$1" "$work/waiter.err" || { cat "$work/waiter.err" && false; }
}

cut_over() {
	"$p2v" cutover server || return
	wait "$sender"
}

# What the two results hold, but for what differs from run to run.
same_result() {
	local folder
	for folder in vm again; do
		"$p2v" vhdx convert "$out/$folder/$folder-disk1.vhdx" "$work/$folder.raw" >/dev/null &&
			list_files "$work/$folder.raw" >"$work/$folder.list" || return
		rm "$work/$folder.raw"
	done
	[ "$(wc -l <"$work/vm.list")" -gt 1000 ] && diff "$work/vm.list" "$work/again.list"
}

list_files() {
	local start device
	start=$(sfdisk --json "$1" | jq '.partitiontable.partitions[0].start') &&
		device=$(losetup -f --show -r -o $((start * 512)) "$1") && mkdir -p "$work/look" || return
	mount -o ro,noload "$device" "$work/look" &&
		(cd "$work/look" && find . -type f -print0 | sort -z | xargs -0 sha256sum | grep -v ' ./boot/initrd')
	umount "$work/look"
	losetup -d "$device"
}

mkdir "$work/tmp"
make_working_disk a || skip 'no loop devices here'
check 'a receiver starts' start_receiver
check 'what is no job is not waited for' refuses 2 'are for a job' "$p2v" convert "$job" --wait --out "$out"
start_sending server "$loop"
check 'a job begins' soon -p "$sender" test -e "$job/job.json"
mkdir -p "$out/vm"
check 'a result that is there is not made again' refuses 3 'exists already' \
	"$p2v" convert "$job" --wait --out "$out" --name vm
rmdir "$out/vm"
check 'a rehearsal waits for nothing' refuses 2 'exclude each other' "$p2v" convert "$job" --wait --rehearse

start_waiting
check 'it gets ready' waiter_says 'ready for the cutover'
stop_sending server
check 'that the sender has gone is told' waiter_says 'sender has gone'
check 'it goes on waiting' kill -0 "$waiter"
kill "$waiter"
check 'it can be ended' is_not wait "$waiter"
check 'and leaves nothing' soon nothing_left "$out"
check 'nor there' soon nothing_left "$work/tmp"

write_to_disk
start_sending server "$loop"
check 'the sender comes again' soon -p "$sender" is_more server 1
start_waiting
check 'who waits is ready again' waiter_says 'ready for the cutover'
check 'the server works meanwhile' soon -p "$sender" is_more server 3
touch "$mounted/root/the-last-file"
check 'the cutover' cut_over
check 'the copy is what the server is' equal server
thaw_disk
stop_writing
check 'who has waited converts' wait "$waiter"
check 'with the last difference alone left to copy' jq -e '.figures.take_over_seconds >= 0' "$out/vm/report.json"
check 'the same job converted again' "$p2v" convert "$job" --to kvm --out "$out" --name again
check 'is the same' same_result
check 'the last file is there' grep -q the-last-file "$work/vm.list"
check 'it boots' "$p2v" prove "$out/vm"
finish
