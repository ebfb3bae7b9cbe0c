#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# d.sh LAYOUT TREE_FOLDER OUTPUT_FOLDER: the disk of server d, a database server on
# the board of server c (see ../hardware.sh), for captures under load:
#
# - BIOS, MBR, GRUB in the first sectors (of both disks, where there are two);
# - /boot is ext4 on the first partition, swap the second, root the third. LAYOUT is
#   what root is: ext4, xfs or btrfs on the partition; lvm: XFS on a logical volume,
#   beside swap; md: ext4 on RAID 1 of two disks, with the bitmap that mdadm gives to
#   large arrays;
# - root leaves room, of its partition or group, to grow while the server runs;
# - an initramfs with ahci, sd_mod, what root needs, e1000e and no other disk or
#   network driver;
# - a static address of QEMU's network, by ifupdown; screen and ttyS0 are the consoles.
#
# Where a kernel must make the volumes an appliance does; everything else is written on
# this machine, by way of loop devices, and so is GRUB: its first two images in the
# sectors where grub-bios-setup would have put them.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
set -euo pipefail
. "${BASH_SOURCE%/*}/common.sh"
. "${BASH_SOURCE%/*}/appliance.sh"
. "${BASH_SOURCE%/*}/../hardware.sh"

HOSTNAME_D=shop01
DISK_MIB=1920 BOOT_MIB=96 SWAP_MIB=128
ROOT_MIB=1504 # at first
BOOT_UUID=6d0a3b1e-7a55-4c09-9f0e-d0d0d0d0d001
ROOT_UUID=6d0a3b1e-7a55-4c09-9f0e-d0d0d0d0d002
SWAP_UUID=6d0a3b1e-7a55-4c09-9f0e-d0d0d0d0d003
ROOT_START_MIB=$((1 + BOOT_MIB + SWAP_MIB)) # of the partition
GROUP=shop01-vg
MAPPED=/dev/mapper/shop01--vg

# What depends on the layout: root_device, root_type, swap_device, modules for the
# initramfs, and where on the disk root and swap begin.
choose() {
	root_device=UUID=$ROOT_UUID swap_device=UUID=$SWAP_UUID
	root_type=$1 modules=("$1")
	root_at_mib=$ROOT_START_MIB swap_at_mib=$((1 + BOOT_MIB))
	case $1 in
	lvm)
		root_device=$MAPPED-root swap_device=$MAPPED-swap_1
		root_type=xfs modules=(dm-mod xfs)
		# Behind LVM's own MiB; swap comes first, so that root can grow in one piece.
		swap_at_mib=$((ROOT_START_MIB + 1))
		root_at_mib=$((swap_at_mib + SWAP_MIB))
		;;
	md) root_type=ext4 modules=(raid1 ext4) ;;
	esac
}

partition_disk() {
	truncate -s ${DISK_MIB}M "$1"
	sfdisk --quiet "$1" <<-EOT
		label: dos
		start=1MiB, size=${BOOT_MIB}MiB, type=83, bootable
		size=${SWAP_MIB}MiB, type=82
		type=83
	EOT
}

make_group() {
	start_appliance "$1" "$1/disk0.raw"
	appliance_wait /dev/sda3
	appliance pvcreate /dev/sda3
	appliance vgcreate $GROUP /dev/sda3
	appliance lvcreate swap_1 $GROUP $SWAP_MIB
	appliance lvcreate root $GROUP $ROOT_MIB
	appliance 'debug sh "lvs --noheadings -o devices shop01-vg/root"' | grep -F "/dev/sda3($((SWAP_MIB / 4)))"
	stop_appliance
}

# Both halves hold zeros, so they are equal already.
make_array() {
	start_appliance "$1" "$1/disk0.raw" "$1/disk1.raw"
	appliance_wait /dev/sda3 /dev/sdb3
	appliance "debug sh \"mdadm --create /dev/md0 --run --assume-clean --level=1 --homehost=$HOSTNAME_D \
		--name=0 --raid-devices=2 --bitmap=internal --data-offset=1M /dev/sda3 /dev/sdb3\""
	appliance 'debug sh "mdadm --detail --scan"' | grep ^ARRAY >"$1/array"
	appliance 'debug sh "mdadm --examine /dev/sda3"' | grep 'Data Offset : 2048 sectors' >/dev/null
	stop_appliance
	root_at_mib=$((ROOT_START_MIB + 1))
}

# at DISK START_MIB SIZE_MIB COMMAND...: with {} for a device that is that part of the disk.
at() {
	local device status=0

	device=$(losetup -f --show --offset $(($2 << 20)) --sizelimit $(($3 << 20)) "$1")
	"${@:4}" "$device" || status=$?
	losetup -d "$device"
	return $status
}

make_root() {
	case $root_type in
	ext4) mke2fs -q -t ext4 -O "$(ext4_options)" -U $ROOT_UUID "$1" ;;
	xfs) mkfs.xfs -q -m uuid=$ROOT_UUID "$1" ;;
	btrfs) mkfs.btrfs -q -U $ROOT_UUID "$1" ;;
	esac
}

