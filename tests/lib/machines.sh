# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034,SC2054
#
# Kinds of machines as QEMU arguments. To be sourced, after hardware.sh.
#
# A kind is a line of the table: board, firmware, bus of the disks, network
# card, and where its identity comes from. boot-machine adds what is the same
# for all: memory, ports, the images.
#
# What stands in for what cannot be emulated:
# - Hyper-V's own devices (VMBus) do not exist in QEMU. Generation 1 has its IDE
#   controller and its DEC 21140 network card as on Hyper-V, where a guest
#   without hv_* drivers would use them too. Generation 2 has nothing but VMBus,
#   so its disk sits on NVMe; what it shows is the firmware's part: no NVRAM
#   entry, no BIOS.
# - The physical machines have QEMU's versions of their chips, and VGA.

# kind        board firmware disks  nic               identity
MACHINE_KINDS='
physical-a    q35   bios     ahci   e1000e            A
physical-b    q35   uefi     nvme   e1000e            B
physical-c    q35   bios     ahci   e1000e            C
kvm-bios      q35   bios     virtio virtio-net-pci    -
kvm-uefi      q35   uefi     virtio virtio-net-pci    -
hyperv-gen1   pc    bios     ide    tulip             -
hyperv-gen2   q35   uefi     nvme   virtio-net-pci    -
'

machine_kinds() {
	awk 'NF { print $1 }' <<<"$MACHINE_KINDS"
}

# machine_read_kind KIND: sets board, firmware, bus, nic, identity.
machine_read_kind() {
	local line

	line=$(awk -v kind="$1" '$1 == kind' <<<"$MACHINE_KINDS")
	[ -n "$line" ] || return
	read -r _ board firmware bus nic identity <<<"$line"
}

# Everything below appends to the array qemu_args.
qemu_args=()

# machine_add_board BOARD FIRMWARE IDENTITY FOLDER
machine_add_board() {
	local options=$1

	[ "$2" != uefi-secure ] || options+=,smm=on
	qemu_args+=(-machine "$options" -m 1024 -smp 2 -vga std -rtc base=utc)
	case $3 in
	A)
		machine_add_maker "$HW_A_MAKER" "$HW_A_PRODUCT" "$4"
		qemu_args+=(-device ipmi-bmc-sim,id=bmc -device isa-ipmi-kcs,bmc=bmc)
		;;
	B)
		machine_add_maker "$HW_B_MAKER" "$HW_B_PRODUCT" "$4"
		;;
	C)
		machine_add_maker "$HW_C_MAKER" "$HW_C_PRODUCT" "$4"
		;;
	esac
}

# QEMU's own BIOS table (SMBIOS type 0) has the bit "virtual machine", which
# systemd believes, so this one is made here.
machine_add_maker() {
	machine_bios_table "$1" >"$3/smbios-type0"
	qemu_args+=(
		-cpu "qemu64,-hypervisor,tcg-cpuid=off"
		-smbios "file=${3//,/,,}/smbios-type0"
		-smbios "type=1,manufacturer=$1,product=$2,serial=NS0001"
		-smbios "type=2,manufacturer=$1,product=$2"
		-smbios "type=3,manufacturer=$1"
	)
}

# SMBIOS 2.8, 7.1: type, length, handle; vendor and version (strings 1, 2);
# start segment; date (string 3); size; characteristics (8 bytes: PCI, flash,
# EDD) and their two extension bytes (ACPI; content distribution); releases.
machine_bios_table() {
	printf '\0\30\0\0\1\2\0\360\3\377\200\10\10\0\0\0\0\0\1\4\1\10\377\377'
	printf '%s\0%s\0%s\0\0' "$1" "1.8.2" "03/14/2016"
}

# machine_add_firmware FIRMWARE FOLDER: a BIOS that shows its screen on the port
# that FOLDER/sercon-port names as well, or UEFI with FOLDER/nvram.fd for its
# variables, which it writes.
machine_add_firmware() {
	case $1 in
	bios)
		qemu_args+=(-fw_cfg name=etc/sercon-port,file="${2//,/,,}/sercon-port")
		;;
	uefi)
		machine_add_flash OVMF_CODE_4M.fd "$2/nvram.fd"
		;;
	uefi-secure)
		qemu_args+=(-global driver=cfi.pflash01,property=secure,value=on)
		machine_add_flash OVMF_CODE_4M.secboot.fd "$2/nvram.fd"
		;;
	esac
}

