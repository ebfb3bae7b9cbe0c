/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hyper-V: everything hangs off VMBus.  Disks are hv_storvsc's in both
 * generations: in generation 1 the kernel leaves the emulated IDE disks alone
 * when it sees Hyper-V (drivers/ata/ata_piix.c, prefer_ms_hyperv).
 *
 * hv_utils and hv_balloon are left out: nothing needs them before the root file
 * system is mounted, and udev loads them from there.
 */
#include "inject-drivers/drivers.h"

static const struct driver hyperv_drivers[] = {
	{DRIVER_BOOT, {"hv_vmbus"}},
	{DRIVER_BOOT, {"hv_storvsc"}},
	{DRIVER_BOOT, {"sd_mod"}},
	/* Not needed to reach a local disk, but an initramfs that unlocks it over the network, or mounts
	 * an iSCSI or NFS root, does need its NIC. */
	{DRIVER_WANTED, {"hv_netvsc"}},
	/* Generation 2 has no other keyboard: a passphrase could not be typed. */
	{DRIVER_WANTED, {"hyperv_keyboard"}},
	/* The emulated IDE controller of generation 1, for hypervisors that only look like it. */
	{DRIVER_WANTED, {"ata_piix"}},
	{DRIVER_WANTED, {"ata_generic"}},
	{DRIVER_OPTIONAL, {"hid_hyperv"}},
	{DRIVER_OPTIONAL, {"hyperv_drm", "hyperv_fb"}},
	/* NVMe disks handed through. */
	{DRIVER_OPTIONAL, {"pci_hyperv"}},
};

const struct driver_family driver_family_hyperv = DRIVER_FAMILY(TARGET_HYPERV, hyperv_drivers);