# copy_to ROOT DEVICE: in a mount namespace of its own.
copy_to() {
	# shellcheck disable=SC2016
	unshare --mount --propagation private -- bash -euc '
		mkdir "$1.mnt"
		mount "$2" "$1.mnt"
		tar -C "$1" --xattrs --xattrs-include="*" -cf - . | tar -C "$1.mnt" --xattrs --xattrs-include="*" -xpf -
		umount "$1.mnt"
		rmdir "$1.mnt"' copy_to "$1" "$2"
}

configure_system() {
	local root=$1 layout=$2

	set_identity "$root" $HOSTNAME_D
	put "$root/etc/fstab" <<-EOT
		# <file system> <mount point> <type> <options> <dump> <pass>
		$root_device / $root_type defaults 0 1
		UUID=$BOOT_UUID /boot ext4 defaults 0 2
		$swap_device none swap sw 0 0
	EOT
	put "$root/etc/network/interfaces" <<-EOT
		auto lo
		iface lo inet loopback

		auto $HW_C_NIC_NAME
		iface $HW_C_NIC_NAME inet static
		    address 10.0.2.15/24
		    gateway 10.0.2.2
	EOT
	put "$root/etc/initramfs-tools/conf.d/resume" <<<"RESUME=none"
	sed -i "$root/etc/default/grub" \
		-e 's|^GRUB_CMDLINE_LINUX=.*|GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8"|'
	put "$root/etc/postgresql/15/main/conf.d/small.conf" <<-EOT
		shared_buffers = 32MB
		max_wal_size = 96MB
		min_wal_size = 32MB
		jit = off
	EOT
	[ "$layout" != md ] || put "$root/etc/mdadm/mdadm.conf" <"${root%/*}/array"
}

# As update-grub writes it, without what these servers do not have.
write_menu() {
	local root=$1 release

	release=$(basename "$root"/boot/vmlinuz-*)
	release=${release#vmlinuz-}
	put "$root/boot/grub/grub.cfg" <<-EOT
		set default="0"
		set timeout=1
		menuentry 'Debian GNU/Linux' --class debian --class gnu-linux --class gnu --class os {
		        insmod part_msdos
		        insmod ext2
		        search --no-floppy --fs-uuid --set=root $BOOT_UUID
		        echo    'Loading Linux $release ...'
		        linux   /vmlinuz-$release root=$root_device ro console=tty0 console=ttyS0,115200n8
		        echo    'Loading initial ramdisk ...'
		        initrd  /initrd.img-$release
		}
	EOT
}

# write_grub ROOT DISK: the program of the first sector loads the core image from the second on.
write_grub() {
	local images=$1/usr/lib/grub/i386-pc

	[ -d "$1/boot/grub/i386-pc" ] || cp -r "$images" "$1/boot/grub/i386-pc"
	put "$2.cfg" <<<"search.fs_uuid $BOOT_UUID root
set prefix=(\$root)/grub"
	cp "$2.cfg" "$1/core.cfg"
	in_tree "$1" grub-mkimage -O i386-pc -c /core.cfg -p /grub -o /core.img \
		biosdisk part_msdos ext2 search search_fs_uuid normal
	dd if="$images/boot.img" of="$2" bs=440 count=1 conv=notrunc status=none
	dd if="$1/core.img" of="$2" bs=512 seek=1 conv=notrunc status=none
	rm "$1/core.cfg" "$1/core.img" "$2.cfg"
}

# fill_disks OUT: what has been made in OUT/root.
fill_disks() {
	local out=$1 disk

	at "$out/disk0.raw" 1 $BOOT_MIB mke2fs -q -t ext4 -O "$(ext4_options)" -U $BOOT_UUID
	at "$out/disk0.raw" $swap_at_mib $SWAP_MIB mkswap -q -U $SWAP_UUID
	at "$out/disk0.raw" $root_at_mib $ROOT_MIB make_root
	for disk in "$out"/disk*.raw; do
		write_grub "$out/root" "$disk"
	done
	mv "$out/root/boot" "$out/boot"
	mkdir "$out/root/boot"
	at "$out/disk0.raw" 1 $BOOT_MIB copy_to "$out/boot"
	at "$out/disk0.raw" $root_at_mib $ROOT_MIB copy_to "$out/root"
	[ ! -e "$out/disk1.raw" ] || dd if="$out/disk0.raw" of="$out/disk1.raw" bs=1M skip=$root_at_mib \
		seek=$root_at_mib conv=notrunc,sparse status=none
	rm -rf "${out:?}"/{root,boot,array}
}

main() {
	local layout=$1 tree=$2 out=$3

	choose "$layout"
	step "making the volumes"
	partition_disk "$out/disk0.raw"
	[ "$layout" != md ] || partition_disk "$out/disk1.raw"
	case $layout in
	lvm) make_group "$out" ;;
	md) make_array "$out" ;;
	esac
	unpack_tree "$tree" "$out/root"
	configure_system "$out/root" "$layout"
	step "making its initramfs"
	make_initramfs "$out/root" "$root_type" ahci sd_mod "${modules[@]}" e1000e
	write_menu "$out/root"
	step "filling the disks"
	fill_disks "$out"
	write_facts "$out" FIRMWARE=bios HARDWARE=physical-c "HOSTNAME=$HOSTNAME_D" "MAC=$HW_C_MAC" \
		"INTERFACE=$HW_C_NIC_NAME" "ROOT_DEVICE=$root_device" CONSOLE=ttyS0
	seal "$out"
	step "done"
}

main "$@"
