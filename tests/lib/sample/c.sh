#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# c.sh TREE_FOLDER OUTPUT_FOLDER: the two disks of server c (see ../hardware.sh), a
# file server whose administrator mirrors its disks in software:
#
# - BIOS, MBR, GRUB in the first sectors of both disks;
# - /boot is ext4 on md0; root, swap and /srv are logical volumes on md1, both
#   RAID 1 with the metadata that mdadm writes by itself (1.2);
# - mdadm.conf looks at the partitions of /dev/sda and /dev/sdb only, and so does
#   its copy in the initramfs;
# - an initramfs with ahci, sd_mod, raid1, dm-mod, ext4, e1000e and no other disk or
#   network driver;
# - a static address on enp0s25, by ifupdown; screen and ttyS0 are the consoles.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
set -euo pipefail
. "${BASH_SOURCE%/*}/common.sh"
. "${BASH_SOURCE%/*}/appliance.sh"
. "${BASH_SOURCE%/*}/../hardware.sh"

HOSTNAME_C=files01
ADDRESS=203.0.113.30/24
GATEWAY=203.0.113.1
DISK_MIB=2816 BOOT_MIB=256
ROOT_MIB=1792 SWAP_MIB=256 SRV_MIB=384
GROUP=files01-vg
MAPPED=/dev/mapper/files01--vg

partition_disk() {
	truncate -s ${DISK_MIB}M "$1"
	sfdisk --quiet "$1" <<-EOT
		label: dos
		start=1MiB, size=${BOOT_MIB}MiB, type=fd, bootable
		type=fd
	EOT
}

# make_array N: of both disks' partitions N + 1, which hold zeros: so they are
# equal already.
make_array() {
	local part=$(($1 + 1))

	appliance_wait /dev/sda$part /dev/sdb$part
	appliance "debug sh \"mdadm --create /dev/md$1 --run --assume-clean --level=1 --homehost=$HOSTNAME_C \
		--name=$1 --raid-devices=2 /dev/sda$part /dev/sdb$part\""
}

make_file_systems() {
	make_array 0
	make_array 1
	appliance mkfs ext4 /dev/md0 "features:$(ext4_options)"
	appliance pvcreate /dev/md1
	appliance vgcreate $GROUP /dev/md1
	appliance lvcreate root $GROUP $ROOT_MIB
	appliance lvcreate swap_1 $GROUP $SWAP_MIB
	appliance lvcreate srv $GROUP $SRV_MIB
	appliance mkfs ext4 /dev/$GROUP/root "features:$(ext4_options)"
	appliance mkfs ext4 /dev/$GROUP/srv "features:$(ext4_options)"
	appliance mkswap /dev/$GROUP/swap_1
}

# What `mdadm --detail --scan` says, and which devices to look at.
configure_arrays() {
	put "$1/etc/mdadm/mdadm.conf" <<-EOT
		DEVICE /dev/sda1 /dev/sda2 /dev/sdb1 /dev/sdb2
		HOMEHOST <system>
		MAILADDR root
		$(appliance 'debug sh "mdadm --detail --scan"' | grep ^ARRAY)
	EOT
}

configure_system() {
	local root=$1

	set_identity "$root" $HOSTNAME_C
	put "$root/etc/fstab" <<-EOT
		# <file system> <mount point> <type> <options> <dump> <pass>
		$MAPPED-root / ext4 errors=remount-ro 0 1
		/dev/md0 /boot ext4 defaults 0 2
		$MAPPED-srv /srv ext4 defaults 0 2
		$MAPPED-swap_1 none swap sw 0 0
	EOT
	put "$root/etc/network/interfaces" <<-EOT
		auto lo
		iface lo inet loopback

		auto $HW_C_NIC_NAME
		iface $HW_C_NIC_NAME inet static
		    address $ADDRESS
		    gateway $GATEWAY
	EOT
	put "$root/etc/initramfs-tools/conf.d/resume" <<<"RESUME=$MAPPED-swap_1"
	put "$root/srv/share/readme.txt" <<<"what the office keeps here"
}

configure_grub() {
	sed -i "$1/etc/default/grub" \
		-e 's|^GRUB_CMDLINE_LINUX=.*|GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8"|'
	grep -q 'console=ttyS0' "$1/etc/default/grub"
}

copy_system() {
	appliance mount /dev/$GROUP/root /
	appliance mkdir /boot
	appliance mount /dev/md0 /boot
	appliance mkdir /srv
	appliance mount /dev/$GROUP/srv /srv
	appliance_copy "$1" "$2"
}

install_grub() {
	appliance 'command "grub-install --target=i386-pc /dev/sda"'
	appliance 'command "grub-install --target=i386-pc /dev/sdb"'
	appliance 'command "update-grub"'
	appliance download /boot/grub/grub.cfg "$1/grub.cfg"
	grep -q " root=$MAPPED-root " "$1/grub.cfg"
	grep -q 'insmod mdraid1x' "$1/grub.cfg"
}

main() {
	local tree=$1 out=$2
	local root=$2/root

	step "starting the appliance"
	partition_disk "$out/disk0.raw"
	partition_disk "$out/disk1.raw"
	start_appliance "$out" "$out/disk0.raw" "$out/disk1.raw"
	step "making arrays and file systems"
	make_file_systems
	unpack_tree "$tree" "$root"
	step "installing this server's packages"
	configure_system "$root"
	install_in_tree "$root" grub-pc mdadm lvm2
	configure_arrays "$root"
	configure_grub "$root"
	step "making its initramfs"
	make_initramfs "$root" ext4 ahci sd_mod raid1 dm-mod ext4 e1000e
	step "copying it to the disks"
	copy_system "$root" "$out"
	step "installing GRUB in the appliance"
	install_grub "$out"
	stop_appliance
	rm -rf "$root"
	write_facts "$out" FIRMWARE=bios HARDWARE=physical-c "HOSTNAME=$HOSTNAME_C" "MAC=$HW_C_MAC" \
		"INTERFACE=$HW_C_NIC_NAME" "ADDRESS=$ADDRESS" "GATEWAY=$GATEWAY" "ROOT_DEVICE=$MAPPED-root" \
		CONSOLE=ttyS0
	seal "$out"
	step "done"
}

main "$@"
