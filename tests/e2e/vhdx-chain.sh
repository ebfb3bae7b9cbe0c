#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Differencing VHDX files: made, written through nbdkit, read by libvhdi and by
# each command, committed, and refused when the chain is broken.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

# write_at FILE MODEL OFFSET LENGTH: the same random bytes into a disk, by way of nbdkit, and into its model.
write_at() {
	head -c "$4" /dev/urandom >"$work/bytes"
	dd if="$work/bytes" of="$2" bs=1M oflag=seek_bytes seek="$3" conv=notrunc status=none
	# shellcheck disable=SC2016 # for nbdkit's shell
	nbdkit "$plugin" file="$1" --run \
		'qemu-io -f raw -c "write -q -s '"$work/bytes $3 $4"'" "$uri"'
}

# libvhdi_reads FILE MODEL: the last of the disks that vhdimount shows is the file's own.
libvhdi_reads() {
	local mount=$work/mount result=0 last

	mkdir -p "$mount"
	vhdimount "$1" "$mount" >/dev/null || return 1
	last=$(find "$mount" -name 'vhdi*' | sort -V | tail -n 1)
	cmp "$last" "$2" || result=1
	umount "$mount"
	return $result
}

cd "$work"
plugin=$build/lib/nbdkit-vhdx-plugin.so
truncate -s 40M model.raw
"$p2v" vhdx create --size 40M base.vhdx
write_at base.vhdx model.raw 0 3000000
write_at base.vhdx model.raw 20971520 1000000
cp model.raw base.raw
check 'create over a parent' "$p2v" vhdx create --parent base.vhdx --block-size 4M child.vhdx
check 'it reads as its parent' "$p2v" vhdx compare child.vhdx base.raw
sum=$(sha256sum <base.vhdx)
write_at child.vhdx model.raw 1048576 4096
write_at child.vhdx model.raw 5000192 9000448
check 'create over a child' "$p2v" vhdx create --parent child.vhdx top.vhdx
write_at top.vhdx model.raw 2097152 512
write_at top.vhdx model.raw 30000128 70144
check 'a chain of three reads as the model' "$p2v" vhdx compare top.vhdx model.raw
check 'convert: the whole disk' "$p2v" vhdx convert top.vhdx whole.vhdx
check 'convert: QEMU reads the result' qemu-img compare -f raw -F vhdx model.raw whole.vhdx
check 'the parent has not changed' test "$sum" = "$(sha256sum <base.vhdx)"
check 'info: type' says 'child.vhdx: VHDX, differencing' "$p2v" vhdx info child.vhdx
check 'info: where the parent is' says 'relative_path +\.\\base.vhdx' "$p2v" vhdx info child.vhdx
check 'map: what is in the child' says ' partially present ' "$p2v" vhdx map child.vhdx
check 'check: child' says 'child.vhdx: 0 errors, 0 warnings' "$p2v" vhdx check child.vhdx
if [ -e /dev/fuse ] && libvhdi_reads base.vhdx base.raw; then
	check 'libvhdi reads the chain' libvhdi_reads top.vhdx model.raw
else
	echo 'vhdimount does not work here (FUSE?): libvhdi is asked for its words alone'
fi
check 'libvhdi: type' says 'Disk type.*: Differential' vhdiinfo top.vhdx

check 'commit' says 'top.vhdx: is now in .*child.vhdx' "$p2v" vhdx commit top.vhdx
check 'commit: the parent has it' "$p2v" vhdx compare child.vhdx model.raw
check 'commit: the child reads the same' "$p2v" vhdx compare top.vhdx model.raw
check 'commit: the child is empty' says 'blocks in file +0 of' "$p2v" vhdx info top.vhdx
check 'commit --remove' "$p2v" vhdx commit --remove top.vhdx
check 'commit --remove: it is gone' test ! -e top.vhdx
"$p2v" vhdx create --parent base.vhdx sibling.vhdx
check 'commit into the base' "$p2v" vhdx commit --json child.vhdx
check 'commit into the base: it has all' "$p2v" vhdx compare base.vhdx model.raw
for file in base child; do
	check "check after commit: $file" says ' 0 errors, 0 warnings' "$p2v" vhdx check $file.vhdx
done
check 'a sibling is refused then' refuses 3 'sibling.vhdx: its parent has changed' \
	"$p2v" vhdx compare sibling.vhdx base.raw

mv base.vhdx away.vhdx
check 'a missing parent is named' refuses 3 'child.vhdx: its parent.*base.vhdx does not exist' \
	"$p2v" vhdx convert child.vhdx x.raw
check 'nbdkit says so at once' says 'its parent.*base.vhdx does not exist' \
	bash -c "! nbdkit '$plugin' file=child.vhdx --run true 2>&1"
check 'commit refuses' refuses 3 'base.vhdx does not exist' "$p2v" vhdx commit child.vhdx
check 'info goes on' says 'differencing' "$p2v" vhdx info child.vhdx
mv away.vhdx base.vhdx
check 'back in its place it is found' "$p2v" vhdx compare child.vhdx model.raw

check 'commit: no child' refuses 3 'no differencing file' "$p2v" vhdx commit base.vhdx
check 'commit: no VHDX' refuses 3 'model.raw: is no VHDX' "$p2v" vhdx commit model.raw
check 'create: parent is no VHDX' refuses 3 'no VHDX' "$p2v" vhdx create --parent model.raw x.vhdx
check 'create: parent is missing' refuses 3 'nowhere.vhdx' "$p2v" vhdx create --parent nowhere.vhdx x.vhdx
check 'create: fixed' refuses 3 'cannot be fixed' "$p2v" vhdx create --fixed --parent base.vhdx x.vhdx
check 'create: another size' refuses 3 "its parent's" "$p2v" vhdx create --size 41M --parent base.vhdx x.vhdx
check 'create: only a VHDX' refuses 2 'only a VHDX' "$p2v" vhdx create --parent base.vhdx x.vhd
check 'nothing was left' is_not compgen -G "$work/x.*"
finish
