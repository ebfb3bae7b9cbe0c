#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The nbdkit plugin as other NBD clients use it: nbdinfo, nbdcopy, qemu-img; a
# file system made and checked through it; a file being filled.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

plugin=$build/lib/nbdkit-vhdx-plugin.so
size=$((96 * 1024 * 1024 + 512))

# served OPTIONS... -- COMMAND: runs the shell command with $uri set, on a private socket.
served() {
	local options=()

	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	nbdkit --foreground --unix - "${options[@]}" --run "$2"
}

# A disk with data at both ends, in the middle, and holes between.
make_source() {
	truncate -s "$size" "$1"
	dd if=/dev/urandom of="$1" bs=1M count=5 conv=notrunc status=none
	dd if=/dev/urandom of="$1" bs=1000 count=3000 seek=40000 conv=notrunc status=none
	dd if=/dev/urandom of="$1" bs=512 count=1 seek=$((size / 512 - 1)) conv=notrunc status=none
}

make_source "$work/source.raw"
source_hash=$(hash_of "$work/source.raw")

# nbdcopy writes the disk into each format, on several connections, and reads it back.
copies_through() {
	local file=$1

	served "$plugin" "file=$file" -- "nbdcopy --flush '$work/source.raw' \"\$uri\"" &&
		served --readonly "$plugin" "file=$file" -- "nbdcopy \"\$uri\" '$work/back.raw'" &&
		same_content "$work/back.raw" "$source_hash"
}

for format in vhdx vhd raw; do
	check "$format: make" "$p2v" vhdx create --size "$size" "$work/disk.$format"
	check "$format: nbdcopy there and back" copies_through "$work/disk.$format"
	case $format in vhd) driver=vpc ;; *) driver=$format ;; esac
	check "$format: qemu-img finds the same disk" \
		qemu-img compare -f raw -F "$driver" "$work/source.raw" "$work/disk.$format"
done
check 'vhdx: qemu-img check' qemu-img check -q -f vhdx "$work/disk.vhdx"
check 'vhdx: p2v vhdx check' "$p2v" vhdx check "$work/disk.vhdx"
check 'the holes stay holes' \
	test "$(stat -c %b "$work/disk.vhdx")" -lt $((40 * 1024 * 1024 / 512))

info_has() {
	served --readonly "$plugin" "$work/disk.vhdx" -- "nbdinfo \"\$uri\"" | tee /dev/stderr | grep "$1"
}
check 'nbdinfo: the size' info_has "export-size: $size\$"
check 'nbdinfo: read-only' info_has 'is_read_only: true'
check 'nbdinfo: several connections' info_has 'can_multi_conn: true'
check 'nbdinfo: the block size' info_has 'block_size_preferred: 2097152'
# shellcheck disable=SC2016 # $uri is the inner shell's
check 'nbdinfo --map: holes' served --readonly "$plugin" "$work/disk.vhdx" -- \
	'nbdinfo --map "$uri" | grep "hole,zero"'

# qemu-img over NBD sees what it sees in the file.
compares() {
	served --readonly "$plugin" "$work/disk.vhdx" -- \
		"qemu-img compare -f raw -F vhdx \"\$uri\" '$work/disk.vhdx'"
}
check 'qemu-img compare over NBD' compares

# A file system made, trimmed and checked by a guest of the kernel's own would need its NBD driver;
# QEMU's tools write through the plugin as well.
qemu_writes() {
	served "$plugin" "$work/disk.vhdx" -- "qemu-io -f raw \
		-c 'write -P 0x11 1M 3M' -c 'write -z 2M 1M' -c 'discard 0 1M' -c 'write -f -P 0x22 60M 4k' \
		-c 'flush' -c 'read -P 0x11 1M 1M' -c 'read -P 0 2M 1M' -c 'read -P 0x22 60M 4k' \"\$uri\""
}
check 'qemu-io writes, zeros, discards' qemu_writes
check 'vhdx: p2v vhdx check afterwards' "$p2v" vhdx check "$work/disk.vhdx"
check 'vhdx: qemu-io reads that from the file' qemu-io -r -f vhdx \
	-c 'read -P 0x11 1M 1M' -c 'read -P 0 2M 1M' -c 'read -P 0x22 60M 4k' "$work/disk.vhdx"

# Filling: the target reads as the source at once, and holds it once all was asked for.
check 'filling: make' "$p2v" vhdx create --size "$size" "$work/fill.vhdx"
fills() {
	served "$plugin" "file=$work/fill.vhdx" "fill-from=$work/source.raw" -- \
		"qemu-img compare -f raw -F raw \"\$uri\" '$work/source.raw' &&
		 nbdinfo --can cache \"\$uri\""
}
check 'filling: reads as the source' fills
check 'filling: the source is unchanged' same_content "$work/source.raw" "$source_hash"

# A server that is killed leaves what was flushed.
survives_kill() {
	local pid

	"$p2v" vhdx create --size 64M "$work/killed.vhdx" || return
	nbdkit --foreground --unix "$work/s" --pidfile "$work/pid" "$plugin" "$work/killed.vhdx" &
	pid=$!
	while [ ! -e "$work/pid" ]; do kill -0 "$pid" && sleep 0.05 || return; done
	qemu-io -f raw -c 'write -P 0x33 5M 20M' -c flush -c 'write -P 0x44 40M 1M' \
		"nbd+unix:///?socket=$work/s" || return
	kill -KILL "$pid"
	wait "$pid" || true
	"$p2v" vhdx check "$work/killed.vhdx" || return
	served "$plugin" "$work/killed.vhdx" -- "qemu-io -f raw -c 'read -P 0x33 5M 20M' -c flush \"\$uri\"" &&
		qemu-img check -f vhdx "$work/killed.vhdx"
}
check 'killed: what was flushed is there' survives_kill

check 'the source is unchanged' same_content "$work/source.raw" "$source_hash"
finish
