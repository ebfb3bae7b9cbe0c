#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A disk whose logical sectors have 4096 bytes, as a VHDX that says so and as a
# raw file that cannot: its partition table is read, the system in it converted,
# and what comes out has sectors of 4096 bytes again.  No firmware of QEMU's
# boots server a from such a disk, so that is not tried.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

sample=$("$root/tests/lib/make-sample" a)
partition=$((1 << 20))

# The system of server a on a GPT made for large sectors.
truncate -s 2G "$work/disk.raw"
loop=$(losetup --find --show --sector-size 4096 "$work/disk.raw") || skip 'no loop device with sectors of 4096 bytes'
sfdisk --quiet --no-reread --no-tell-kernel "$loop" <<<$'label: gpt\nstart=256, size=458496'
dd if="$sample" of="$work/disk.raw" bs=1M skip=1 seek=1 count=1791 conv=notrunc,sparse status=none
"$p2v" vhdx convert "$loop" "$work/disk.vhdx" >/dev/null
losetup -d "$loop"
for source in raw vhdx; do
	hash_of "$work/disk.$source" >"$work/$source.hash"
done

sector_bytes() {
	"$p2v" vhdx info --json "$1" | jq -e "[.. | .logical_sector_bytes? // empty] == [$2]"
}

scan_finds_partition() {
	"$p2v" scan --json --to kvm "$1" >"$work/scan.json" &&
		jq -e ".disks == [.disks[0]] and (.disks[0] | .logical_sector_bytes == 4096 and .table == \"gpt\" and
			.partitions[0].start_bytes == $partition and .partitions[0].content == \"ext4\")" "$work/scan.json"
}

check 'a device with large sectors gives a VHDX with such' sector_bytes "$work/disk.vhdx" 4096
check 'scan of the raw file' scan_finds_partition "$work/disk.raw"
check 'Hyper-V has no BIOS machine for it: told before the copy' refuses 3 '4096-byte sectors' \
	"$p2v" convert "$work/disk.vhdx" --to hyperv --name x --out "$work/out"
check 'nothing is left of that' nothing_left "$work/out"
check 'and scan says so too' refuses 3 '4096-byte sectors' "$p2v" scan "$work/disk.raw"

check 'converts' "$p2v" convert "$work/disk.vhdx" --to kvm --name x --out "$work/out"
check 'the result has large sectors' sector_bytes "$work/out/x/x-disk1.vhdx" 4096
check 'p2v finds no fault in it' "$p2v" vhdx check "$work/out/x/x-disk1.vhdx"
check 'the domain says so' grep -qE "logical_block_size=.4096" "$work/out/x/x.xml"
check 'libvirt accepts the domain' virt-xml-validate "$work/out/x/x.xml" domain

# Seen by others: as a raw file.
"$p2v" vhdx convert "$work/out/x/x-disk1.vhdx" "$work/result.raw" >/dev/null
check 'the file system is whole' e2fsck -fn "$work/result.raw?offset=$partition"
debugfs -R 'cat /etc/fstab' "$work/result.raw?offset=$partition" >"$work/fstab"
check 'fstab is changed in it' grep -qE '^UUID=[0-9a-f-]+ +/ +ext4' "$work/fstab"
check 'a second conversion finds nothing to do' bash -c "'$p2v' convert '$work/result.raw' --to kvm --name z \
	--dry-run --json | jq -e '.changes == []'"
for source in raw vhdx; do
	check "the $source source is unchanged" same_content "$work/disk.$source" "$(cat "$work/$source.hash")"
done
finish
