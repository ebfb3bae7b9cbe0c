/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/btrfs-places.h"

#include <stdlib.h>

#define RESERVED_BYTES (1ull << 20)
#define SUPER_BYTES 4096u
static const uint64_t super_copies[] = {64ull << 20, 256ull << 30};

static int compare_places(const void *a, const void *b)
{
	uint64_t x = ((const struct btrfs_place *)a)->physical, y = ((const struct btrfs_place *)b)->physical;

	return x < y ? -1 : x > y;
}

static void add_place(const struct extents *logical, const struct btrfs_place *place, struct extents *used)
{
	uint64_t end = place->logical + place->bytes;

	for (size_t i = extents_find(logical, place->logical);
	     i < logical->count && logical->ranges[i].start < end; i++) {
		uint64_t from = logical->ranges[i].start, to = logical->ranges[i].end;

		from = from > place->logical ? from : place->logical;
		to = to < end ? to : end;
		extents_add(used, place->physical + (from - place->logical),
			    place->physical + (to - place->logical));
	}
}

bool btrfs_places_translate(struct btrfs_place *places, size_t count, const struct extents *logical,
			    struct extents *ret_on_device)
{
	qsort(places, count, sizeof *places, compare_places);
	for (size_t i = 0; i < count; i++) {
		if (i && places[i - 1].physical + places[i - 1].bytes > places[i].physical)
			return false;
		add_place(logical, &places[i], ret_on_device);
	}
	return true;
}

void btrfs_places_add_reserved(uint64_t device_bytes, uint64_t size_bytes, struct extents *ret_on_device)
{
	extents_add(ret_on_device, 0, RESERVED_BYTES < size_bytes ? RESERVED_BYTES : size_bytes);
	for (size_t i = 0; i < sizeof super_copies / sizeof *super_copies; i++)
		if (super_copies[i] + SUPER_BYTES <= size_bytes)
			extents_add(ret_on_device, super_copies[i], super_copies[i] + SUPER_BYTES);
	extents_add(ret_on_device, device_bytes, size_bytes);
}
