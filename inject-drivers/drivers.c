/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of driver families, and the hardware that hypervisors emulate: such
 * drivers are never added (a guest that lacks them has paravirtual ones), but
 * the report names them, and `prove` chooses its devices by them.
 */
#include "inject-drivers/drivers.h"

static const struct driver emulated_drivers[] = {
	{DRIVER_OPTIONAL, {"ahci"}},	    {DRIVER_OPTIONAL, {"ata_piix"}},
	{DRIVER_OPTIONAL, {"ata_generic"}}, {DRIVER_OPTIONAL, {"nvme"}},
	{DRIVER_OPTIONAL, {"mptspi"}},	    {DRIVER_OPTIONAL, {"mptsas"}},
	{DRIVER_OPTIONAL, {"sym53c8xx"}},   {DRIVER_OPTIONAL, {"megaraid_sas"}},
	{DRIVER_OPTIONAL, {"e1000"}},	    {DRIVER_OPTIONAL, {"e1000e"}},
	{DRIVER_OPTIONAL, {"igb"}},	    {DRIVER_OPTIONAL, {"8139cp"}},
	{DRIVER_OPTIONAL, {"8139too"}},	    {DRIVER_OPTIONAL, {"pcnet32"}},
	{DRIVER_OPTIONAL, {"tulip"}},
};

const struct driver_family driver_family_emulated = DRIVER_FAMILY(0, emulated_drivers);

const struct driver_family *const driver_families[] = {
	&driver_family_hyperv, &driver_family_virtio,	&driver_family_vmware,
	&driver_family_xen,    &driver_family_emulated, NULL,
};
