#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Before anything in it is changed, the VHDX that p2v convert makes is its
# source, and others read it so: both sample servers, and a disk of all that is
# awkward.  The copy is made by the very functions (tests/guest/test-guest-fill.c).
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

copy=$build/tests/guest/test-guest-fill
[ -x "$copy" ] || skip "$copy is not built: run make check-fast first"

# Data that does not compress, zeros that are written out, holes, an end that is no multiple of anything.
truncate -s $((300 * 1024 * 1024 + 3 * 512)) "$work/awkward.raw"
for mib in 0 1 63 150 299; do
	dd if=/dev/urandom of="$work/awkward.raw" bs=64K count=$((mib % 7 + 3)) oflag=seek_bytes \
		seek=$((mib << 20 | mib << 9)) conv=notrunc status=none
done
dd if=/dev/zero of="$work/awkward.raw" bs=1M count=20 seek=200 conv=notrunc status=none
printf last | dd of="$work/awkward.raw" oflag=seek_bytes seek=$((300 * 1024 * 1024 + 3 * 512 - 4)) conv=notrunc status=none

# A VHDX ends with whole sectors of 512 bytes, and so does this disk.
same_to_qemu() {
	qemu-img compare -f raw -F vhdx "$1" "$2" >"$work/said" && cat "$work/said" && grep -qx 'Images are identical.' "$work/said"
}

for name in a b awkward; do
	source=$work/$name.raw
	[ $name = awkward ] || source=$("$root/tests/lib/make-sample" $name)
	before=$(hash_of "$source")
	check "$name: copies" "$copy" "$source" "$work/$name.vhdx"
	check "$name: QEMU says identical" same_to_qemu "$source" "$work/$name.vhdx"
	check "$name: p2v says identical" "$p2v" vhdx compare "$source" "$work/$name.vhdx"
	check "$name: QEMU finds no fault" qemu-img check -f vhdx "$work/$name.vhdx"
	check "$name: QEMU can tell what it is" qemu-img info -f vhdx "$work/$name.vhdx"
	check "$name: libvhdi can tell what it is" vhdiinfo "$work/$name.vhdx"
	check "$name: p2v finds no fault" "$p2v" vhdx check "$work/$name.vhdx"
	check "$name: the source is unchanged" same_content "$source" "$before"
	[ $name = awkward ] || rm "$work/$name.vhdx"
done

# These tools do find a difference: one byte of data, in the last sector but one.
printf x | dd of="$work/awkward.raw" oflag=seek_bytes seek=$((300 * 1024 * 1024 + 512)) conv=notrunc status=none
check 'QEMU finds one byte that differs' is_not same_to_qemu "$work/awkward.raw" "$work/awkward.vhdx"
check 'p2v finds one byte that differs' refuses 1 'differ' "$p2v" vhdx compare "$work/awkward.raw" "$work/awkward.vhdx"
finish
