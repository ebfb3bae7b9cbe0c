#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v vhdx on file systems that are full, or read-only, with images that are
# there already: one clear error each, nothing left behind, the images as they
# were, or better.  And sources of a chain that is broken.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

[ "$(id -u)" = 0 ] || skip 'needs root, to mount'
place=$work/place
mkdir "$place"
truncate -s 24M "$work/small.ext4"
mkfs.ext4 -q -m 0 "$work/small.ext4"
mount -o loop "$work/small.ext4" "$place" 2>/dev/null || skip 'cannot mount a loop device here'
cleanup_commands+=("umount '$place'")

# Random data over a disk of 8 MiB, and a child that has other data all over it.
head -c 8M /dev/urandom >"$work/base.raw"
head -c 8M /dev/urandom >"$work/child.raw"
plugin=$build/lib/nbdkit-vhdx-plugin.so
"$p2v" vhdx convert "$work/base.raw" "$place/base.vhdx" >/dev/null 2>&1
"$p2v" vhdx create --parent "$place/base.vhdx" "$place/child.vhdx"
# shellcheck disable=SC2016 # for nbdkit's shell
nbdkit "$plugin" file="$place/child.vhdx" --run \
	'qemu-io -f raw -c "write -q -P 9 1M 2M" "$uri"'
cp "$work/base.raw" "$work/child.raw"
head -c 2M /dev/zero | tr '\0' '\11' | dd of="$work/child.raw" bs=1M seek=1 conv=notrunc status=none
"$p2v" vhdx create --size 2M "$place/alone.vhdx"
truncate -s 2M "$work/alone.raw"
# One damaged header.
cp --sparse=always "$place/base.vhdx" "$work/damaged.vhdx"
printf junk | dd of="$work/damaged.vhdx" bs=1 seek=65600 conv=notrunc status=none

holds() {
	"$p2v" vhdx check "$1" && "$p2v" vhdx compare "$1" "$2"
}
check 'the child holds what was written' holds "$place/child.vhdx" "$work/child.raw"
is_listed() {
	[ "$(find "$place" -mindepth 1 -maxdepth 1 ! -name lost+found -printf '%f\n' | sort | tr '\n' ' ')" = "$1" ]
}

# Full: not a block left.
dd if=/dev/zero of="$place/ballast" bs=4k status=none 2>/dev/null || true
files='alone.vhdx ballast base.vhdx child.vhdx '
full() {
	local name=$1
	shift
	check "full: $name" refuses "$@"
	check "full: $name: nothing left" is_listed "$files"
	check "full: $name: the base" holds "$place/base.vhdx" "$work/base.raw"
	check "full: $name: the child" holds "$place/child.vhdx" "$work/child.raw"
}
full create '[13]' 'No space left|are needed' "$p2v" vhdx create --size 1G "$place/new.vhdx"
full 'create over a parent' '[13]' 'No space left|are needed' \
	"$p2v" vhdx create --parent "$place/base.vhdx" "$place/new.vhdx"
full 'create fixed' '[13]' 'No space left|are needed' "$p2v" vhdx create --fixed --size 9M "$place/new.vhdx"
for format in vhdx vhd raw; do
	full "convert to $format" '[13]' 'new\.[a-z]+: .*No space left|are needed|working folder' \
		"$p2v" vhdx convert "$work/base.raw" "$place/new.$format"
done
# (To make a parent larger changes it, and so is nothing for one that has children.)
full 'resize' 1 'No space left' "$p2v" vhdx resize "$place/alone.vhdx" 4T
full 'resize a child' 1 'No space left' "$p2v" vhdx resize "$place/child.vhdx" 4T
check 'full: what could not be made larger' holds "$place/alone.vhdx" "$work/alone.raw"
rm "$place/ballast"
cp --sparse=always "$work/damaged.vhdx" "$place/damaged.vhdx"
dd if=/dev/zero of="$place/ballast" bs=4k status=none 2>/dev/null || true
check 'full: repair' refuses '[13]' 'No space left|are needed' "$p2v" vhdx repair "$place/damaged.vhdx"
check 'full: repair: nothing left' is_listed 'alone.vhdx ballast base.vhdx child.vhdx damaged.vhdx '
check 'full: repair: the file is as it was' cmp "$work/damaged.vhdx" "$place/damaged.vhdx"
rm "$place/ballast"
check 'space again: the child' holds "$place/child.vhdx" "$work/child.raw"

# Read-only.
mount -o remount,ro "$place"
files='alone.vhdx base.vhdx child.vhdx damaged.vhdx '
read_only() {
	local name=$1
	shift
	check "read-only: $name" refuses '[13]' 'Read-only file system|is read-only' "$@"
	check "read-only: $name: nothing left" is_listed "$files"
}
read_only create "$p2v" vhdx create --size 1M "$place/new.vhdx"
read_only 'create over a parent' "$p2v" vhdx create --parent "$place/base.vhdx" "$place/new.vhdx"
for format in vhdx vhd raw; do
	read_only "convert to $format" "$p2v" vhdx convert "$work/base.raw" "$place/new.$format"
done
read_only resize "$p2v" vhdx resize "$place/base.vhdx" 1G
read_only commit "$p2v" vhdx commit "$place/child.vhdx"
read_only repair "$p2v" vhdx repair "$place/damaged.vhdx"
check 'read-only: what only reads works' holds "$place/child.vhdx" "$work/child.raw"
check 'read-only: repair --dry-run' "$p2v" vhdx repair --dry-run "$place/damaged.vhdx"
check 'read-only: convert from there' "$p2v" vhdx convert "$place/child.vhdx" "$work/copy.vhdx"
check 'read-only: the copy' holds "$work/copy.vhdx" "$work/child.raw"
mount -o remount,rw "$place"

# Chains, as sources of what reads and what converts.
cd "$work"
"$p2v" vhdx create --size 20M parent.vhdx
"$p2v" vhdx create --parent parent.vhdx leaf.vhdx
reads() {
	local name=$1 pattern=$2 file=$3

	check "$name: convert" refuses 3 "$pattern" "$p2v" vhdx convert "$file" "$work/none.vhdx"
	check "$name: convert: nothing left" test ! -e "$work/none.vhdx"
	check "$name: compare" refuses 3 "$pattern" "$p2v" vhdx compare "$file" "$work/base.raw"
	check "$name: p2v convert" refuses 3 "$pattern" "$p2v" convert "$file" --out "$work/vms"
	check "$name: p2v convert: nothing left" nothing_left "$work/vms"
}
mkdir vms
mv parent.vhdx away.vhdx
reads 'parent missing' 'leaf.vhdx: its parent, .* was not found' leaf.vhdx
cp leaf.vhdx parent.vhdx
reads 'parent replaced by another' 'leaf.vhdx: its parent' leaf.vhdx
cp away.vhdx parent.vhdx
# shellcheck disable=SC2016 # for nbdkit's shell
nbdkit "$plugin" file=parent.vhdx --run 'qemu-io -f raw -c "write -q -P 1 0 1M" "$uri"'
reads 'parent changed' 'leaf.vhdx: its parent has changed' leaf.vhdx
mv away.vhdx parent.vhdx
check 'parent back' "$p2v" vhdx compare leaf.vhdx parent.vhdx
finish
