#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v vhdx info, check, map, create and compare: what they say, as text and as
# JSON, and what they say to a wrong command line.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

cd "$work"
check 'create: a VHDX' "$p2v" vhdx create --size 1T server.vhdx
check 'create: fixed, with other blocks' "$p2v" vhdx create --fixed --size 40M --block-size 8M fixed.vhdx
check 'create: a VHD' "$p2v" vhdx create --size 100M old.vhd
check 'create: raw' "$p2v" vhdx create --size 10M plain.img
check 'create: small on disk' test "$(stat -c %s server.vhdx)" -lt $((16 << 20))
check 'create: QEMU sees the size' says '"virtual-size": 1099511627776' \
	qemu-img info --output=json -f vhdx server.vhdx
qemu-io -f vhdx -c 'write -P 7 10M 3M' server.vhdx >/dev/null

check 'info: text' says 'server.vhdx: VHDX, dynamic' "$p2v" vhdx info server.vhdx
check 'info: size' says 'disk size +1 TiB \(1099511627776 bytes\)' "$p2v" vhdx info server.vhdx
check 'info: sectors' says 'sectors +512 bytes, physically 4096' "$p2v" vhdx info server.vhdx
check 'info: JSON' json '.format == "vhdx" and .disk.type == "dynamic" and
	.disk.size_bytes == 1099511627776 and .disk.allocated_blocks == 2 and
	.incomplete == false and (.regions | length) == 2' "$p2v" vhdx info --json server.vhdx
check 'info: fixed' json '.disk.type == "fixed" and .disk.block_bytes == 8388608' \
	"$p2v" vhdx info --json fixed.vhdx
check 'info: VHD' json '.format == "vhd" and .disk.size_bytes == 104857600' "$p2v" vhdx info --json old.vhd
check 'info: raw' json '.format == "raw" and .file_bytes == 10485760' "$p2v" vhdx info --json plain.img
qemu-img create -q -f qcow2 foreign.qcow2 10M
check 'info: foreign' says 'foreign.qcow2: qcow2' "$p2v" vhdx info foreign.qcow2

check 'check: clean' says 'server.vhdx: 0 errors' "$p2v" vhdx check server.vhdx
check 'check: JSON' json '.errors == 0 and .findings == []' "$p2v" vhdx check --json server.vhdx
check 'check: VHD' says 'old.vhd: 0 errors' "$p2v" vhdx check old.vhd
check 'check: raw has nothing to check' refuses 3 'raw: neither' "$p2v" vhdx check plain.img

# Damage: a BAT entry that points far behind the end of the file.
cp server.vhdx damaged.vhdx
bat=$("$p2v" vhdx info --json damaged.vhdx | jq '.regions[] | select(.name == "BAT") | .file_offset')
printf '\6\0\0\0\0\0\1\0' | dd of=damaged.vhdx bs=1 seek=$((bat + 800)) conv=notrunc status=none
check 'check: damage is an error' refuses 1 'damaged.vhdx: is damaged: 1 errors' "$p2v" vhdx check damaged.vhdx
check 'check: damage is named' says 'error at byte [0-9]+ of the file: BAT entry 100 ' \
	bash -c "'$p2v' vhdx check damaged.vhdx || true"
check 'check: damage in JSON' json '.errors == 1 and .findings[0].severity == "error"' \
	"$p2v" vhdx check --json damaged.vhdx
head -c 1000 old.vhd >damaged.vhd
check 'check: a cut VHD' refuses 1 'damaged.vhd: is damaged' "$p2v" vhdx check damaged.vhd

check 'map: text' says '^ +10485760 +4194304 +present +[0-9]+$' "$p2v" vhdx map server.vhdx
check 'map: JSON' json '(map(.length_bytes) | add) == 1099511627776 and
	(map(select(.state == "present")) | length) == 1' "$p2v" vhdx map --json server.vhdx
check 'map: JSON of a VHD' json '. == [{"offset": 0, "length_bytes": 104857600, "state": "hole"}]' \
	"$p2v" vhdx map --json old.vhd
check 'map: raw' says 'hole' "$p2v" vhdx map plain.img

truncate -s 100M same.raw
check 'compare: the same' says 'hold the same 104857600 bytes' "$p2v" vhdx compare old.vhd same.raw
check 'compare: JSON' json '.equal and .first_difference == null' "$p2v" vhdx compare --json old.vhd same.raw
printf x | dd of=same.raw bs=1 seek=54321 conv=notrunc status=none
check 'compare: the first difference' refuses 1 'differ from byte 54321 on' "$p2v" vhdx compare old.vhd same.raw
check 'compare: JSON of a difference' json '.equal == false and .first_difference == 54321' \
	"$p2v" vhdx compare --json old.vhd same.raw
check 'compare: sizes' refuses 1 'differ in size: 10485760 and 104857600' "$p2v" vhdx compare plain.img old.vhd

check 'create: FILE exists' refuses 3 'server.vhdx: exists' "$p2v" vhdx create --size 1M server.vhdx
check 'create: FILE is as it was' says 'disk size +1 TiB' "$p2v" vhdx info server.vhdx

usage() {
	local pattern=$1

	shift
	check "usage: $*" refuses 2 "$pattern" "$p2v" vhdx "$@"
}
usage 'no command' # nothing at all
usage "'mend' is no command" mend x
usage 'the image is missing' info
usage "'b' is one argument too many" info a b
usage "'--frob' is not known" info --frob x
usage 'source and target are missing' convert x
usage "name does not tell its format" convert plain.img target
usage "'qcow2' is no format" convert plain.img target --format qcow2
usage "wants a value" convert plain.img target.vhdx --format
usage "'2X' is no size" convert plain.img t.vhdx --block-size 2X
usage 'a raw image has no blocks' convert plain.img t.raw --block-size 2M
usage 'only a VHDX' convert plain.img t.vhd --sector-size 4096
usage "--threads: '0' is no such number" convert plain.img t.vhdx --threads 0
usage '--size is missing' create t.vhdx
usage 'is no name of a file' create --size 1M --format vhdx "$work/"
check 'options that VHDX does not allow' refuses 3 't.vhdx' "$p2v" vhdx create --size 1M --block-size 3M t.vhdx
check 'too large for a VHD' refuses 3 '2040 GiB' "$p2v" vhdx create --size 3T t.vhd
check 'too large for a VHDX' refuses 3 't.vhdx' "$p2v" vhdx create --size 65T t.vhdx
check 'nothing was left' is_not compgen -G "$work/t.*"
check 'nothing hidden was left' is_not compgen -G "$work/.*.??????"

for command in '' info check map create convert compare commit resize repair; do
	# shellcheck disable=SC2086 # none, or one word
	check "help: $command" says "p2v vhdx $command" "$p2v" vhdx $command --help
done
check 'help lists no command that is not there' is_not grep -q mend <("$p2v" vhdx --help)
# What is made is called by its name, not by that of its working folder.
check 'create: too large' refuses 3 '^p2v: none.vhdx: cannot be made: the disk is larger than 64 TiB' \
	"$p2v" vhdx create --size 65T none.vhdx
check 'create: of no size' refuses 2 'a disk of 0 bytes' "$p2v" vhdx create --size 0 none.vhdx
check 'create: of a negative size' refuses 2 "'-1' is no size" "$p2v" vhdx create --size -1 none.vhdx
mkdir -p folder
check 'create: a folder' refuses 3 'folder: is a folder' "$p2v" vhdx create --size 1M folder
check 'convert: into a folder' refuses 3 'folder: is a folder' "$p2v" vhdx convert plain.img folder
check 'create: nothing left' test ! -e none.vhdx

finish
