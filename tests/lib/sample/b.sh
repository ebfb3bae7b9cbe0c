#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# b.sh TREE_FOLDER OUTPUT_FOLDER: the disk of server b (see ../hardware.sh), an
# installation as the Debian installer makes it with "guided, use entire disk
# and set up LVM", then tightened by its administrator:
#
# - UEFI, GPT; shim and GRUB in EFI/debian, installed by its own grub-install,
#   and no EFI/BOOT: only the entry in the machine's NVRAM finds them;
# - /boot is ext4; root, swap and /srv are logical volumes, / and /srv XFS;
# - LVM looks at the devices in /etc/lvm/devices/system.devices only, which names
#   the NVMe disk by its WWID; the initramfs has a copy, as lvm2's hook makes it;
# - an initramfs with nvme, xfs, e1000e and no other disk or network driver;
# - a static address (IPv4 and IPv6) on eno1, by systemd-networkd;
# - no console= on the kernel command line: the kernel speaks to the screen only,
#   and a serial getty was enabled by hand on ttyS0.
#
# nvram.fd is the machine's NVRAM with the entry `debian`, written by the
# firmware's own shell.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
set -euo pipefail
. "${BASH_SOURCE%/*}/common.sh"
. "${BASH_SOURCE%/*}/appliance.sh"
. "${BASH_SOURCE%/*}/../hardware.sh"

HOSTNAME_B=db01
ADDRESS=198.51.100.20/24
GATEWAY=198.51.100.1
ADDRESS6=2001:db8:b::20/64
DISK_MIB=3072 ESP_MIB=64 BOOT_MIB=256
ROOT_MIB=1792 SWAP_MIB=256 SRV_MIB=512
GROUP=db01-vg
MAPPED=/dev/mapper/db01--vg
LVM_TYPE=E6D6D379-F507-44C2-A23C-238F2A3DF928
ESP_TYPE=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
DATA_TYPE=0FC63DAF-8483-4772-8E79-3D69D8477DE4

partition_disk() {
	truncate -s ${DISK_MIB}M "$1"
	sfdisk --quiet "$1" <<-EOT
		label: gpt
		size=${ESP_MIB}MiB, type=$ESP_TYPE
		size=${BOOT_MIB}MiB, type=$DATA_TYPE
		type=$LVM_TYPE
	EOT
}

make_file_systems() {
	appliance mkfs vfat /dev/sda1
	appliance mkfs ext4 /dev/sda2 "features:$(ext4_options)"
	appliance pvcreate /dev/sda3
	appliance vgcreate $GROUP /dev/sda3
	appliance lvcreate root $GROUP $ROOT_MIB
	appliance lvcreate swap_1 $GROUP $SWAP_MIB
	appliance lvcreate srv $GROUP $SRV_MIB
	appliance mkfs xfs /dev/$GROUP/root
	appliance mkfs xfs /dev/$GROUP/srv
	appliance mkswap /dev/$GROUP/swap_1
}

configure_system() {
	local root=$1

	set_identity "$root" $HOSTNAME_B
	put "$root/etc/fstab" <<-EOT
		# <file system> <mount point> <type> <options> <dump> <pass>
		$MAPPED-root / xfs defaults 0 0
		UUID=$(appliance vfs-uuid /dev/sda2) /boot ext4 defaults 0 2
		UUID=$(appliance vfs-uuid /dev/sda1) /boot/efi vfat umask=0077 0 1
		$MAPPED-srv /srv xfs defaults 0 0
		$MAPPED-swap_1 none swap sw 0 0
	EOT
	put "$root/etc/systemd/network/10-$HW_B_NIC_NAME.network" <<-EOT
		[Match]
		Name=$HW_B_NIC_NAME

		[Network]
		Address=$ADDRESS
		Gateway=$GATEWAY
		Address=$ADDRESS6
		IPv6AcceptRA=no
	EOT
	put "$root/etc/initramfs-tools/conf.d/resume" <<<"RESUME=$MAPPED-swap_1"
	mkdir -p "$root/boot/efi"
}

enable_services() {
	local root=$1

	in_tree "$root" systemctl enable systemd-networkd.service serial-getty@ttyS0.service
	in_tree "$root" debconf-set-selections <<-EOT
		grub-efi-amd64 grub2/force_efi_extra_removable boolean false
		grub-efi-amd64 grub2/update_nvram boolean true
	EOT
}

