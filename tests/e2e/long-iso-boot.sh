#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The ways to boot that iso-boot.sh leaves out: each firmware with each kind of
# medium, without firmware files, from the network; and what Secure Boot must
# not let through.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/iso-machine.sh"

[ "$(id -u)" = 0 ] || skip 'the medium is built by root alone'
folder=$("$root/tests/lib/make-iso" medium)

# A few bytes of the kernel, in the middle of its code.
break_kernel() {
	local lba

	cp "$folder/p2v.iso" "$work/broken.iso"
	lba=$(xorriso -indev "$work/broken.iso" -find /boot/vmlinuz -exec report_lba 2>/dev/null |
		sed -n "s/^File data lba: *[0-9]* , *\([0-9]*\) .*/\1/p")
	[ -n "$lba" ] && printf 'p2v' |
		dd of="$work/broken.iso" bs=1 seek=$((lba * 2048 + (4 << 20))) conv=notrunc status=none &&
		is_not cmp "$folder/p2v.iso" "$work/broken.iso"
}

for way in 'bios usb' 'uefi cd' 'uefi usb' 'secure cd'; do
	firmware "${way% *}"
	medium "${way#* }" "$folder/p2v.iso"
	check "$way: ready" boots "${firmware[@]}" "${medium[@]}"
done
firmware bios
medium cd "$folder/p2v-free.iso"
check 'without firmware files: ready' boots "${firmware[@]}" "${medium[@]}"

# Blocks of TFTP come one at a time.
ISO_TIMEOUT=900
# The first is where a machine looks before others, by its own PXE.
check 'network, BIOS with iPXE: ready' boots -boot n \
	-netdev "user,id=net,tftp=$folder/pxe,bootfile=p2v.ipxe" -device virtio-net-pci,netdev=net
# A server for each connection: no port is wanted.
check 'network, BIOS with iPXE by HTTP: ready' boots -boot n \
	-netdev "user,id=net,bootfile=http://10.0.2.100/p2v.ipxe,guestfwd=tcp:10.0.2.100:80-cmd:busybox httpd -i -h $folder/pxe" \
	-device virtio-net-pci,netdev=net
firmware secure
check 'network, Secure Boot: ready' boots "${firmware[@]}" \
	-netdev "user,id=net,tftp=$folder/pxe,bootfile=bootx64.efi" \
	-device virtio-net-pci,netdev=net,romfile=,bootindex=0

check 'a kernel that nobody has signed' break_kernel
firmware secure
medium cd "$work/broken.iso"
check 'does not start under Secure Boot, and GRUB says why' reaches \
	'bad shim signature|Security Policy Violation|cannot load image' "$READY" "${firmware[@]}" "${medium[@]}"
check 'nor has anything of it run' is_not said 'Linux version|p2v: (looking|disks|ready)'
finish
