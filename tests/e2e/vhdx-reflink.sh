#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v vhdx convert on file systems that share space between files: XFS and btrfs,
# loop-mounted.  The target takes next to no space, and stays what it is when the
# source changes.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

[ "$(id -u)" = 0 ] || skip 'mounting needs root'

# mounts KIND MKFS...: a file system of 700 MiB at $work/KIND.
mounts() {
	local kind=$1
	shift
	command -v "$1" >/dev/null || return
	truncate -s 700M "$work/$kind.img"
	mkdir "$work/$kind"
	"$@" "$work/$kind.img" >/dev/null && mount -o loop "$work/$kind.img" "$work/$kind" || return
	cleanup_commands+=("umount '$work/$kind'")
}

used_kib() {
	sync -f "$1"
	df --output=used -k "$1" | tail -n 1
}

# takes_at_most MIB FOLDER COMMAND...: of new space.
takes_at_most() {
	local mib=$1 folder=$2 before after
	shift 2
	before=$(used_kib "$folder")
	"$@" || return
	after=$(used_kib "$folder")
	echo "$before KiB were used, now $after"
	[ $((after - before)) -le $((mib * 1024)) ]
}

shares_on() {
	local at=$work/$1

	# Data, a hole, zeros that are stored, an end that is no multiple of anything.
	dd if=/dev/urandom of="$at/source.raw" bs=1M count=130 status=none
	dd if=/dev/zero of="$at/source.raw" bs=1M seek=200 count=20 status=none
	printf 'end' >>"$at/source.raw"
	truncate -s $((230 * 1048576 + 512)) "$at/source.raw"
	check "$1: raw to VHDX shares" \
		takes_at_most 8 "$at" "$p2v" vhdx convert "$at/source.raw" "$at/a.vhdx"
	check "$1: VHDX to VHDX with other blocks shares" \
		takes_at_most 8 "$at" "$p2v" vhdx convert "$at/a.vhdx" "$at/b.vhdx" --block-size 8M
	check "$1: VHDX to raw shares" \
		takes_at_most 8 "$at" "$p2v" vhdx convert "$at/b.vhdx" "$at/b.raw"
	check "$1: that is the same in the end" cmp "$at/source.raw" "$at/b.raw"
	check "$1: a copy of its own, if asked for" is_not \
		takes_at_most 100 "$at" "$p2v" vhdx convert "$at/source.raw" "$at/own.vhdx" --no-reflink
	check "$1: it is the same" "$p2v" vhdx compare "$at/source.raw" "$at/own.vhdx"
	rm "$at/own.vhdx" "$at/b.raw"
	cp --reflink=always "$at/source.raw" "$at/before.raw"
	dd if=/dev/urandom of="$at/source.raw" bs=1M count=5 seek=10 conv=notrunc status=none
	check "$1: the target does not follow the source" "$p2v" vhdx compare "$at/before.raw" "$at/a.vhdx"
	check "$1: accepted" "$p2v" vhdx check "$at/a.vhdx"
	check "$1: QEMU reads the same" qemu-img compare -f raw -F vhdx "$at/before.raw" "$at/a.vhdx"
	# More than is free, but nothing is needed.
	dd if=/dev/urandom of="$at/large" bs=1M count=250 status=none
	check "$1: fits by sharing, where a copy would not" \
		"$p2v" vhdx convert "$at/large" "$at/large.vhdx"
	check "$1: a copy that does not fit says so" refuses 1 'No space left' \
		"$p2v" vhdx convert "$at/large" "$at/copy.vhdx" --no-reflink
}

tried=0
if mounts xfs mkfs.xfs -q -m reflink=1; then
	shares_on xfs
	tried=1
fi
if mounts btrfs mkfs.btrfs -q; then
	shares_on btrfs
	tried=1
fi
[ "$tried" = 1 ] || skip 'neither XFS nor btrfs can be made and mounted here'
finish