machine_add_flash() {
	qemu_args+=(
		-drive "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/$1"
		-drive "if=pflash,unit=1,format=raw,file=${2//,/,,}"
	)
}

# machine_nvram_template FIRMWARE: variables as the firmware is shipped.
machine_nvram_template() {
	case $1 in
	uefi-secure) printf '/usr/share/OVMF/OVMF_VARS_4M.ms.fd\n' ;;
	*) printf '/usr/share/OVMF/OVMF_VARS_4M.fd\n' ;;
	esac
}

# machine_add_disk N BUS IDENTITY FORMAT FILE: disk N (from 0) of the machine.
# snapshot=on: writes go to an unlinked temporary file, FILE stays as it is.
machine_add_disk() {
	local n=$1 bus=$2 identity=$3 format=$4 file=$5
	local device order=''

	# What to boot from: a setting of the BIOS, or of a virtual machine. On
	# server b it is in the NVRAM.
	[ "$n" != 0 ] || [ "$identity" = B ] || order=,bootindex=0
	qemu_args+=(-drive "if=none,id=disk$n,snapshot=on,format=$format,file=${file//,/,,}")
	case $bus:$identity:$n in
	ahci:A:0)
		device=ide-hd,drive=disk$n,bus=ide.0,model=$HW_A_DISK_MODEL
		device+=,serial=$HW_A_DISK_SERIAL,wwn=$HW_A_DISK_WWN
		;;
	ahci:A:*)
		[ "$n" -gt 1 ] || qemu_args+=(-device megasas-gen2,id=raid,addr=8)
		device=scsi-hd,drive=disk$n,bus=raid.0,scsi-id=$n
		;;
	ahci:C:*)
		device=ide-hd,drive=disk$n,bus=ide.$n,model=$HW_C_DISK_MODEL,serial=${HW_C_DISK_SERIALS[$n]}
		;;
	ahci:*)
		device=ide-hd,drive=disk$n,bus=ide.$n
		;;
	ide:*)
		device=ide-hd,drive=disk$n,bus=ide.$((n / 2)),unit=$((n % 2))
		;;
	nvme:*)
		device=nvme,drive=disk$n,addr=$((4 + n)),serial=$(machine_nvme_serial "$n" "$identity")
		;;
	virtio:*)
		machine_add_port "disk$n"
		device=virtio-blk-pci,drive=disk$n,bus=port-disk$n
		;;
	scsi:*)
		[ "$n" -gt 0 ] || qemu_args+=(-device virtio-scsi-pci,id=scsi)
		device=scsi-hd,drive=disk$n,bus=scsi.0
		;;
	*)
		return 1
		;;
	esac
	qemu_args+=(-device "$device$order")
}

machine_nvme_serial() {
	[ "$2" = B ] && printf '%s' "${HW_B_DISK_SERIALS[$1]}" || printf 'VM%04d' "$1"
}

# Virtual devices sit behind a port each, as libvirt places them.
machine_add_port() {
	qemu_args+=(-device "pcie-root-port,id=port-$1,chassis=$((++machine_ports))")
}
machine_ports=0

# machine_add_nic BOARD NIC IDENTITY MAC: on a network that leads nowhere. An
# empty MAC is the server's own, or QEMU's.
machine_add_nic() {
	local board=$1 identity=$3 mac=$4
	local device=$2,netdev=net0

	qemu_args+=(-netdev user,id=net0,restrict=on)
	case $identity:$board in
	A:*)
		device+=,addr=$HW_A_NIC_SLOT
		mac=${mac:-$HW_A_MAC}
		;;
	C:*)
		device+=,addr=$HW_C_NIC_SLOT
		mac=${mac:-$HW_C_MAC}
		;;
	B:*)
		device+=,id=nic0,addr=$HW_B_NIC_SLOT
		mac=${mac:-$HW_B_MAC}
		qemu_args+=(-smbios "type=41,designation=LAN1,instance=1,kind=ethernet,pcidev=nic0")
		;;
	*:q35)
		machine_add_port net
		device+=,bus=port-net
		;;
	esac
	qemu_args+=(-device "$device${mac:+,mac=$mac}")
}
