/* SPDX-License-Identifier: GPL-3.0-or-later */
/* KVM: virtio over PCI; disks as virtio-blk (what handover defines) or virtio-scsi. */
#include "inject-drivers/drivers.h"

static const struct driver virtio_drivers[] = {
	{DRIVER_BOOT, {"virtio_pci"}},	   {DRIVER_BOOT, {"virtio_blk"}},
	{DRIVER_WANTED, {"virtio_scsi"}},  {DRIVER_WANTED, {"sd_mod"}},
	{DRIVER_WANTED, {"virtio_net"}},   {DRIVER_OPTIONAL, {"virtio_console"}},
	{DRIVER_OPTIONAL, {"virtio_rng"}},
};

const struct driver_family driver_family_virtio = DRIVER_FAMILY(TARGET_KVM, virtio_drivers);
