// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Repairing BAT entries, the length of the file, and the place of the log.
 *
 * First every entry is judged by itself; then those are found that share a place.
 * Which of them it belongs to nobody can tell: the first keeps it, the others get
 * a copy, so that each reads as it did.  An entry that leads nowhere becomes "not
 * present", which reads as zeros, or as the parent.
 */
#include <inttypes.h>
#include <string.h>

#include "vhdx/bat.h"
#include "vhdx/repair-plan.h"

#define CHUNK_ENTRIES (VHDX_MIB / VHDX_BAT_ENTRY_BYTES)

enum cause {
	CAUSE_NONE,
	CAUSE_RESERVED_BITS,
	CAUSE_ZERO_OFFSET,
	CAUSE_ANCHOR,
	CAUSE_BITMAP,
	CAUSE_STATE_PRESENT,
	CAUSE_STATE_EMPTY,
	CAUSE_PARTIAL,
	CAUSE_IN_HEADER,
	CAUSE_IN_REGION,
	CAUSE_IN_LOG,
	CAUSE_IN_PLACE_OF_LOG,
	CAUSE_PAST_END,
	CAUSE_CUT,
	CAUSE_SHORT,
	CAUSE_NO_BITMAP,
	CAUSE_SHARED,
	CAUSE_COUNT,
};

/* What is said, and what it means for the disk. */
static const struct {
	const char *text;
	const char *loss; /* NULL: none */
	enum vhdx_loss_kind kind;
} causes[CAUSE_COUNT] = {
	[CAUSE_RESERVED_BITS] = {"have reserved bits set: cleared", NULL, 0},
	[CAUSE_ZERO_OFFSET] = {"are of zero blocks, but have an offset: cleared", NULL, 0},
	[CAUSE_ANCHOR] = {"are of blocks without content, but keep a place that is not theirs: cleared", NULL,
			  0},
	[CAUSE_BITMAP] = {"are damaged ones of sector bitmaps: emptied", NULL, 0},
	[CAUSE_STATE_PRESENT] = {"have a state that does not exist, and a good place: taken as present",
				 "the state of the block is a guess", VHDX_LOSS_DOUBT},
	[CAUSE_STATE_EMPTY] = {"have a state that does not exist, and no place: emptied",
			       "the state of the block was damaged", VHDX_LOSS_GONE},
	[CAUSE_PARTIAL] = {"are partially present in a file without parent: taken as present",
			   "the state of the block is a guess", VHDX_LOSS_DOUBT},
	[CAUSE_IN_HEADER] = {"point into the header section: emptied", "the block's place was damaged",
			     VHDX_LOSS_GONE},
	[CAUSE_IN_REGION] = {"point into a region: emptied", "the block's place was damaged", VHDX_LOSS_GONE},
	[CAUSE_IN_LOG] = {"point into the log: emptied", "the block's place was damaged", VHDX_LOSS_GONE},
	[CAUSE_IN_PLACE_OF_LOG] = {"point to where the log should be, but is not: the log is moved",
				   "the log may have overwritten the block", VHDX_LOSS_DOUBT},
	[CAUSE_PAST_END] = {"point behind the end of the file: emptied", "the file ends before the block",
			    VHDX_LOSS_GONE},
	[CAUSE_CUT] = {"are of blocks in which the file ends: the rest of the block becomes zeros",
		       "the file ends within the block", VHDX_LOSS_GONE},
	[CAUSE_SHORT] = {"are of the last block, which ends behind the file: the file is made longer", NULL,
			 0},
	[CAUSE_NO_BITMAP] = {"are partially present, but without a sector bitmap: emptied",
			     "the sector bitmap that tells what of the block is here is lost",
			     VHDX_LOSS_GONE},
	[CAUSE_SHARED] = {"share their place with others: each gets a copy of its own",
			  "several blocks had one place", VHDX_LOSS_DOUBT},
};

/* A bit for each MiB of the file. */
struct mib_set {
	uint64_t *bits;
	uint64_t count;
};

struct bat_repair {
	struct vhdx_repair *r;
	struct vhdx_bat_limits limits;
	uint64_t cut_at; /* the end of the file as it was found */
	uint64_t end; /* as it will be */
	uint64_t counts[CAUSE_COUNT], first_at[CAUSE_COUNT];
	struct mib_set used, shared;
	le64 *chunk;
	bool log_is_there; /* where it should be are traces of it */
	uint64_t bitmap_index; /* of the sector bitmap entry that was read last */
	bool bitmap_is_good;
};

static void bat_repair_deinit(struct bat_repair *b)
{
	free(b->used.bits);
	free(b->shared.bits);
	free(b->chunk);
}

