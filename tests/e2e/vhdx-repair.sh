#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v vhdx repair and resize: what they say and leave, also where there is no
# space, no permission, or the wrong file.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

# ends STATUS COMMAND...
ends() {
	local wanted=$1 status=0

	shift
	"$@" >"$work/ends.log" 2>&1 || status=$?
	cat "$work/ends.log"
	[ "$status" = "$wanted" ]
}

# damage FILE OFFSET: 8 bytes of junk there.
damage() {
	printf '\377\377\377\377\377\377\377\377' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

cd "$work"
head -c 5000000 /dev/urandom >good.raw
truncate -s 20M good.raw
# One thread: the blocks lie in the file as on the disk.
"$p2v" vhdx convert --threads 1 good.raw good.vhdx >/dev/null

check 'repair: nothing to do' says 'nothing is wrong' "$p2v" vhdx repair good.vhdx
check 'repair: no backup without need' test ! -e good.vhdx.before-repair

# Nothing lost: a header.
cp good.vhdx a.vhdx
damage a.vhdx 65636
before=$(hash_of a.vhdx)
check 'dry run: tells' says 'header 1 is damaged: written anew from header 2' "$p2v" vhdx repair --dry-run a.vhdx
check 'dry run: changes nothing' same_content a.vhdx "$before"
check 'repair: in place' ends 0 "$p2v" vhdx repair a.vhdx
check 'repair: clean' says ' 0 errors, 0 warnings' "$p2v" vhdx check a.vhdx
check 'repair: same content' "$p2v" vhdx compare a.vhdx good.raw
check 'repair: QEMU reads it' qemu-img compare -f vhdx -F raw a.vhdx good.raw
check 'undo' ends 0 "$p2v" vhdx repair --undo a.vhdx.before-repair a.vhdx
check 'undo: every byte is back' same_content a.vhdx "$before"
check 'a backup that exists stays' refuses 3 'before-repair: exists' "$p2v" vhdx repair a.vhdx
check 'a copy' ends 0 "$p2v" vhdx repair --output copy.vhdx a.vhdx
check 'a copy: the damaged one stays' same_content a.vhdx "$before"
check 'a copy: same content' "$p2v" vhdx compare copy.vhdx good.raw
check 'undo of another file' refuses 3 'was changed since it was repaired' \
	"$p2v" vhdx repair --undo a.vhdx.before-repair good.vhdx
check 'undo with no backup' refuses 3 'no backup of a repair' "$p2v" vhdx repair --undo good.raw a.vhdx

# Something lost: a BAT entry.
cp good.vhdx b.vhdx
damage b.vhdx $((3 << 20))
check 'a loss is told' refuses 1 '1 parts of the disk are lost' "$p2v" vhdx repair --backup saved b.vhdx
check 'a loss: JSON' bash -c "'$p2v' vhdx repair --undo saved b.vhdx >/dev/null &&
	'$p2v' vhdx repair --dry-run --json b.vhdx 2>/dev/null |
	jq -e '.losses == [{kind: \"lost\", offset: 0, len_bytes: 2097152, text: .losses[0].text}] and
		.repaired == false and .needed'"

# Cut off.
cp good.vhdx c.vhdx
truncate -s $((6 << 20)) c.vhdx
check 'cut: repaired' refuses 1 'is repaired, but' "$p2v" vhdx repair c.vhdx
"$p2v" vhdx convert c.vhdx c.raw >/dev/null
check 'cut: what is left is the same' cmp -n $((2 << 20)) c.raw good.raw

# Wrong use.
check 'not a VHDX' refuses 3 'good.raw: is not a VHDX' "$p2v" vhdx repair good.raw
check 'no file' refuses 3 'none.vhdx' "$p2v" vhdx repair none.vhdx
check 'no backup' refuses 3 'none.backup' "$p2v" vhdx repair --undo none.backup a.vhdx
check 'a folder' refuses 3 "$work" "$p2v" vhdx repair "$work"
check 'usage: backup and output' refuses 2 'nothing to back up' \
	"$p2v" vhdx repair --backup x --output y a.vhdx
check 'usage: undo and more' refuses 2 'no other option' "$p2v" vhdx repair --undo x --dry-run a.vhdx
mkdir small
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=256k none small 2>/dev/null; then
	cleanup_commands+=("umount '$work/small'")
	before=$(hash_of a.vhdx)
	rm a.vhdx.before-repair
	cat /dev/zero >small/filler 2>/dev/null || true
	check 'no space for the backup' refuses 3 'No space left' \
		"$p2v" vhdx repair --backup small/saved a.vhdx
	check 'no space: the file is as it was' same_content a.vhdx "$before"
	check 'no space: nothing is left' test "$(ls -A small)" = filler
	check 'no space for the copy' refuses '[13]' 'No space left' \
		"$p2v" vhdx repair --output small/x.vhdx a.vhdx
	check 'no space for the copy: nothing is left' test "$(ls -A small)" = filler
	check 'no space to convert' refuses '[13]' 'small' "$p2v" vhdx convert good.raw small/x.vhdx
	check 'no space to convert: nothing is left' test "$(ls -A small)" = filler
fi
if [ "$(id -u)" = 0 ]; then
	mkdir locked
	cp a.vhdx locked/
	chmod 755 "$work" && chmod 555 locked && chmod 644 locked/a.vhdx
	check 'a read-only folder' refuses 3 'Permission denied' \
		setpriv --reuid=65534 --regid=65534 --clear-groups "$p2v" vhdx repair locked/a.vhdx
	check 'a read-only folder: nothing is left' test "$(ls -A locked)" = a.vhdx
fi

# Larger disks.
check 'resize' says '41943040 bytes, before 20971520' "$p2v" vhdx resize good.vhdx 40M
truncate -s 40M good.raw
check 'resize: same content' "$p2v" vhdx compare good.vhdx good.raw
check 'resize: clean' says ' 0 errors, 0 warnings' "$p2v" vhdx check good.vhdx
check 'resize: QEMU agrees' qemu-img compare -f vhdx -F raw good.vhdx good.raw
check 'resize: to the same size' ends 0 "$p2v" vhdx resize good.vhdx 40M
"$p2v" vhdx create --fixed --size 10M --block-size 1M fixed.vhdx
check 'resize: a fixed one' ends 0 "$p2v" vhdx resize fixed.vhdx 30M
check 'resize: all of it is allocated' bash -c "'$p2v' vhdx info --json fixed.vhdx | jq -e '.disk.allocated_blocks == 30'"
"$p2v" vhdx create --size 1G --block-size 1M far.vhdx
check 'resize: where the BAT must move' ends 0 "$p2v" vhdx resize far.vhdx 300G
check 'resize: QEMU sees it' says '"virtual-size": 322122547200' qemu-img info -f vhdx --output=json far.vhdx
check 'resize: moved, clean' says ' 0 errors, 0 warnings' "$p2v" vhdx check far.vhdx
before=$(hash_of good.vhdx)
check 'resize: never smaller' refuses 3 'cannot be made smaller' "$p2v" vhdx resize good.vhdx 10M
check 'resize: too large' refuses 3 'larger than 64 TiB' "$p2v" vhdx resize good.vhdx 65T
check 'resize: raw' refuses 3 'is raw, not VHDX' "$p2v" vhdx resize good.raw 50M
check 'resize: no size' refuses 2 "'big' is no size" "$p2v" vhdx resize good.vhdx big
check 'resize: not said to what' refuses 2 'missing' "$p2v" vhdx resize good.vhdx
check 'resize: refused, all is as it was' same_content good.vhdx "$before"
finish