# restrict_lvm ROOT: what `lvm lvmdevices --adddev` writes on the server.
restrict_lvm() {
	local root=$1

	sed -i 's/^\t# use_devicesfile = 0/\tuse_devicesfile = 1/' "$root/etc/lvm/lvm.conf"
	grep -q '^	use_devicesfile = 1' "$root/etc/lvm/lvm.conf"
	put "$root/etc/lvm/devices/system.devices" <<-EOT
		# LVM uses devices listed in this file.
		# Created by LVM command lvmdevices pid 1187 at Tue Feb  6 10:12:44 2024
		VERSION=1.1.2
		IDTYPE=sys_wwid IDNAME=$HW_B_DISK_WWID DEVNAME=/dev/nvme0n1p3 PVID=$(appliance pvuuid /dev/sda3 | tr -d -) PART=3
	EOT
}

# The devices file comes last: it hides the appliance's /dev/sda3 from GRUB's
# tools as well.
copy_system() {
	appliance mount /dev/$GROUP/root /
	appliance mkdir /boot
	appliance mount /dev/sda2 /boot
	appliance mkdir /boot/efi
	appliance mount /dev/sda1 /boot/efi
	appliance_copy "$1" "$2" --exclude=./etc/lvm/devices/system.devices
}

install_grub() {
	local root=$1 out=$2

	appliance 'command "grub-install --target=x86_64-efi --efi-directory=/boot/efi --no-nvram"'
	appliance 'command "update-grub"'
	appliance upload "$root/etc/lvm/devices/system.devices" /etc/lvm/devices/system.devices
	appliance download /boot/grub/grub.cfg "$out/grub.cfg"
	grep -q " root=$MAPPED-root " "$out/grub.cfg"
	[ "$(appliance exists /boot/efi/EFI/debian/shimx64.efi)" = true ]
	[ "$(appliance exists /boot/efi/EFI/BOOT)" = false ]
}

# make_nvram OUT: the firmware, finding nothing to boot, starts its shell, which
# runs startup.nsh from the second disk.
make_nvram() {
	local out=$1

	install -m 644 /usr/share/OVMF/OVMF_VARS_4M.fd "$out/nvram.fd"
	sed 's/$/\r/' <<-'EOT' | put "$out/shell/startup.nsh"
		@echo -off
		for %i in 0 1 2 3
		  if exist fs%i:\EFI\debian\shimx64.efi then
		    bcfg boot addp 0 fs%i:\EFI\debian\shimx64.efi "debian"
		  endif
		endfor
		bcfg boot dump
		reset -s
	EOT
	timeout 300 qemu-system-x86_64 -accel tcg -machine q35 -m 256 -nodefaults \
		-display none -serial stdio -no-reboot -net none \
		-drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
		-drive "if=pflash,unit=1,format=raw,file=$out/nvram.fd" \
		-drive "if=none,id=disk,snapshot=on,format=raw,file=$out/disk0.raw" \
		-device nvme,drive=disk,serial=1 \
		-drive "if=none,id=shell,format=raw,readonly=on,file=fat:$out/shell" \
		-device virtio-blk-pci,drive=shell </dev/null | tee "$out/nvram.log"
	grep -qa 'Desc .* debian' "$out/nvram.log"
	rm -r "$out/shell" "$out/nvram.log"
}

main() {
	local tree=$1 out=$2
	local root=$2/root disk=$2/disk0.raw

	step "starting the appliance"
	partition_disk "$disk"
	start_appliance "$out" "$disk"
	step "making file systems"
	make_file_systems
	unpack_tree "$tree" "$root"
	step "installing this server's packages"
	configure_system "$root"
	install_in_tree "$root" grub-efi-amd64 grub-efi-amd64-signed shim-signed \
		efibootmgr lvm2 xfsprogs dosfstools smartmontools
	enable_services "$root"
	step "making its initramfs"
	restrict_lvm "$root"
	make_initramfs "$root" xfs nvme xfs e1000e
	step "copying it to the disk"
	copy_system "$root" "$out"
	step "installing GRUB in the appliance"
	install_grub "$root" "$out"
	stop_appliance
	rm -rf "$root"
	step "making the NVRAM entry"
	make_nvram "$out"
	write_facts "$out" FIRMWARE=uefi HARDWARE=physical-b "HOSTNAME=$HOSTNAME_B" "MAC=$HW_B_MAC" \
		"INTERFACE=$HW_B_NIC_NAME" "ADDRESS=$ADDRESS" "ADDRESS6=$ADDRESS6" "GATEWAY=$GATEWAY" \
		"ROOT_DEVICE=$MAPPED-root" CONSOLE=ttyS0
	seal "$out"
	step "done"
}

main "$@"
