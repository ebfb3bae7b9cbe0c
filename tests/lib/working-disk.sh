# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154
#
# The disk of a sample server that is written to, as a loop device, and a sender that brings it over pass after
# pass. To be sourced after receiver.sh. The system does not run: what it would write, write_to_disk does.
#
# loop is the disk, $work/disk.img its file; its first partition is mounted at $mounted.
mounted=$work/mounted
loop='' partition='' writer='' sender=''

# make_working_disk NAME: of the sample server of that name, which has one disk.
make_working_disk() {
	local image start sectors
	image=$("$root/tests/lib/make-sample" "$1")
	cp --sparse=always "$image" "$work/disk.img"
	chmod 600 "$work/disk.img"
	read -r start sectors < <(sfdisk --json "$image" | jq -r '.partitiontable.partitions[0] | "\(.start) \(.size)"')
	loop=$(losetup -f --show "$work/disk.img") || return
	partition=$(losetup -f --show -o $((start * 512)) --sizelimit $((sectors * 512)) "$loop") || return
	mkdir -p "$mounted"
	mount "$partition" "$mounted"
}

write_to_disk() {
	write_all_the_time &
	writer=$!
}

write_all_the_time() {
	local i=0
	while :; do
		head -c 100000 /dev/urandom >"$mounted/root/file-$((i % 9))"
		i=$((i + 1))
		sync -f "$mounted"
		sleep 0.1
	done
}

stop_writing() {
	[ -z "$writer" ] || kill -KILL "$writer" 2>/dev/null || true
	[ -z "$writer" ] || wait "$writer" 2>/dev/null || true
	writer=
}

remove_working_disk() {
	thaw_disk
	stop_writing
	[ -z "$partition" ] || { soon umount "$mounted" && losetup -d "$partition"; }
	[ -z "$loop" ] || losetup -d "$loop"
	loop='' partition=''
}
cleanup_commands+=(remove_working_disk)

# start_sending JOB DEVICE [OPTION...]: sets sender. What is mounted by way of a second loop device it does not see: the
# freeze of that is a command, and lasts until thaw_disk.
start_sending() {
	"$p2v" send "127.0.0.1:$port" --key-file "$work/jobs/.pairing-key" --name "$1" --disk "$2" --live --all \
		--pre-freeze "fsfreeze --freeze '$mounted' && date +%s.%N >'$work/frozen'" \
		--post-freeze "fsfreeze --unfreeze '$mounted'" "${@:3}" >"$work/sender.out" 2>&1 &
	sender=$!
}

thaw_disk() {
	fsfreeze --unfreeze "$mounted" 2>/dev/null || true
}

# stop_sending JOB: without a cutover.
stop_sending() {
	"$p2v" cutover "$1" --end >/dev/null 2>&1 || kill "$sender" 2>/dev/null || true
	wait "$sender" 2>/dev/null || true
}

# equal JOB: the copy is the disk, byte by byte.
equal() {
	"$p2v" vhdx compare "$work/disk.img" "$work/jobs/$1/disk0.vhdx"
}
