// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A sector's history is a list of requests; its first entry is the one that is
 * durable, and requests join the list when they begin.
 */
#include "tests/base/lib-disk-user.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

#define SECTOR 512u
#define MAX_BYTES (256u << 10)

struct request {
	uint64_t first, count; /* in the guest's own numbering of sectors */
	bool is_flush, is_zero, fua;
	uint64_t begin, end;
};

struct history {
	uint32_t *requests; /* indices + 1; 0: zeros from the start */
	size_t count, capacity;
};

struct disk_user {
	struct disk_user_layout layout;
	struct recording *recording;
	pthread_mutex_t lock;
	struct request *requests;
	size_t count, capacity;
	uint64_t window_sectors, sector_count;
	struct history *histories; /* by sector */
	uint64_t time;
	size_t next;
};

struct disk_user *disk_user_create(const struct disk_user_layout *layout, struct recording *recording)
{
	struct disk_user *guest = xcalloc(1, sizeof *guest);
	uint64_t whole = layout->disk_bytes / layout->stride_bytes;
	uint64_t rest = layout->disk_bytes % layout->stride_bytes;

	guest->layout = *layout;
	guest->recording = recording;
	pthread_mutex_init(&guest->lock, NULL);
	guest->window_sectors = layout->window_bytes / SECTOR;
	guest->sector_count = whole * guest->window_sectors +
			      (rest < layout->window_bytes ? rest : layout->window_bytes) / SECTOR;
	guest->histories = xcalloc(guest->sector_count, sizeof *guest->histories);
	disk_user_rewind(guest);
	return guest;
}

void disk_user_destroy(struct disk_user *guest)
{
	if (!guest)
		return;
	for (uint64_t i = 0; i < guest->sector_count; i++)
		free(guest->histories[i].requests);
	free(guest->histories);
	free(guest->requests);
	pthread_mutex_destroy(&guest->lock);
	free(guest);
}

static uint64_t disk_offset(const struct disk_user *guest, uint64_t sector)
{
	return sector / guest->window_sectors * guest->layout.stride_bytes +
	       sector % guest->window_sectors * SECTOR;
}

/* How many sectors from this one on follow one another on the disk. */
static uint64_t contiguous(const struct disk_user *guest, uint64_t sector)
{
	if (guest->layout.window_bytes == guest->layout.stride_bytes)
		return guest->sector_count - sector;
	return guest->window_sectors - sector % guest->window_sectors;
}

/* What a sector holds after the request with this number; 0: zeros. */
static void fill_sector(uint8_t *at, uint32_t number, uint64_t offset)
{
	uint64_t word = number ? (uint64_t)number << 32 | (offset / SECTOR & UINT32_MAX) : 0;

	for (size_t i = 0; i < SECTOR; i += sizeof word)
		memcpy(at + i, &word, sizeof word);
}

static uint32_t begin(struct disk_user *guest, struct request request)
{
	size_t index;

	request.end = RECORDING_NEVER;
	pthread_mutex_lock(&guest->lock);
	request.begin = recording_tick(guest->recording);
	array_grow(guest->requests, guest->count, guest->capacity);
	index = guest->count++;
	guest->requests[index] = request;
	pthread_mutex_unlock(&guest->lock);
	return (uint32_t)index + 1;
}

static void end(struct disk_user *guest, uint32_t number)
{
	pthread_mutex_lock(&guest->lock);
	guest->requests[number - 1].end = recording_tick(guest->recording);
	pthread_mutex_unlock(&guest->lock);
}

static struct err *do_flush(struct disk_user *guest, struct blk *disk)
{
	uint32_t number = begin(guest, (struct request){.is_flush = true});

	TRY(blk_flush(disk));
	end(guest, number);
	return NULL;
}

void disk_user_all_is_durable(struct disk_user *guest)
{
	end(guest, begin(guest, (struct request){.is_flush = true}));
}

/* Writes the number into the sectors. */
static struct err *do_write(struct disk_user *guest, struct blk *disk, struct request request)
{
	uint64_t bytes = request.count * SECTOR, offset = disk_offset(guest, request.first);
	CLEANUP_FREE uint8_t *data = xmalloc(bytes);
	uint32_t number = begin(guest, request);

	for (uint64_t i = 0; i < request.count; i++)
		fill_sector(data + i * SECTOR, number, offset + i * SECTOR);
	TRY(blk_pwrite(disk, data, bytes, offset, request.fua ? BLK_FUA : 0));
	end(guest, number);
	return NULL;
}