static bool set_take(struct mib_set *set, uint64_t start, uint64_t bytes)
{
	bool was_free = true;

	for (uint64_t mib = start / VHDX_MIB; mib < (start + bytes) / VHDX_MIB && mib < set->count; mib++) {
		was_free &= !(set->bits[mib / 64] >> mib % 64 & 1);
		set->bits[mib / 64] |= 1ull << mib % 64;
	}
	return was_free;
}

static bool set_has(const struct mib_set *set, uint64_t start, uint64_t bytes)
{
	for (uint64_t mib = start / VHDX_MIB; mib < (start + bytes) / VHDX_MIB && mib < set->count; mib++)
		if (set->bits[mib / 64] >> mib % 64 & 1)
			return true;
	return false;
}

static struct err *set_init(struct mib_set *set, uint64_t bytes)
{
	set->count = bytes / VHDX_MIB + 1;
	set->bits = calloc(set->count / 64 + 1, sizeof *set->bits);
	return set->bits ? NULL : err_nomem();
}

static struct err *count_cause(struct bat_repair *b, enum cause cause, uint64_t i, uint64_t skip_bytes)
{
	const struct vhdx_geometry *geometry = b->limits.geometry;
	uint64_t block, used;

	if (!b->counts[cause]++)
		b->first_at[cause] = b->r->regions.bat.file_offset + i * VHDX_BAT_ENTRY_BYTES;
	if (!causes[cause].loss || !vhdx_geometry_block_at(geometry, i, &block))
		return NULL;
	used = vhdx_geometry_used_bytes(geometry, block);
	if (skip_bytes >= used)
		return NULL;
	return repair_lose(b->r, (block << geometry->block_shift) + skip_bytes, used - skip_bytes,
			   causes[cause].kind, causes[cause].loss);
}

/* Each judged entry: what is wrong, and what it becomes. */
struct verdict {
	enum cause cause;
	uint64_t entry;
};

/* A good place, but for the state. */
static bool is_good_place(const struct bat_repair *b, uint64_t i, uint64_t start)
{
	return start && vhdx_entry_check(&b->limits, i, start | VHDX_BLOCK_FULLY_PRESENT) == VHDX_ENTRY_OK;
}

static struct verdict judge_place(const struct bat_repair *b, uint64_t i, uint64_t entry)
{
	uint64_t start = entry & VHDX_BAT_OFFSET_MASK;

	switch (vhdx_entry_check(&b->limits, i, entry)) {
	case VHDX_ENTRY_OK:
		return (struct verdict){CAUSE_NONE, entry};
	case VHDX_ENTRY_RESERVED_STATE:
		if (is_good_place(b, i, start))
			return (struct verdict){CAUSE_STATE_PRESENT, start | VHDX_BLOCK_FULLY_PRESENT};
		return (struct verdict){CAUSE_STATE_EMPTY, 0};
	case VHDX_ENTRY_NEEDS_PARENT:
		if (is_good_place(b, i, start))
			return (struct verdict){CAUSE_PARTIAL, start | VHDX_BLOCK_FULLY_PRESENT};
		return (struct verdict){CAUSE_STATE_EMPTY, 0};
	case VHDX_ENTRY_IN_HEADER:
		return (struct verdict){CAUSE_IN_HEADER, 0};
	case VHDX_ENTRY_IN_REGION:
		return (struct verdict){CAUSE_IN_REGION, 0};
	case VHDX_ENTRY_IN_LOG:
		return b->log_is_there ? (struct verdict){CAUSE_IN_LOG, 0}
				       : (struct verdict){CAUSE_IN_PLACE_OF_LOG, entry};
	case VHDX_ENTRY_PAST_END:
		/* In a file of odd length the place may also be part of the last, incomplete MiB. */
		if (start < b->cut_at)
			return (struct verdict){CAUSE_CUT, entry};
		return (struct verdict){CAUSE_PAST_END, 0};
	}
	return (struct verdict){CAUSE_STATE_EMPTY, 0};
}

static struct verdict judge(const struct bat_repair *b, uint64_t i, uint64_t entry)
{
	bool has_bits = entry & VHDX_BAT_RESERVED_MASK;
	uint64_t clean = entry & ~VHDX_BAT_RESERVED_MASK, block;
	struct verdict verdict;

	if (!vhdx_geometry_block_at(b->limits.geometry, i, &block)) {
		if (vhdx_entry_check(&b->limits, i, clean) != VHDX_ENTRY_OK)
			return (struct verdict){CAUSE_BITMAP, 0};
		return (struct verdict){has_bits ? CAUSE_RESERVED_BITS : CAUSE_NONE, clean};
	}
	verdict = judge_place(b, i, clean);
	if (verdict.cause == CAUSE_NONE && (clean & VHDX_BAT_STATE_MASK) == VHDX_BLOCK_ZERO &&
	    clean & VHDX_BAT_OFFSET_MASK)
		return (struct verdict){CAUSE_ZERO_OFFSET, VHDX_BLOCK_ZERO};
	if (verdict.cause == CAUSE_NONE && vhdx_anchor_check(&b->limits, block, clean) != VHDX_ENTRY_OK)
		return (struct verdict){CAUSE_ANCHOR, clean & VHDX_BAT_STATE_MASK};
	if (verdict.cause == CAUSE_NONE && has_bits)
		verdict.cause = CAUSE_RESERVED_BITS;
	return verdict;
}

