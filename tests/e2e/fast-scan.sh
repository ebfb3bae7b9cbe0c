#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v scan --used of a recorded machine: of three disks the second cannot be
# read; it is told why, and the others are told all the same.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

machine=$work/machine

# add_disk NAME: 16 MiB, with ext4 on all of it.
add_disk() {
	mkdir -p "$machine/sys/block/$1/queue" "$machine/sys/class/block" "$machine/dev"
	echo 32768 >"$machine/sys/block/$1/size"
	echo 512 >"$machine/sys/block/$1/queue/logical_block_size"
	truncate -s 16M "$machine/dev/$1"
	mke2fs -q -F -t ext4 "$machine/dev/$1"
}

for disk in sda sdb sdc; do
	add_disk "$disk"
done

scan() {
	"$p2v" scan --used --sysroot "$machine" "$@"
}

json_says() {
	scan --json >"$work/scan.json" || true
	jq -e "$1" "$work/scan.json"
}

all_sources='[.used[].source] == ["/dev/sda", "/dev/sdb", "/dev/sdc"]'

check 'three disks are told' scan
check 'as JSON too' json_says "$all_sources and all(.used[]; .used_bytes < 16777216 and has(\"error\") == false)"
# A folder: root could read a file of any mode.
rm "$machine/dev/sdb"
mkdir "$machine/dev/sdb"
check 'one that cannot be read is an error' refuses 1 '1 of 3 disks cannot be read' scan
check 'it is told why, and what to do' grep -A 2 '^used of /dev/sdb' "$work/refuses.out"
check 'by name' grep -q 'cannot be read: .*/dev/sdb: is a folder' "$work/refuses.out"
check 'the one behind it is told' grep -q '^used of /dev/sdc' "$work/refuses.out"
check 'as JSON too' json_says "$all_sources and (.used[1] | (.error | length > 0) and (.advice | length > 0)) and .used[2].used_bytes > 0"
check '--used is not for images' refuses 2 'about this machine' "$p2v" scan --used "$machine/dev/sda"
finish
