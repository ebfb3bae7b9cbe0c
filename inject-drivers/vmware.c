/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VMware: the paravirtual SCSI controller and NIC. */
#include "inject-drivers/drivers.h"

static const struct driver vmware_drivers[] = {
	{DRIVER_BOOT, {"vmw_pvscsi"}},
	{DRIVER_BOOT, {"sd_mod"}},
	{DRIVER_WANTED, {"vmxnet3"}},
};

const struct driver_family driver_family_vmware = DRIVER_FAMILY(TARGET_VMWARE, vmware_drivers);
