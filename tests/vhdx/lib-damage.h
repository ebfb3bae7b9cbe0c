/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A small VHDX, and a table of ways to damage it: each field with each kind of wrong value. */
#ifndef TESTS_VHDX_LIB_DAMAGE_H
#define TESTS_VHDX_LIB_DAMAGE_H

#include "tests/vhdx/lib-vhdx.h"

/* Where the sample has things. */
#define DAMAGE_DISK_BYTES (6 * MIB)
#define DAMAGE_METADATA (2 * MIB)
#define DAMAGE_BAT (3 * MIB)
#define DAMAGE_DATA (4 * MIB) /* the first payload block */

/* Finished, 1 MiB blocks; 0, 2 and 4 have data. */
struct blk *damage_sample(void);

/* The same, in use when its power failed: 3 log entries of which one counts. */
struct blk *damage_dirty_sample(void);

enum damage_place {
	IN_FILE,
	IN_HEADER, /* the current one */
	IN_BOTH_HEADERS,
	IN_REGIONS,
	IN_FIRST_REGIONS,
	IN_METADATA,
	IN_ITEMS,
	IN_BAT
};

struct damage {
	enum damage_place place;
	uint32_t at;
	unsigned bytes; /* 4 or 8; 0: flip the byte there and leave the checksum wrong */
	uint64_t value;
};

/* Sets a field, and the checksum over it right again, so that the field itself is what is judged. */
void damage_field(struct blk *file, const struct damage *field);

/* What a repair makes of it. */
enum damage_outcome {
	DAMAGE_SAVED, /* all of it, for certain */
	DAMAGE_NONE, /* there is nothing to repair */
	DAMAGE_DOUBT, /* some of the disk is in doubt */
	DAMAGE_LOST, /* some of it is lost */
	DAMAGE_REFUSED,
};

struct damage_case {
	struct damage field;
	const char *error; /* part of opening's message; NULL: opens, and reads as before */
	const char *finding; /* part of a finding's text; "": the file is clean */
	enum damage_outcome outcome;
};

extern const struct damage_case damage_cases[];
extern const size_t damage_case_count;

#endif
