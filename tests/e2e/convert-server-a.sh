#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Server a (BIOS, MBR, devices by name) converted for Hyper-V and KVM in one
# image: boots on virtio and on IDE, is itself afterwards, and a second
# conversion finds nothing to do.  That it does not boot there unconverted is
# shown by samples-boot.sh.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

disk=$("$root/tests/lib/make-sample" a)
# shellcheck source=/dev/null
. "$(dirname "$disk")/facts"
before=$(hash_of "$disk")
result=$work/out/web01

convert() {
	"$p2v" convert "$disk" --to hyperv,kvm --name web01 --mac "$INTERFACE=$MAC" --out "$work/out" --verbose
}

prove_on() {
	"$p2v" prove "$result" --to "$1" --json --screenshot "$work/$1.png" >"$work/proof-$1.json"
}

proof_says() {
	jq -e "$2" "$work/proof-$1.json"
}

# The drivers and all they need are in every kernel's initramfs, as the guest's own tools see it.
drivers_in_guest() {
	"$root/tests/lib/boot-machine" --password "$PASSWORD" --timeout 400 --exec "$(cat <<'SCRIPT'
set -e
for image in /boot/initrd.img-*-amd64; do
	version=${image#/boot/initrd.img-}
	lsinitramfs $image >/tmp/list
	for module in hv_vmbus hv_storvsc hv_netvsc virtio_blk virtio_pci virtio_net; do
		modprobe -S $version --show-depends $module | sed -n 's/^insmod //p' | while read -r file _; do
			grep -q "${file#/}\$" /tmp/list || { echo "$image lacks $file"; exit 1; }
		done
		modprobe -S $version --show-depends $module >/dev/null
	done
done
echo all there
SCRIPT
	)" kvm-bios "$result/web01-disk1.vhdx"
}

check 'converts for Hyper-V and KVM' convert
check 'the source is unchanged' same_content "$disk" "$before"
check 'QEMU finds no fault in the VHDX' qemu-img check "$result/web01-disk1.vhdx"
check 'QEMU can tell what it is' qemu-img info "$result/web01-disk1.vhdx"
check 'libvhdi can tell what it is' vhdiinfo "$result/web01-disk1.vhdx"
check 'p2v finds no fault in the VHDX' "$p2v" vhdx check "$result/web01-disk1.vhdx"
check 'libvirt accepts the domain' virt-xml-validate "$result/web01.xml" domain
check 'the Hyper-V script names the disk' grep -q 'web01-disk1.vhdx' "$result/web01.ps1"
check 'boots on virtio' prove_on kvm
check 'every check of the proof holds' proof_says kvm '.proofs[0].ok'
check 'root is on virtio' proof_says kvm '.proofs[0].system.root.drivers | index("virtio_blk")'
check 'the network card is virtio' proof_says kvm ".proofs[0].system.nics[] | select(.name == \"$INTERFACE\") | .drivers | index(\"virtio_net\")"
check 'name, MAC and address are as before' proof_says kvm \
	".proofs[0].system.nics[] | select(.name == \"$INTERFACE\" and .mac == \"$MAC\") | .addresses | index(\"$ADDRESS\")"
check 'no unit failed that did not fail before' proof_says kvm '.proofs[0].system.failed_units == []'
check 'the screenshot is a picture' grep -q PNG "$work/kvm.png"
check 'boots as Hyper-V generation 1 hardware (IDE)' prove_on hyperv
check 'root is on IDE there' proof_says hyperv '.proofs[0].system.root.drivers | index("ata_piix")'
check 'every initramfs holds the drivers and what they need' drivers_in_guest
check 'a second conversion finds nothing to do' bash -c "'$p2v' convert '$result/web01-disk1.vhdx' --to hyperv,kvm \
	--name again --dry-run --json | jq -e '.changes == []'"
finish
