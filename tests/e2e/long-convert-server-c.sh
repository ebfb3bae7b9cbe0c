#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Server c (BIOS, two disks, RAID 1 of mdadm, LVM on it) comes up on its own
# hardware and not on virtio; converted from both disks it boots there as itself,
# both halves of each mirror in use.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

mapfile -t disks < <("$root/tests/lib/make-sample" c)
# shellcheck source=/dev/null
. "$(dirname "${disks[0]}")/facts"
before="$(hash_of "${disks[0]}") $(hash_of "${disks[1]}")"
result=$work/out/$HOSTNAME

boots_on() {
	"$root/tests/lib/boot-machine" --timeout 420 "$@" "${disks[@]}"
}

does_not_find_root_on() {
	! boots_on --log "$work/virtio.log" "$@" && grep -a "ALERT! .*$ROOT_DEVICE does not exist" "$work/virtio.log"
}

convert() {
	"$p2v" convert "${disks[@]}" --to kvm --name "$HOSTNAME" --mac "$INTERFACE=$MAC" --out "$work/out" --verbose
}

prove() {
	"$p2v" prove "$result" --to kvm --json >"$work/proof.json"
}

proof_says() {
	jq -e ".proofs[0].$1" "$work/proof.json"
}

# shellcheck disable=SC2016 # for the guest's shell
mirrors_whole() {
	"$root/tests/lib/boot-machine" --password "$PASSWORD" --timeout 420 --exec \
		'cat /proc/mdstat && [ "$(grep -c "\[UU\]" /proc/mdstat)" = 2 ] && cat /srv/share/readme.txt' \
		kvm-bios "$result/$HOSTNAME"-disk{1,2}.vhdx
}

check 'comes up on its own hardware' boots_on physical-c
check 'does not find its root on virtio' does_not_find_root_on kvm-bios
check 'converts' convert
check 'the sources are unchanged' [ "$before" = "$(hash_of "${disks[0]}") $(hash_of "${disks[1]}")" ]
check 'boots on virtio' prove
check 'every check of the proof holds' proof_says ok
check 'root is on virtio' proof_says 'system.root.drivers | index("virtio_blk")'
check 'name, MAC and address are as before' proof_says \
	"system.nics[] | select(.name == \"$INTERFACE\" and .mac == \"$MAC\") | .addresses | index(\"$ADDRESS\")"
check 'no unit failed' proof_says 'system.failed_units == []'
check 'both halves of both mirrors are in use' mirrors_whole
finish
