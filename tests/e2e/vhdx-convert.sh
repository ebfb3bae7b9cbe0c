#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v vhdx convert: raw, VHD and VHDX, dynamic and fixed, each into each; what
# comes out is what QEMU and libvhdi read; the source is never changed.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

size=$((70 * 1024 * 1024 + 1536))
truncate -s "$size" "$work/source.raw"
dd if=/dev/urandom of="$work/source.raw" bs=1M count=7 conv=notrunc status=none
dd if=/dev/urandom of="$work/source.raw" bs=777 count=5000 seek=50000 conv=notrunc status=none
dd if=/dev/zero of="$work/source.raw" bs=1M seek=50 count=9 conv=notrunc status=none
dd if=/dev/urandom of="$work/source.raw" bs=512 count=1 seek=$((size / 512 - 1)) conv=notrunc status=none

qemu_name() {
	case $1 in *.vhd) echo vpc ;; *.vhdx) echo vhdx ;; *) echo raw ;; esac
}

# converts FROM TO OPTIONS...
converts() {
	local from=$1 to=$2 before

	shift 2
	before=$(hash_of "$from")
	"$p2v" vhdx convert "$from" "$to" "$@" &&
		qemu-img compare -f "$(qemu_name "$from")" -F "$(qemu_name "$to")" "$from" "$to" |
		tee "$work/compare.log" && ! grep -q mismatch "$work/compare.log" &&
		"$p2v" vhdx compare "$from" "$to" &&
		same_content "$from" "$before" &&
		[ -z "$(find "$work" -maxdepth 1 -name '.*.??????')" ]
}

# accepted FILE: by everybody's checks.
accepted() {
	case $1 in
	*.vhdx)
		"$p2v" vhdx check "$1" && qemu-img check -f vhdx "$1" &&
			[ $(($(stat -c %s "$1") % 1048576)) = 0 ]
		;;
	*.vhd) "$p2v" vhdx check "$1" && vhdiinfo "$1" | tee /dev/stderr | grep "$size" ;;
	esac
}

check 'raw to vhdx' converts "$work/source.raw" "$work/dynamic.vhdx"
check 'raw to vhdx, fixed, 8 MiB blocks' \
	converts "$work/source.raw" "$work/fixed.vhdx" --fixed --block-size 8M
check 'raw to vhd' converts "$work/source.raw" "$work/dynamic.vhd"
check 'raw to vhd, fixed' converts "$work/source.raw" "$work/fixed.vhd" --fixed
cp --sparse=always "$work/source.raw" "$work/plain.img"

for from in dynamic.vhdx fixed.vhdx dynamic.vhd fixed.vhd plain.img; do
	[[ $from == *.img ]] || check "$from: accepted" accepted "$work/$from"
	for to in out.vhdx out.vhd out.raw; do
		check "$from to $to" converts "$work/$from" "$work/$to" --threads 3
		[[ $to == *.raw ]] || check "$from to $to: accepted" accepted "$work/$to"
		rm -f "$work/$to"
	done
done

sparse() {
	[ "$(stat -c %b "$1")" -lt $((30 * 1024 * 1024 / 512)) ]
}
for file in dynamic.vhdx dynamic.vhd; do
	check "$file: zeros take no space" sparse "$work/$file"
done
full() {
	[ "$(stat -c %b "$1")" -ge $((size / 512)) ]
}
for file in fixed.vhdx fixed.vhd; do
	check "$file: has all of its space" full "$work/$file"
done

# What the format is called, not what the file is.
check '--format before the name' "$p2v" vhdx convert "$work/source.raw" "$work/odd.bin" --format vhdx
check 'the content decides' qemu-img compare -f raw -F vhdx "$work/source.raw" "$work/odd.bin"
check 'the content decides for us too' "$p2v" vhdx compare "$work/source.raw" "$work/odd.bin"

# A VHDX with 4096-byte sectors stays one, and reads the same.
check '4Kn: make' "$p2v" vhdx create --size 20M --sector-size 4096 "$work/4kn.vhdx"
four_kn() {
	"$p2v" vhdx convert "$work/4kn.vhdx" "$work/4kn-copy.vhdx" &&
		[ "$("$p2v" vhdx info --json "$work/4kn-copy.vhdx" | jq .disk.logical_sector_bytes)" = 4096 ]
}
check '4Kn: converted' four_kn
check '4Kn: not into a VHD' refuses 3 '4096' "$p2v" vhdx convert "$work/4kn.vhdx" "$work/4kn.vhd"

# A size that is no multiple of a sector is rounded up, and the rest is zeros.
head -c 1000001 /dev/urandom >"$work/crooked.raw"
rounds_up() {
	"$p2v" vhdx convert "$work/crooked.raw" "$work/crooked.vhdx" &&
		[ "$("$p2v" vhdx info --json "$work/crooked.vhdx" | jq .disk.size_bytes)" = 1000448 ] &&
		qemu-img compare -f raw -F vhdx "$work/crooked.raw" "$work/crooked.vhdx"
}
check 'a crooked size is rounded up' rounds_up
check 'compare tells the sizes' refuses 1 'differ in size: 1000001 and 1000448' \
	"$p2v" vhdx compare "$work/crooked.raw" "$work/crooked.vhdx"

# From an NBD export, as anything that qemu-nbd can read is given.
from_nbd() {
	qemu-img convert -f raw -O qcow2 "$work/source.raw" "$work/source.qcow2" &&
		nbdkit --foreground --readonly --unix - "$build/lib/nbdkit-vhdx-plugin.so" \
			"$work/dynamic.vhdx" --run "'$p2v' vhdx convert \"\$uri\" '$work/nbd.vhdx'" &&
		"$p2v" vhdx compare "$work/nbd.vhdx" "$work/source.raw"
}
check 'from an NBD export' from_nbd

# A block device, read only.
device() {
	local loop status=0

	loop=$(losetup --find --show --read-only "$work/source.raw") || return 77
	converts "$loop" "$work/device.vhdx" || status=$?
	losetup --detach "$loop"
	return "$status"
}
if [ "$(id -u)" = 0 ] && losetup --find >/dev/null 2>&1; then
	check 'from a block device' device
fi

# The real ones.
corpora=${P2V_CORPORA:-$root/../shared/corpora}
if [ -d "$corpora/vhd" ]; then
	bzip2 -dc "$corpora/vhd/d2v-zerofilled.vhd.bz2" >"$work/d2v.vhd"
	check 'Disk2vhd to vhdx' converts "$work/d2v.vhd" "$work/d2v.vhdx"
	bzip2 -dc "$corpora/vhd/hyperv2012r2-dynamic.vhd.bz2" >"$work/hyperv.vhd"
	check 'Hyper-V, 127 GiB, to vhdx' converts "$work/hyperv.vhd" "$work/hyperv.vhdx"
	xz -dc "$corpora/vhdx/ntfs-dynamic.vhdx.xz" >"$work/ntfs.vhdx"
	check 'Windows, to vhd' converts "$work/ntfs.vhdx" "$work/ntfs.vhd"
	xz -dc "$corpora/vhd/fat-differential.vhd.xz" >"$work/diff.vhd"
	check 'a differencing VHD is refused' refuses 3 'differencing' \
		"$p2v" vhdx convert "$work/diff.vhd" "$work/diff.vhdx"
else
	echo "# no corpora: real VHD files left out"
fi
finish
