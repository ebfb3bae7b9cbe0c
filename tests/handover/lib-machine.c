/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/handover/lib-machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"

void make_machine(const char *name, enum firmware firmware, struct machine *ret_machine)
{
	struct machine_disk *disk;
	struct machine_nic *nic;

	*ret_machine = (struct machine){
		.name = xstrdup(name),
		.firmware = firmware,
		.secure_boot = -1,
		.processors = 4,
		.memory_bytes = 4ull << 30,
	};
	disk = machine_add_disk(ret_machine);
	disk->file = xstrdup("disk0.vhdx");
	disk->size_bytes = 20ull << 30;
	disk->logical_sector_bytes = 512;
	disk->physical_sector_bytes = 4096;
	nic = machine_add_nic(ret_machine);
	nic->name = xstrdup("enp0s2");
	nic->mac = xstrdup("52:54:00:12:34:56");
	strv_add(&nic->addresses, "192.0.2.10/24");
}
