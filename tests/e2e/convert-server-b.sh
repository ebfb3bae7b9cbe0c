#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Server b (UEFI, GPT, XFS on LVM with a devices file, NVMe) converted for
# Hyper-V and KVM: boots with an empty NVRAM, and is itself afterwards.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

disk=$("$root/tests/lib/make-sample" b)
# shellcheck source=/dev/null
. "$(dirname "$disk")/facts"
before=$(hash_of "$disk")
result=$work/out/$HOSTNAME

convert() {
	"$p2v" convert "$disk" --to hyperv,kvm --name "$HOSTNAME" --mac "$INTERFACE=$MAC" --out "$work/out" --verbose
}

prove_on() {
	"$p2v" prove "$result" --to "$1" --json >"$work/proof-$1.json"
}

proof_says() {
	jq -e "$2" "$work/proof-$1.json"
}

check 'converts for Hyper-V and KVM' convert
check 'the source is unchanged' same_content "$disk" "$before"
check 'p2v finds no fault in the VHDX' "$p2v" vhdx check "$result/$HOSTNAME-disk1.vhdx"
check 'QEMU finds no fault in the VHDX' qemu-img check "$result/$HOSTNAME-disk1.vhdx"
check 'libvirt accepts the domain' virt-xml-validate "$result/$HOSTNAME.xml" domain
check 'the Hyper-V script makes a generation 2 machine' grep -q '^[$]generation = 2' "$result/$HOSTNAME.ps1"
check 'boots by UEFI with an empty NVRAM on virtio' prove_on kvm
check 'every check of the proof holds' proof_says kvm '.proofs[0].ok'
check 'root is XFS, on virtio' proof_says kvm '.proofs[0].system.root | .type == "xfs" and (.drivers | index("virtio_blk") != null)'
check 'name, MAC and address are as before' proof_says kvm \
	".proofs[0].system.nics[] | select(.name == \"$INTERFACE\" and .mac == \"$MAC\") | .addresses | index(\"$ADDRESS\")"
check 'no unit failed' proof_says kvm '.proofs[0].system.failed_units == []'
check 'boots as Hyper-V generation 2 stand-in, empty NVRAM' prove_on hyperv
check 'a second conversion finds nothing to do' bash -c "'$p2v' convert '$result/$HOSTNAME-disk1.vhdx' --to hyperv,kvm \
	--name again --dry-run --json | jq -e '.changes == []'"
finish