/* Whether the sector bitmap of the chunk that an entry belongs to is there. */
static struct err *has_bitmap(struct bat_repair *b, uint64_t i, bool *ret_has)
{
	uint64_t per_chunk = (1ull << b->limits.geometry->chunk_shift) + 1;
	uint64_t index = i / per_chunk * per_chunk + per_chunk - 1;
	le64 entry;

	if (index != b->bitmap_index) {
		TRY(blk_pread(b->r->io, &entry, sizeof entry,
			      b->r->regions.bat.file_offset + index * VHDX_BAT_ENTRY_BYTES));
		b->bitmap_index = index;
		b->bitmap_is_good = (le64_get(entry) & VHDX_BAT_STATE_MASK) == VHDX_BITMAP_PRESENT &&
				    judge(b, index, le64_get(entry)).entry;
	}
	*ret_has = b->bitmap_is_good;
	return NULL;
}

/* An entry that is not 0; *entry becomes what it shall be. */
static struct err *repair_entry(struct bat_repair *b, uint64_t i, uint64_t *entry)
{
	struct verdict verdict = judge(b, i, *entry);
	uint64_t start = *entry & VHDX_BAT_OFFSET_MASK, skip = 0, block, bytes;
	bool is_payload = vhdx_geometry_block_at(b->limits.geometry, i, &block), has = true;

	bytes = is_payload ? b->limits.geometry->block_bytes : VHDX_BITMAP_BLOCK_BYTES;
	*entry = verdict.entry;
	if (is_payload && (*entry & VHDX_BAT_STATE_MASK) == VHDX_BLOCK_PARTIALLY_PRESENT) {
		TRY(has_bitmap(b, i, &has));
		if (!has) {
			verdict.cause = CAUSE_NO_BITMAP;
			*entry = 0;
		}
	}
	if (verdict.cause == CAUSE_NONE && *entry & VHDX_BAT_OFFSET_MASK &&
	    vhdx_state_has_space((enum vhdx_block_state)(*entry & VHDX_BAT_STATE_MASK)) &&
	    start + bytes > b->end)
		verdict.cause = CAUSE_SHORT;
	if (verdict.cause == CAUSE_CUT || verdict.cause == CAUSE_SHORT) {
		skip = b->cut_at - start;
		if (start + bytes > b->end)
			b->end = start + bytes;
	}
	if (verdict.cause == CAUSE_IN_PLACE_OF_LOG)
		b->r->has_log_place = false;
	if (verdict.cause != CAUSE_NONE)
		TRY(count_cause(b, verdict.cause, i, skip));
	if (vhdx_state_has_space((enum vhdx_block_state)(*entry & VHDX_BAT_STATE_MASK)) &&
	    !set_take(&b->used, *entry & VHDX_BAT_OFFSET_MASK, bytes))
		set_take(&b->shared, *entry & VHDX_BAT_OFFSET_MASK, bytes);
	return NULL;
}

/* An entry with space, of which part is another's too: the first one keeps it. */
static struct err *separate_entry(struct bat_repair *b, uint64_t i, uint64_t *entry)
{
	uint64_t start = *entry & VHDX_BAT_OFFSET_MASK, block;
	bool is_payload = vhdx_geometry_block_at(b->limits.geometry, i, &block);
	uint64_t bytes = is_payload ? b->limits.geometry->block_bytes : VHDX_BITMAP_BLOCK_BYTES;
	struct repair_copy copy = {.from = start, .to = b->end, .len_bytes = bytes};
	bool is_first;

	if (!vhdx_state_has_space((enum vhdx_block_state)(*entry & VHDX_BAT_STATE_MASK)))
		return NULL;
	is_first = set_take(&b->used, start, bytes);
	if (!set_has(&b->shared, start, bytes))
		return NULL;
	TRY(count_cause(b, CAUSE_SHARED, i, 0));
	if (is_first)
		return NULL;
	if (__builtin_add_overflow(b->end, bytes, &b->end) || b->end > INT64_MAX)
		return repair_refuse(b->r, "too many blocks share their places");
	*entry = copy.to | (*entry & VHDX_BAT_STATE_MASK);
	return repair_add_copy(b->r, &copy);
}

/* A place kept for a block without content goes to the block that has some there; of two such, to the first.
 */
