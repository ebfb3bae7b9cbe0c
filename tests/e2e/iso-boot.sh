#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The boot medium starts a machine by BIOS, as an optical disc, and by UEFI with
# Secure Boot enforced, as a USB stick; it finds disks and network cards of
# servers, and writes to no disk. long-iso-boot.sh has the other ways.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/iso-machine.sh"

[ "$(id -u)" = 0 ] || skip 'the medium is built by root alone'
iso=$("$root/tests/lib/make-iso" medium)/p2v.iso

# A partition with a file system whose journal would be replayed by a mount that
# does not care, and a second disk.
make_disks() {
	truncate -s 24M "$work/fs"
	mkfs.ext4 -q -F -d "$root/tests/lib" "$work/fs" &&
		debugfs -w -R 'feature needs_recovery' "$work/fs" &&
		truncate -s 32M "$work/one" "$work/two" &&
		sfdisk -q "$work/one" <<<$'label: gpt\n2048,24M,L' &&
		dd if="$work/fs" of="$work/one" bs=1M seek=1 conv=notrunc status=none
}

check 'disks' make_disks
one=$(hash_of "$work/one")
two=$(hash_of "$work/two")
disks=(-drive "if=none,id=one,format=raw,file=$work/one" -drive "if=none,id=two,format=raw,file=$work/two")

firmware bios
medium cd "$iso"
check 'BIOS, optical disc: ready' boots "${firmware[@]}" "${medium[@]}" "${disks[@]}" \
	-device ide-hd,drive=one,bus=ide.0 -device nvme,drive=two,serial=NVME0001 \
	-netdev user,id=net -device e1000e,netdev=net,romfile=
check 'AHCI and NVMe disks' said 'p2v: disks: nvme0n1 sda *$'
check 'an e1000e card' said 'p2v: network cards: eth0\(e1000e\) *$'

firmware secure
medium usb "$iso"
check 'Secure Boot, USB stick: ready' boots "${firmware[@]}" "${medium[@]}" "${disks[@]}" \
	-device megasas,id=raid -device scsi-hd,drive=one,bus=raid.0 -device virtio-blk-pci,drive=two \
	-netdev user,id=net -device vmxnet3,netdev=net,romfile= \
	-netdev user,id=net2 -device virtio-net-pci,netdev=net2,romfile=
check 'MegaRAID and virtio disks, beside the stick' said 'p2v: disks: sda sdb vda *$'
check 'vmxnet3 and virtio cards' said 'p2v: network cards: eth0\(.*\) eth1\(.*\) *$'

check 'the first disk is as it was' same_content "$work/one" "$one"
check 'the second, too' same_content "$work/two" "$two"
finish