enum zero_way { ZERO, ZERO_MAY_TRIM, DISCARD, ZERO_WAYS };

static struct err *do_zero(struct disk_user *guest, struct blk *disk, struct request request,
			   enum zero_way way, uint64_t bytes)
{
	uint64_t offset = disk_offset(guest, request.first);
	unsigned flags = (way == ZERO_MAY_TRIM ? BLK_MAY_TRIM : 0) | (request.fua ? BLK_FUA : 0);
	uint32_t number;

	request.fua &= way != DISCARD;
	request.is_zero = true;
	number = begin(guest, request);
	if (way == DISCARD)
		TRY(blk_discard(disk, bytes, offset));
	else
		TRY(blk_zero(disk, bytes, offset, flags));
	end(guest, number);
	return NULL;
}

/* A whole stride, of which the guest knows a window, or any sectors. */
static struct request choose(const struct disk_user *guest, const struct disk_user_run *run, struct rng *rng,
			     bool whole, uint64_t *ret_bytes)
{
	const struct disk_user_layout *layout = &guest->layout;
	uint64_t windows = (guest->sector_count + guest->window_sectors - 1) / guest->window_sectors;
	uint64_t from = windows * run->share / run->shares, to = windows * (run->share + 1) / run->shares;
	uint64_t window = from + rng_below(rng, to - from), limit;
	struct request request = {.first = window * guest->window_sectors, .fua = !rng_below(rng, 8)};

	limit = guest->sector_count - request.first;
	if (whole) {
		uint64_t left = layout->disk_bytes - window * layout->stride_bytes;

		request.count = limit < guest->window_sectors ? limit : guest->window_sectors;
		*ret_bytes = left < layout->stride_bytes ? left : layout->stride_bytes;
		return request;
	}
	request.first += rng_below(rng, limit < guest->window_sectors ? limit : guest->window_sectors);
	limit = contiguous(guest, request.first);
	if (run->shares > 1 && limit > to * guest->window_sectors - request.first)
		limit = to * guest->window_sectors - request.first;
	request.count = 1 + rng_below(rng, rng_below(rng, 4) ? 32 : MAX_BYTES / SECTOR);
	if (request.count > limit)
		request.count = limit;
	*ret_bytes = request.count * SECTOR;
	return request;
}

struct err *disk_user_use(struct disk_user *guest, struct blk *disk, const struct disk_user_run *run)
{
	struct rng rng = {.state = run->seed};

	for (unsigned i = 0; i < run->requests; i++) {
		bool whole = !rng_below(&rng, 4), zero = whole || !rng_below(&rng, 6);
		uint64_t bytes = 0;
		struct request request = choose(guest, run, &rng, whole, &bytes);

		if (!rng_below(&rng, run->flush_every))
			TRY(do_flush(guest, disk));
		else if (zero)
			TRY(do_zero(guest, disk, request, (enum zero_way)rng_below(&rng, ZERO_WAYS), bytes));
		else
			TRY(do_write(guest, disk, request));
	}
	return NULL;
}

void disk_user_rewind(struct disk_user *guest)
{
	for (uint64_t i = 0; i < guest->sector_count; i++) {
		struct history *history = &guest->histories[i];

		history->count = 0;
		array_grow(history->requests, history->count, history->capacity);
		history->requests[history->count++] = 0;
	}
	guest->time = 0;
	guest->next = 0;
}

static void begin_request(struct disk_user *guest, uint32_t number)
{
	const struct request *request = &guest->requests[number - 1];

	for (uint64_t i = request->first; i < request->first + request->count; i++) {
		struct history *history = &guest->histories[i];

		array_grow(history->requests, history->count, history->capacity);
		history->requests[history->count++] = number;
	}
}

/* What was before entry k of a history cannot come back. */
static void forget_before(struct history *history, size_t k)
{
	memmove(history->requests, history->requests + k, (history->count - k) * sizeof *history->requests);
	history->count -= k;
}

static void note_flush(struct disk_user *guest, const struct request *flush)
{
	for (uint64_t i = 0; i < guest->sector_count; i++) {
		struct history *history = &guest->histories[i];

		for (size_t k = history->count - 1; k > 0; k--)
			if (guest->requests[history->requests[k] - 1].end < flush->begin) {
				forget_before(history, k);
				break;
			}
	}
}

