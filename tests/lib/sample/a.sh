#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# a.sh TREE_FOLDER OUTPUT_FOLDER: the disk of server a (see ../hardware.sh), an
# older installation that knows its hardware by name:
#
# - BIOS, MBR, GRUB in the first sectors, installed by its own grub-install;
# - root is ext4 on /dev/sda1 and swap on /dev/sda2, by these names in fstab, on
#   the kernel command line and in the initramfs' resume setting;
# - an initramfs with ahci, sd_mod, ext4, e1000e and no other disk or network driver;
# - a static address on enp0s25, by ifupdown;
# - `console=tty0 console=ttyS1,115200n8`: the BMC's serial-over-LAN port is the
#   console, as on most racked servers. A virtual machine has at most ttyS0, so
#   it would be mute; GRUB's menu stays on the screen;
# - SMART and IPMI daemons. ipmievd cannot start where there is no BMC.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
set -euo pipefail
. "${BASH_SOURCE%/*}/common.sh"
. "${BASH_SOURCE%/*}/../hardware.sh"

HOSTNAME_A=web01
ADDRESS=192.0.2.10/24
GATEWAY=192.0.2.1
DISK_MIB=2048 ROOT_MIB=1791 # from 1 MiB on; swap takes the rest

configure_system() {
	local root=$1

	set_identity "$root" $HOSTNAME_A
	put "$root/etc/fstab" <<-EOT
		# <file system> <mount point> <type> <options> <dump> <pass>
		/dev/sda1 / ext4 errors=remount-ro 0 1
		/dev/sda2 none swap sw 0 0
		/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0
	EOT
	mkdir -p "$root/media/cdrom0"
	put "$root/etc/network/interfaces" <<-EOT
		source /etc/network/interfaces.d/*

		auto lo
		iface lo inet loopback

		auto $HW_A_NIC_NAME
		iface $HW_A_NIC_NAME inet static
		    address $ADDRESS
		    gateway $GATEWAY
	EOT
	put "$root/etc/initramfs-tools/conf.d/resume" <<<"RESUME=/dev/sda2"
}

configure_grub() {
	local root=$1

	sed -i "$root/etc/default/grub" \
		-e 's|^GRUB_CMDLINE_LINUX_DEFAULT=.*|GRUB_CMDLINE_LINUX_DEFAULT="quiet resume=/dev/sda2"|' \
		-e 's|^GRUB_CMDLINE_LINUX=.*|GRUB_CMDLINE_LINUX="console=tty0 console=ttyS1,115200n8"|' \
		-e 's|^#GRUB_DISABLE_LINUX_UUID=.*|GRUB_DISABLE_LINUX_UUID=true|'
	grep -q '^GRUB_DISABLE_LINUX_UUID=true' "$root/etc/default/grub"
	put "$root/boot/grub/device.map" <<<"(hd0)	/dev/sda"
	# What the installer answers, and what the next upgrade of GRUB will use.
	in_tree "$root" debconf-set-selections <<-EOT
		grub-pc grub-pc/install_devices multiselect /dev/disk/by-id/ata-${HW_A_DISK_MODEL}_$HW_A_DISK_SERIAL
	EOT
}

make_disk() {
	local root=$1 disk=$2

	truncate -s ${DISK_MIB}M "$disk"
	sfdisk --quiet "$disk" <<-EOT
		label: dos
		start=1MiB, size=${ROOT_MIB}MiB, type=83, bootable
		type=82
	EOT
	mke2fs -q -t ext4 -O "$(ext4_options)" -E offset=$((1 << 20)) \
		-d "$root" "$disk" ${ROOT_MIB}M
}

# install_grub_once DISK SIGN: GRUB's own tools write what they would write on
# the server, where the disk is /dev/sda. So it must be in the appliance, whose
# kernel names disks as they happen to answer: SIGN is a file that tells it was.
install_grub_once() {
	guestfish --format=raw -a "$1" <<-EOT
		run
		debug sh "ls -d /sys/bus/scsi/devices/*:0:0:0/block/sda"
		!touch $2
		mkswap /dev/sda2
		mount /dev/sda1 /
		command "grub-install --target=i386-pc /dev/sda"
		command "update-grub"
		download /boot/grub/grub.cfg ${1%/*}/grub.cfg
	EOT
}

install_grub() {
	local sign=${1%/*}/is-sda

	for _ in $(seq 20); do
		if install_grub_once "$1" "$sign"; then
			rm "$sign"
			grep -q ' root=/dev/sda1 ' "${1%/*}/grub.cfg"
			return
		fi
		[ ! -e "$sign" ] || return 1
	done
	return 1
}

main() {
	local tree=$1 out=$2
	local root=$2/root

	unpack_tree "$tree" "$root"
	step "installing this server's packages"
	configure_system "$root"
	install_in_tree "$root" grub-pc smartmontools ipmitool openipmi
	in_tree "$root" systemctl enable ipmievd.service
	configure_grub "$root"
	step "making its initramfs"
	make_initramfs "$root" ext4 ahci sd_mod ext4 e1000e
	step "making the disk"
	make_disk "$root" "$out/disk0.raw"
	rm -rf "$root"
	step "installing GRUB in the appliance"
	install_grub "$out/disk0.raw"
	write_facts "$out" FIRMWARE=bios HARDWARE=physical-a "HOSTNAME=$HOSTNAME_A" "MAC=$HW_A_MAC" \
		"INTERFACE=$HW_A_NIC_NAME" "ADDRESS=$ADDRESS" "GATEWAY=$GATEWAY" ROOT_DEVICE=/dev/sda1 CONSOLE=ttyS1
	seal "$out"
	step "done"
}

main "$@"
