#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Disks of servers that were not shut down: ext4 and XFS with a log to replay.
# The replay happens in the result, the source keeps its log.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

# make_unclean FILE OFFSET TYPE: the image as it would be found after a power cut, in FILE.unclean.
make_unclean() {
	local loop
	loop=$(losetup --find --show --offset "$2" "$1")
	mkdir -p "$work/mnt"
	mount -t "$3" "$loop" "$work/mnt"
	cleanup_commands+=("umount '$work/mnt' 2>/dev/null")
	mkdir "$work/mnt/root/before-the-cut"
	for n in $(seq 50); do echo "$n" >"$work/mnt/root/before-the-cut/$n"; done
	sync -f "$work/mnt"
	cp --sparse=always "$1" "$1.unclean"
	umount "$work/mnt"
	losetup -d "$loop"
}

# xfs_offset FILE: where an XFS file system begins, on a MiB boundary (LVM aligns extents so).
xfs_offset() {
	local mib size_mib
	size_mib=$(($(stat -c %s "$1") >> 20))
	for ((mib = 1; mib < size_mib; mib++)); do
		if [ "$(dd if="$1" bs=4 skip=$((mib << 18)) count=1 status=none | tr -d '\0')" = XFSB ]; then
			echo $((mib << 20))
			return
		fi
	done
	return 1
}

for sample in a b; do
	cp --sparse=always "$("$root/tests/lib/make-sample" $sample)" "$work/$sample.img"
	chmod u+w "$work/$sample.img"
	if [ $sample = a ]; then
		make_unclean "$work/$sample.img" $((1 << 20)) ext4
		check 'a: the log is not empty' bash -c "dumpe2fs -h '$work/a.img.unclean?offset=$((1 << 20))' | grep needs_recovery"
	else
		make_unclean "$work/$sample.img" "$(xfs_offset "$work/b.img")" xfs
	fi
	rm "$work/$sample.img"
	before=$(hash_of "$work/$sample.img.unclean")
	check "$sample: converts" "$p2v" convert "$work/$sample.img.unclean" --to kvm --name x --out "$work/out-$sample"
	check "$sample: the source keeps its log" same_content "$work/$sample.img.unclean" "$before"
	rm "$work/$sample.img.unclean"
done
finish
