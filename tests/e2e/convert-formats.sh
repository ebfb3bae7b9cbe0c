#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Server a as qcow2, vmdk, VHD, VHDX and loop device gives what the raw file
# gives; other output formats hold the same disk.  A server of two disks
# converts whichever is named first.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

disk=$("$root/tests/lib/make-sample" a)
before=$(hash_of "$disk")

convert() {
	"$p2v" convert --to kvm --name x "$@"
}

# The changes of a conversion, without what differs from run to run.
changes_of() {
	"$p2v" convert --to kvm --name x --dry-run --json "$1" | jq -S '.changes, .findings, .kernels'
}

same_changes() {
	changes_of "$1" >"$work/changes"
	diff "$work/changes.raw" "$work/changes"
}

changes_of "$disk" >"$work/changes.raw"
check 'the raw file needs changes' jq -se '.[0] | length > 3' "$work/changes.raw"

for format in qcow2 vmdk vpc vhdx; do
	qemu-img convert -f raw -O $format "$disk" "$work/source.$format"
	hash=$(hash_of "$work/source.$format")
	check "$format: the same changes" same_changes "$work/source.$format"
	check "$format: unchanged" same_content "$work/source.$format" "$hash"
	rm "$work/source.$format"
done

loop=$(losetup --find --show --read-only "$disk")
cleanup_commands+=("losetup -d $loop")
check 'loop device: the same changes' same_changes "$loop"

check 'VHDX comes out' convert "$disk" --out "$work/vhdx"
for format in qcow2 raw vmdk; do
	check "$format comes out" convert "$disk" --format $format --out "$work/$format"
	# Two conversions write the same files at other moments, so what is compared is what a system sees.
	check "$format: the changes are in it" bash -c "'$p2v' convert --to kvm --name x --dry-run --json \
		'$work/$format/x/x-disk1.$format' | jq -e '.changes == []'"
	check "$format: the domain names it" grep -q "x-disk1.$format" "$work/$format/x/x.xml"
	rm -rf "${work:?}/$format"
done

# Two disks: the second holds /srv.
mapfile -t disks < <("$root/tests/lib/make-sample" a2)
check 'two disks' convert "${disks[0]}" "${disks[1]}" --out "$work/two"
check 'two disks, the other way round' convert "${disks[1]}" "${disks[0]}" --out "$work/swapped"
same_order() {
	jq -S '[.disks[] | [.file, .source]]' "$1/x/machine.json"
}
same_order "$work/two" >"$work/order"
check 'the boot disk comes first either way' bash -c "diff '$work/order' <(jq -S '[.disks[] | [.file, .source]]' '$work/swapped/x/machine.json')"
check '/srv is named by UUID' bash -c "jq -e '.changes[] | select(.path == \"/etc/fstab\") | .diff | test(\"UUID=.* /srv\")' '$work/swapped/x/report.json'"

check 'the source is unchanged' same_content "$disk" "$before"
finish
