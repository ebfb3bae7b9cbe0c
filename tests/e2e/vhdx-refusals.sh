#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v vhdx with what it cannot take: one clear line, one that says what to do,
# the right exit code, nothing left behind, the source as it was.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

out=$work/out
mkdir "$out"
truncate -s 30M "$work/good.raw"
dd if=/dev/urandom of="$work/good.raw" bs=1M count=12 conv=notrunc status=none
good_hash=$(hash_of "$work/good.raw")
"$p2v" vhdx convert "$work/good.raw" "$work/good.vhdx" >/dev/null 2>&1
"$p2v" vhdx convert "$work/good.raw" "$work/good.vhd" >/dev/null 2>&1

# bad STATUS PATTERN SOURCE: as a source of every command that reads one.
bad() {
	local status=$1 pattern=$2 source=$3 name=${3##*/}

	check "convert $name" refuses "$status" "$pattern" "$p2v" vhdx convert "$source" "$out/x.vhdx"
	check "convert $name: nothing left" nothing_left "$out"
	check "compare $name" refuses "$status" "$pattern" "$p2v" vhdx compare "$source" "$work/good.raw"
	check "map $name" refuses "$status" "$pattern" "$p2v" vhdx map "$source"
}

bad 3 'missing: No such file' "$work/missing"
mkdir "$work/folder"
bad 3 'is a folder' "$work/folder"
: >"$work/empty"
bad 3 'is empty' "$work/empty"
mkfifo "$work/pipe"
bad 3 'neither a file nor a block device' "$work/pipe"
qemu-img create -q -f qcow2 "$work/foreign" 10M
bad 3 'is a qcow2 image' "$work/foreign"
gzip -c "$work/good.raw" >"$work/packed.gz"
bad 3 'is compressed' "$work/packed.gz"
bad 1 'cannot connect' "nbd+unix:///?socket=$work/nobody"

# Truncated at every structure; the whole is good.
for bytes in 100 70000 200000 1100000 2100000 3500000 6291456; do
	head -c "$bytes" "$work/good.vhdx" >"$work/cut-$bytes.vhdx"
	bad 3 "cut-$bytes.vhdx: " "$work/cut-$bytes.vhdx"
	check "check cut-$bytes.vhdx" refuses 1 'is damaged' "$p2v" vhdx check "$work/cut-$bytes.vhdx"
done
for bytes in 300 1000 2100 3000000; do
	head -c "$bytes" "$work/good.vhd" >"$work/cut-$bytes.vhd"
	bad 3 "cut-$bytes.vhd: " "$work/cut-$bytes.vhd"
	check "check cut-$bytes.vhd" refuses 1 'is damaged' "$p2v" vhdx check "$work/cut-$bytes.vhd"
done

# Random bytes with no signature are a raw disk; behind a signature they are damage.
head -c 3000000 /dev/urandom >"$work/random.raw"
check 'random bytes are a raw disk' "$p2v" vhdx convert "$work/random.raw" "$work/random.vhdx"
for signature in vhdxfile conectix; do
	{ printf %s "$signature" && cat "$work/random.raw"; } >"$work/random-$signature"
	bad 3 "random-$signature: " "$work/random-$signature"
done

# An incomplete file.
incomplete_by_kill() {
	nbdkit --foreground --readonly --unix "$work/slow" --pidfile "$work/pid" --filter=rate \
		file "$work/good.raw" rate=1M &
	local server=$! pid=
	while [ ! -e "$work/pid" ]; do kill -0 "$server" && sleep 0.05 || return; done
	"$p2v" vhdx convert "nbd+unix:///?socket=$work/slow" "$out/x.vhdx" 2>/dev/null &
	pid=$!
	# Its second name outlives what the kill takes away.  Data follows the structures, which are whole by then.
	for _ in $(seq 1000); do
		ln "$out"/.x.vhdx.*/x.vhdx "$work/incomplete.vhdx" 2>/dev/null && break
		kill -0 "$pid" && sleep 0.01 || return
	done
	for _ in $(seq 1000); do
		[ "$(stat -c %s "$work/incomplete.vhdx")" -gt $((6 << 20)) ] && break
		kill -0 "$pid" && sleep 0.01 || return
	done
	kill -KILL "$pid"
	wait "$pid" || true
	kill "$server"
	wait "$server" || true
	for _ in $(seq 100); do
		nothing_left "$out" >/dev/null && break
		sleep 0.05
	done
	nothing_left "$out"
}
check 'a file that was not finished: make' incomplete_by_kill
bad_incomplete() {
	refuses 3 'incomplete' "$p2v" vhdx convert "$work/incomplete.vhdx" "$out/x.vhdx" &&
		is_not qemu-img info -f vhdx "$work/incomplete.vhdx"
}
check 'a file that was not finished is no disk, to nobody' bad_incomplete

# Targets.
check 'target exists' refuses 3 'good.vhdx: exists' "$p2v" vhdx convert "$work/good.raw" "$work/good.vhdx"
check 'target is the source' refuses 3 'good.raw: exists' "$p2v" vhdx convert "$work/good.raw" "$work/good.raw"
ln -s nowhere "$work/dangling.vhdx"
check 'target is a dangling link' refuses 3 'exists' "$p2v" vhdx convert "$work/good.raw" "$work/dangling.vhdx"
check 'no folder for the target' refuses 3 'No such file' \
	"$p2v" vhdx convert "$work/good.raw" "$work/none/x.vhdx"
check 'a file as the folder' refuses 3 'Not a directory' \
	"$p2v" vhdx convert "$work/good.raw" "$work/good.raw/x.vhdx"

if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=9M,mode=755 none "$out" 2>/dev/null; then
	cleanup_commands+=("umount '$out'")
	# 12 MiB of data and holes: known not to fit.
	check 'target folder full: told before' refuses 3 'are needed' \
		"$p2v" vhdx convert "$work/good.raw" "$out/x.vhdx"
	check 'target folder full: nothing left' nothing_left "$out"
	# A source that is all data may be zeros; it is found out while writing.
	head -c 12M /dev/urandom >"$work/dense.raw"
	for format in vhdx vhd raw; do
		check "target folder full while writing $format" refuses 1 'No space left' \
			"$p2v" vhdx convert "$work/dense.raw" "$out/x.$format"
		check "target folder full while writing $format: nothing left" nothing_left "$out"
	done
	check 'target folder full: fixed is told before' refuses 3 'are needed' \
		"$p2v" vhdx convert --fixed "$work/dense.raw" "$out/x.vhdx"
	check 'target folder full: create' refuses '[13]' 'x.vhd' \
		"$p2v" vhdx create --fixed --size 20M "$out/x.vhd"
	check 'target folder full: create: nothing left' nothing_left "$out"
	mount -o remount,ro "$out"
	check 'read-only target' refuses 3 'Read-only file system' \
		"$p2v" vhdx convert "$work/good.raw" "$out/x.vhdx"
else
	echo "# not root: full and read-only targets left out"
fi

# A source that cannot be read, for one who is not root.
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$work"
	chmod 600 "$work/good.raw"
	mkdir -m 777 "$work/public"
	check 'a source without permission' refuses 3 'Permission denied' \
		setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$p2v" vhdx convert "$work/good.raw" "$work/public/x.vhdx"
	check 'a source without permission: nothing left' nothing_left "$work/public"
	check 'a folder without permission' refuses 3 'Permission denied' \
		setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$p2v" vhdx create --size 1M "$work/x.vhdx"
fi

# A source whose second half cannot be read.
reads_fail() {
	local size half
	size=$(stat -c %s "$work/good.raw")
	half=$((size / 2))

	# shellcheck disable=SC2016 # the server's own variables: length, offset
	nbdkit --foreground --readonly --unix - eval get_size="echo $size" \
		pread='[ $(($3 + $4)) -le '$half' ] || { echo EIO >&2; exit 1; }
			dd if='"$work/good.raw"' skip=$4 count=$3 iflag=skip_bytes,count_bytes' \
		--run "'$p2v' vhdx convert \"\$uri\" '$work/failed.vhdx'"
}
check 'a source that fails to read' refuses 1 'Input/output error' reads_fail
check 'a source that fails to read: nothing left' test ! -e "$work/failed.vhdx"

check 'the source is as it was' same_content "$work/good.raw" "$good_hash"
finish
