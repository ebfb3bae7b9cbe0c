/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Xen: block and network frontends; XenBus itself is part of every kernel that has them. */
#include "inject-drivers/drivers.h"

static const struct driver xen_drivers[] = {
	{DRIVER_BOOT, {"xen_blkfront"}},
	{DRIVER_WANTED, {"xen_netfront"}},
};

const struct driver_family driver_family_xen = DRIVER_FAMILY(TARGET_XEN, xen_drivers);
