#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What p2v send takes of a disk: what is used, or with --all everything; nothing
# that changes meanwhile, nor what is mounted, unless --in-use accepts it.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"

mib=$((1 << 20))
disk=$work/disk.img

# A disk full of what nobody uses any more, on it a partition with a file system with some files.
make_disk() {
	mkdir "$work/files"
	head -c $((12 * mib)) /dev/urandom >"$work/files/data"
	cp -r "$root/tests/e2e" "$work/files/"
	head -c $((96 * mib)) /dev/urandom >"$disk"
	sfdisk -q "$disk" <<<$'label: gpt\n2048,94M,L' >/dev/null
	truncate -s 94M "$work/fs"
	dd if="$disk" of="$work/fs" bs=1M skip=1 count=94 conv=notrunc status=none
	mkfs.ext4 -q -F -b 4096 -E nodiscard -d "$work/files" "$work/fs"
	dd if="$work/fs" of="$disk" bs=1M seek=1 conv=notrunc status=none
}

# send JOB DISK [OPTION...]
send() {
	"$p2v" send "127.0.0.1:$port" --key-file "$work/jobs/.pairing-key" --name "$1" --disk "${@:2}"
}

# The file system in the copy is sound and has the files.
has_files() {
	rm -rf "$work/copy" "$work/copy.raw"
	"$p2v" vhdx convert "$work/jobs/$1/disk0.vhdx" "$work/copy.raw" &&
		dd if="$work/copy.raw" of="$work/copy.fs" bs=1M skip=1 count=94 status=none &&
		e2fsck -fn "$work/copy.fs" && mkdir "$work/copy" &&
		debugfs -R "rdump / $work/copy" "$work/copy.fs" &&
		diff -r "$work/files" "$work/copy" -x lost+found && sfdisk --verify "$work/copy.raw"
}

equal() {
	"$p2v" vhdx compare "$disk" "$work/jobs/$1/disk0.vhdx"
}

# sends_less JSON: not what is not used, which is most of it.
sends_less() {
	jq -e '.disks[0] | .used_bytes < 30000000 and .size_bytes == 100663296 and .changed == false' "$1" &&
		jq -e '.content_bytes < 30000000' "$1"
}

# begins JOB: waits for the sender, started last, to have begun.
begins() {
	soon -p $! test -e "$work/jobs/$1/job.json"
}

# While it is sent slowly, somebody writes to it. change_meanwhile JOB DISK [OPTION...]
change_meanwhile() {
	local sender
	send "$@" --limit 4M 2>"$work/send.err" &
	sender=$!
	begins "$1" || return
	printf changed | dd of="$2" bs=1 seek=$((3 * mib)) conv=notrunc,fsync status=none
	status=0
	wait "$sender" || status=$?
	cat "$work/send.err"
}

refuses_changes() {
	change_meanwhile "$@" || return
	[ "$status" = 3 ] && grep -q 'written to while it was read' "$work/send.err" && is_not job_is_complete "$1"
}

warns_of_changes() {
	change_meanwhile "$@" --in-use || return
	[ "$status" = 0 ] && grep -q 'warning: .*written while it was read' "$work/send.err" && job_is_complete "$1"
}

make_disk
check 'a receiver starts' start_receiver
send used "$disk" --json >"$work/used.json" 2>/dev/null
check 'what is not used is not sent' sends_less "$work/used.json"
check 'the copy has all files' has_files used
check 'but not all bytes' is_not equal used
check 'with --all it has' send used "$disk" --all
check 'all bytes' equal used
check 'without again' send used "$disk"
check 'what is not used is gone' is_not equal used
check 'and all files are there' has_files used
check 'what changes meanwhile is refused' refuses_changes changing "$disk"
check 'but not the next time' send changing "$disk"
check 'unless it may' warns_of_changes allowed "$disk"

# A mount that other tests have copied with their namespaces is gone when these are.
is_claimed() {
	local status=1
	for _ in $(seq 100); do
		send claimed "$1" --limit 2M 2>"$work/send.err" &
		begins claimed && break
		wait $! || sleep 0.2
	done
	cat "$work/send.err"
	mount "$1" "$work/mount" || status=0
	kill -KILL $!
	wait $! 2>/dev/null || true
	[ "$status" = 0 ] && [ -e "$work/jobs/claimed/job.json" ]
}

# Devices: the same, and what is mounted.
devices() {
	local loop part
	loop=$(losetup -f --show "$disk") || return
	part=$(losetup -f --show -o $mib --sizelimit $((94 * mib)) "$disk") || return
	check 'a device' send device "$loop"
	check 'has all files' has_files device
	check 'a device that changes is refused' refuses_changes device-changing "$loop"
	check 'unless it may' warns_of_changes device-allowed "$loop"
	mkdir "$work/mount"
	mount "$part" "$work/mount" || return
	cleanup_commands+=("umount '$work/mount' 2>/dev/null")
	check 'what is mounted is refused' refuses 3 'mounted, or otherwise in use' send mounted "$part"
	check 'unless it may be' send mounted "$part" --in-use
	send mounted "$part" --in-use --json >"$work/mounted.json" 2>/dev/null
	check 'then all of it is sent' jq -e '.disks[0] | .used_bytes == .size_bytes' "$work/mounted.json"
	umount "$work/mount"
	check 'what is being sent cannot be mounted' is_claimed "$part"
}
[ "$(id -u)" != 0 ] || devices || echo 'no loop devices here: left out'
finish
