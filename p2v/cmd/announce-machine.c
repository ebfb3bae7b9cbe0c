/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A machine's id must be the same from start to start, and no other one's: so it
 * comes from what its board and its network interfaces have in them.  Neither is
 * enough: there are boards of which a whole series has one serial number, and
 * machines without an interface yet.
 */
#include "p2v/cmd/announce-machine.h"

#include <string.h>
#include <time.h>

#include "capture/discover.h"
#include "capture/sysroot.h"
#include "p2v/base/blake3.h"
#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

static void add_text(struct blake3 *hash, const char *text)
{
	/* With the NUL, so that two texts are not one. */
	blake3_add(hash, text ?: "", strlen(text ?: "") + 1);
}

static void make_id(const struct machine *machine, uint8_t ret_id[WIRE_MACHINE_ID_BYTES])
{
	CLEANUP_FREE char *uuid = sysroot_read("", "/sys/class/dmi/id/product_uuid");
	CLEANUP_STRV struct strv macs = {0};
	struct blake3 hash;

	for (size_t i = 0; i < machine->nic_count; i++)
		if (!machine->nics[i].kind && machine->nics[i].mac)
			strv_add(&macs, machine->nics[i].mac);
	strv_sort(&macs);
	blake3_begin_derive("p2v 2026-11 the id of a machine", &hash);
	add_text(&hash, machine->hardware.vendor);
	add_text(&hash, machine->hardware.model);
	add_text(&hash, machine->hardware.serial);
	add_text(&hash, uuid);
	for (size_t i = 0; i < macs.count; i++)
		add_text(&hash, macs.items[i]);
	blake3_end(&hash, ret_id, WIRE_MACHINE_ID_BYTES);
}

static char *list_addresses(const struct machine *machine)
{
	CLEANUP_TEXT struct text text = {0};

	for (size_t i = 0; i < machine->nic_count; i++)
		for (size_t k = 0; k < machine->nics[i].addresses.count; k++)
			text_addf(&text, "%s%s", text.bytes ? " " : "", machine->nics[i].addresses.items[k]);
	return text_take(&text);
}

void announce_describe_machine(struct announcement *ret_announcement)
{
	CLEANUP_MACHINE struct machine machine = {0};
	struct timespec up = {0};

	/* Where there is no sysfs there is nothing to tell, and all the same somebody there. */
	err_free(discover_identity("", &machine));
	clock_gettime(CLOCK_BOOTTIME, &up);
	make_id(&machine, ret_announcement->id);
	ret_announcement->vendor = take_ptr(machine.hardware.vendor);
	ret_announcement->model = take_ptr(machine.hardware.model);
	ret_announcement->serial = take_ptr(machine.hardware.serial);
	ret_announcement->addresses = list_addresses(&machine);
	ret_announcement->up_seconds = up.tv_sec;
}