static void note_fua(struct disk_user *guest, uint32_t number)
{
	const struct request *request = &guest->requests[number - 1];

	for (uint64_t i = request->first; i < request->first + request->count; i++) {
		struct history *history = &guest->histories[i];

		for (size_t k = history->count - 1; k > 0; k--)
			if (history->requests[k] == number) {
				forget_before(history, k);
				break;
			}
	}
}

void disk_user_advance(struct disk_user *guest, uint64_t time)
{
	uint64_t before = guest->time;

	guest->time = time;
	while (guest->next < guest->count && guest->requests[guest->next].begin <= time)
		begin_request(guest, (uint32_t)++guest->next);
	for (size_t i = 0; i < guest->next; i++) {
		const struct request *request = &guest->requests[i];

		if (request->end <= before || request->end > time)
			continue;
		if (request->is_flush)
			note_flush(guest, request);
		else if (request->fua)
			note_fua(guest, (uint32_t)i + 1);
	}
}

static bool may_hold(const struct disk_user *guest, const struct history *history, const uint8_t *sector,
		     uint64_t offset)
{
	for (size_t k = history->count; k-- > 0;) {
		uint32_t number = history->requests[k];
		uint8_t expected[SECTOR];

		if (number && guest->requests[number - 1].is_zero)
			number = 0;
		fill_sector(expected, number, offset);
		if (!memcmp(sector, expected, SECTOR))
			return true;
	}
	return false;
}

static struct err *judge_sectors(const struct disk_user *guest, const uint8_t *content, uint64_t first,
				 uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++) {
		const struct history *history = &guest->histories[i];
		const uint8_t *sector = content + (i - first) * SECTOR;
		uint64_t words[2];

		if (may_hold(guest, history, sector, disk_offset(guest, i)))
			continue;
		memcpy(words, sector, sizeof words);
		return err_failed("sector at %" PRIu64 " begins with %016" PRIx64 " %016" PRIx64
				  "; durable was request %" PRIu32 ", %zu later",
				  disk_offset(guest, i), words[0], words[1], history->requests[0],
				  history->count - 1);
	}
	return NULL;
}

struct err *disk_user_judge(const struct disk_user *guest, struct blk *disk)
{
	CLEANUP_FREE uint8_t *content = xmalloc(guest->window_sectors * SECTOR);

	for (uint64_t first = 0; first < guest->sector_count; first += guest->window_sectors) {
		uint64_t left = guest->sector_count - first;
		uint64_t count = left < guest->window_sectors ? left : guest->window_sectors;

		TRY(err_wrap(blk_pread(disk, content, count * SECTOR, disk_offset(guest, first)), "reading"));
		TRY(judge_sectors(guest, content, first, count));
	}
	return NULL;
}

/* Reads all windows one behind the other. */
static struct err *read_windows(const struct disk_user *guest, struct blk *disk, uint8_t *content)
{
	for (uint64_t first = 0; first < guest->sector_count; first += guest->window_sectors) {
		uint64_t left = guest->sector_count - first;
		uint64_t count = left < guest->window_sectors ? left : guest->window_sectors;

		TRY(blk_pread(disk, content + first * SECTOR, count * SECTOR, disk_offset(guest, first)));
	}
	return NULL;
}

struct err *disk_user_judge_new_blocks(const struct disk_user *guest, struct blk *disk)
{
	uint64_t bytes = guest->sector_count * SECTOR;
	CLEANUP_FREE uint8_t *expected = xmalloc(bytes);
	CLEANUP_FREE uint8_t *now = xmalloc(bytes);

	TRY(read_windows(guest, disk, expected));
	for (uint64_t first = 0; first < guest->sector_count; first += guest->window_sectors) {
		/* Not the first sector, so that what is in front of it is seen too. */
		uint64_t sector = first + 1 < guest->sector_count ? first + 1 : first;

		memset(expected + sector * SECTOR, 0x99, SECTOR);
		TRY(blk_pwrite(disk, expected + sector * SECTOR, SECTOR, disk_offset(guest, sector), 0));
	}
	TRY(read_windows(guest, disk, now));
	for (uint64_t i = 0; i < guest->sector_count; i++)
		if (memcmp(now + i * SECTOR, expected + i * SECTOR, SECTOR))
			return err_failed("the sector at %" PRIu64
					  " changed when another one of its block was written",
					  disk_offset(guest, i));
	return NULL;
}
