// SPDX-License-Identifier: GPL-3.0-or-later
/* The used map of any disk: it never fails, is within the disk, and its pieces fit into each other. */
#include <stdlib.h>

#include "capture/usedmap.h"
#include "tests/fuzz/lib-fuzz-image.h"
#include "tests/fuzz/lib-fuzz-target.h"

static void check_pieces(const struct usedmap *map, uint64_t size_bytes)
{
	FUZZ_ASSERT(map->piece_count && !map->pieces[0].depth && map->pieces[0].size_bytes == size_bytes,
		    "the first piece is not the disk");
	for (size_t i = 0; i < map->piece_count; i++) {
		const struct usedmap_piece *piece = &map->pieces[i];

		FUZZ_ASSERT(piece->used_bytes <= piece->size_bytes, "more used than there is");
		FUZZ_ASSERT(!piece->doubt || *piece->doubt, "a doubt without words");
		FUZZ_ASSERT(!piece->doubt || piece->used_bytes == piece->size_bytes,
			    "a doubt, and not all of it is used");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_rest rest = {data, size};
	unsigned flags;
	CLEANUP_BLK struct blk *disk = fuzz_disk_decode(&rest, &flags);
	CLEANUP_USEDMAP struct usedmap map = {0};
	struct usedmap_options options = {
		.flags = flags & FUZZ_TARGET_FLAG(0) ? USEDMAP_KEEP_GAPS : 0,
		.gap_bytes = flags & FUZZ_TARGET_FLAG(1) ? 64u << 10 : 0,
	};

	usedmap_take(disk, &options, &map);
	check_pieces(&map, disk->size_bytes);
	for (size_t i = 0; i < map.used.count; i++) {
		FUZZ_ASSERT(map.used.ranges[i].start < map.used.ranges[i].end, "an empty range");
		FUZZ_ASSERT(!i || map.used.ranges[i - 1].end < map.used.ranges[i].start,
			    "ranges not in order");
	}
	FUZZ_ASSERT(!map.used.count || map.used.ranges[map.used.count - 1].end <= disk->size_bytes,
		    "used behind the end");
	return 0;
}
