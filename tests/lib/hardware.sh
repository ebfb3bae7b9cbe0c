# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034
#
# The servers that the sample disks come from: what an installer would have
# seen and written down. The recipes (sample/*.sh) put it on the disks, and
# boot-machine builds such machines in QEMU. To be sourced.
#
# No machine shows an operating system that it is virtual: SMBIOS and CPU
# name other makers, so units with ConditionVirtualization=no run.

# Server a: BIOS, a SATA disk to boot from, a network card of 82579 age at 00:19.0
# (where Intel's chipsets have it), a BMC, console on its serial-over-LAN port
# ttyS1. More disks sit on a RAID controller whose driver is not in the
# initramfs: so they come after sda, always. (Two disks that Linux finds at once
# swap their names now and then: sd_mod probes asynchronously.)
HW_A_MAKER="Nordstern"
HW_A_PRODUCT="RX220"
HW_A_MAC=00:1b:21:5a:0a:01
HW_A_NIC_SLOT=0x19
HW_A_NIC_NAME=enp0s25
HW_A_DISK_MODEL="NX1000DM003-9YN162"
HW_A_DISK_SERIAL=S1D0A001
HW_A_DISK_WWN=0x5000c5000a000001

# Server b: UEFI, NVMe, a network port on the board (SMBIOS type 41: eno1).
HW_B_MAKER="Nordstern"
HW_B_PRODUCT="RX350 M2"
HW_B_MAC=00:1b:21:5a:0b:01
HW_B_NIC_SLOT=0x1c
HW_B_NIC_NAME=eno1
HW_B_DISK_SERIALS=(P5520B0001 P5520B0002)
# How Linux names them (/sys/block/nvme0n1/wwid): vendor, serial, model. QEMU's
# drives have no EUI that Linux would believe.
HW_B_DISK_WWID=nvme.1b36-50353532304230303031-51454d55204e564d65204374726c-00000001

# Server c: BIOS, two SATA disks of one kind, a network card of 82579 age.
HW_C_MAKER="Nordstern"
HW_C_PRODUCT="RX300 S7"
HW_C_MAC=00:1b:21:5a:0c:01
HW_C_NIC_SLOT=0x19
HW_C_NIC_NAME=enp0s25
HW_C_DISK_MODEL="NX1000DM003-9YN162"
HW_C_DISK_SERIALS=(S1D0C001 S1D0C002)