static struct err *free_anchor(struct bat_repair *b, uint64_t i, uint64_t *entry)
{
	if (!vhdx_entry_anchor(*entry) ||
	    set_take(&b->used, vhdx_entry_anchor(*entry), b->limits.geometry->block_bytes))
		return NULL;
	*entry &= VHDX_BAT_STATE_MASK;
	return count_cause(b, CAUSE_ANCHOR, i, 0);
}

typedef struct err *(*entry_fn)(struct bat_repair *b, uint64_t i, uint64_t *entry);

/* Calls fn for each entry that is not 0, and writes what it changes. */
static struct err *walk(struct bat_repair *b, entry_fn fn)
{
	uint64_t total = b->limits.geometry->bat_entry_count;

	for (uint64_t first = 0; first < total; first += CHUNK_ENTRIES) {
		uint64_t count = total - first < CHUNK_ENTRIES ? total - first : CHUNK_ENTRIES;
		uint64_t at = b->r->regions.bat.file_offset + first * VHDX_BAT_ENTRY_BYTES;

		TRY(blk_pread(b->r->io, b->chunk, count * VHDX_BAT_ENTRY_BYTES, at));
		for (uint64_t i = 0; i < count; i++) {
			uint64_t old = le64_get(b->chunk[i]), entry = old;
			le64 new;

			if (old)
				TRY(fn(b, first + i, &entry));
			new = le64_make(entry);
			if (entry != old)
				TRY(blk_pwrite(b->r->io, &new, sizeof new, at + i * sizeof new, 0));
		}
	}
	return NULL;
}

static struct err *note_causes(struct bat_repair *b)
{
	for (unsigned cause = 0; cause < CAUSE_COUNT; cause++)
		if (b->counts[cause])
			TRY(repair_note(b->r, b->first_at[cause], "%" PRIu64 " BAT entries %s",
					b->counts[cause], causes[cause].text));
	return NULL;
}

/* 1 MiB where Windows has it, if nobody else is there, else at the end. */
static struct err *place_log(struct bat_repair *b)
{
	struct vhdx_header *header = &b->r->headers.current;
	bool is_free = !set_has(&b->used, VHDX_MIB, VHDX_MIB);

	for (size_t i = 0; i < b->r->regions.count; i++)
		is_free &= b->r->regions.items[i].file_offset != VHDX_MIB;
	header->log_length = VHDX_MIB;
	header->log_offset = is_free ? VHDX_MIB : b->end;
	if (!is_free)
		b->end += VHDX_MIB;
	b->r->has_log_place = true;
	return repair_note(b->r, header->log_offset, "an empty log is set up at offset %" PRIu64,
			   header->log_offset);
}

static struct err *set_length(struct bat_repair *b)
{
	uint64_t end = (b->end + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB;

	if (end < b->r->io->size_bytes)
		end = (b->r->io->size_bytes + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB;
	if (b->cut_at % VHDX_MIB)
		TRY(repair_note(b->r, b->cut_at,
				"the file's length (%" PRIu64 ") is no multiple of 1 MiB: %" PRIu64,
				b->cut_at, end));
	return blk_resize(b->r->io, end);
}

/* A log that was ever in use begins with an entry. */
static struct err *look_for_log(struct bat_repair *b)
{
	le32 signature = le32_make(0);

	if (b->limits.log_length)
		TRY(blk_pread(b->r->io, &signature, sizeof signature, b->limits.log_offset));
	b->log_is_there = le32_get(signature) == VHDX_LOG_ENTRY_SIGNATURE;
	return NULL;
}

struct err *repair_bat(struct vhdx_repair *r)
{
	uint64_t file_bytes = r->data_end ? r->data_end : r->io->size_bytes;
	__attribute__((cleanup(bat_repair_deinit))) struct bat_repair b = {
		.r = r,
		.limits = {&r->metadata.geometry, &r->regions, r->headers.current.log_offset,
			   r->headers.current.log_length, file_bytes},
		.cut_at = file_bytes,
		.end = (r->io->size_bytes + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB,
		.chunk = malloc(CHUNK_ENTRIES * sizeof *b.chunk),
		.bitmap_index = UINT64_MAX,
	};

	if (!b.chunk)
		return err_nomem();
	/* A block in which the file ends is not longer than this behind it. */
	TRY(set_init(&b.used, r->io->size_bytes + VHDX_MAX_BLOCK_BYTES));
	TRY(set_init(&b.shared, r->io->size_bytes + VHDX_MAX_BLOCK_BYTES));
	TRY(look_for_log(&b));
	TRY(walk(&b, repair_entry));
	memset(b.used.bits, 0, (b.used.count / 64 + 1) * sizeof *b.used.bits);
	TRY(walk(&b, separate_entry));
	TRY(walk(&b, free_anchor));
	TRY(note_causes(&b));
	if (!r->has_log_place)
		TRY(place_log(&b));
	return set_length(&b);
}
