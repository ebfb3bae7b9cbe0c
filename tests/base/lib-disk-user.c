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
#include "tests/base/lib-rng.h"

#define SECTOR 512u
#define MAX_BYTES (256u << 10)

struct request {
	uint64_t first, count; /* in the user's own numbering of sectors */
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
	struct disk_user *user = xcalloc(1, sizeof *user);
	uint64_t whole = layout->disk_bytes / layout->stride_bytes;
	uint64_t rest = layout->disk_bytes % layout->stride_bytes;

	user->layout = *layout;
	user->recording = recording;
	pthread_mutex_init(&user->lock, NULL);
	user->window_sectors = layout->window_bytes / SECTOR;
	user->sector_count = whole * user->window_sectors +
			     (rest < layout->window_bytes ? rest : layout->window_bytes) / SECTOR;
	user->histories = xcalloc(user->sector_count, sizeof *user->histories);
	disk_user_rewind(user);
	return user;
}

void disk_user_destroy(struct disk_user *user)
{
	if (!user)
		return;
	for (uint64_t i = 0; i < user->sector_count; i++)
		free(user->histories[i].requests);
	free(user->histories);
	free(user->requests);
	pthread_mutex_destroy(&user->lock);
	free(user);
}

static uint64_t disk_offset(const struct disk_user *user, uint64_t sector)
{
	return sector / user->window_sectors * user->layout.stride_bytes +
	       sector % user->window_sectors * SECTOR;
}

/* How many sectors from this one on follow one another on the disk. */
static uint64_t contiguous(const struct disk_user *user, uint64_t sector)
{
	if (user->layout.window_bytes == user->layout.stride_bytes)
		return user->sector_count - sector;
	return user->window_sectors - sector % user->window_sectors;
}

/* What a sector holds after the request with this number; 0: zeros. */
static void fill_sector(uint8_t *at, uint32_t number, uint64_t offset)
{
	uint64_t word = number ? (uint64_t)number << 32 | (offset / SECTOR & UINT32_MAX) : 0;

	for (size_t i = 0; i < SECTOR; i += sizeof word)
		memcpy(at + i, &word, sizeof word);
}

static uint32_t begin(struct disk_user *user, struct request request)
{
	size_t index;

	request.end = RECORDING_NEVER;
	pthread_mutex_lock(&user->lock);
	request.begin = recording_tick(user->recording);
	array_grow(user->requests, user->count, user->capacity);
	index = user->count++;
	user->requests[index] = request;
	pthread_mutex_unlock(&user->lock);
	return (uint32_t)index + 1;
}

static void end(struct disk_user *user, uint32_t number)
{
	pthread_mutex_lock(&user->lock);
	user->requests[number - 1].end = recording_tick(user->recording);
	pthread_mutex_unlock(&user->lock);
}

static struct err *do_flush(struct disk_user *user, struct blk *disk)
{
	uint32_t number = begin(user, (struct request){.is_flush = true});

	TRY(blk_flush(disk));
	end(user, number);
	return NULL;
}

void disk_user_all_is_durable(struct disk_user *user)
{
	end(user, begin(user, (struct request){.is_flush = true}));
}

/* Writes the number into the sectors. */
static struct err *do_write(struct disk_user *user, struct blk *disk, struct request request)
{
	uint64_t bytes = request.count * SECTOR, offset = disk_offset(user, request.first);
	CLEANUP_FREE uint8_t *data = xmalloc(bytes);
	uint32_t number = begin(user, request);

	for (uint64_t i = 0; i < request.count; i++)
		fill_sector(data + i * SECTOR, number, offset + i * SECTOR);
	TRY(blk_pwrite(disk, data, bytes, offset, request.fua ? BLK_FUA : 0));
	end(user, number);
	return NULL;
}

enum zero_way { ZERO, ZERO_MAY_TRIM, DISCARD, ZERO_WAYS };

static struct err *do_zero(struct disk_user *user, struct blk *disk, struct request request,
			   enum zero_way way, uint64_t bytes)
{
	uint64_t offset = disk_offset(user, request.first);
	unsigned flags = (way == ZERO_MAY_TRIM ? BLK_MAY_TRIM : 0) | (request.fua ? BLK_FUA : 0);
	uint32_t number;

	request.fua &= way != DISCARD;
	request.is_zero = true;
	number = begin(user, request);
	if (way == DISCARD)
		TRY(blk_discard(disk, bytes, offset));
	else
		TRY(blk_zero(disk, bytes, offset, flags));
	end(user, number);
	return NULL;
}

/* A whole stride, of which the user knows a window, or any sectors. */
static struct request choose(const struct disk_user *user, const struct disk_user_run *run, struct rng *rng,
			     bool whole, uint64_t *ret_bytes)
{
	const struct disk_user_layout *layout = &user->layout;
	uint64_t windows = (user->sector_count + user->window_sectors - 1) / user->window_sectors;
	uint64_t from = windows * run->share / run->shares, to = windows * (run->share + 1) / run->shares;
	uint64_t window = from + rng_below(rng, to - from), limit;
	struct request request = {.first = window * user->window_sectors, .fua = !rng_below(rng, 8)};

	limit = user->sector_count - request.first;
	if (whole) {
		uint64_t left = layout->disk_bytes - window * layout->stride_bytes;

		request.count = limit < user->window_sectors ? limit : user->window_sectors;
		*ret_bytes = left < layout->stride_bytes ? left : layout->stride_bytes;
		return request;
	}
	request.first += rng_below(rng, limit < user->window_sectors ? limit : user->window_sectors);
	limit = contiguous(user, request.first);
	if (run->shares > 1 && limit > to * user->window_sectors - request.first)
		limit = to * user->window_sectors - request.first;
	request.count = 1 + rng_below(rng, rng_below(rng, 4) ? 32 : MAX_BYTES / SECTOR);
	if (request.count > limit)
		request.count = limit;
	*ret_bytes = request.count * SECTOR;
	return request;
}

struct err *disk_user_use(struct disk_user *user, struct blk *disk, const struct disk_user_run *run)
{
	struct rng rng = {.state = run->seed};

	for (unsigned i = 0; i < run->requests; i++) {
		bool whole = !rng_below(&rng, 4), zero = whole || !rng_below(&rng, 6);
		uint64_t bytes = 0;
		struct request request = choose(user, run, &rng, whole, &bytes);

		if (!rng_below(&rng, run->flush_every))
			TRY(do_flush(user, disk));
		else if (zero)
			TRY(do_zero(user, disk, request, (enum zero_way)rng_below(&rng, ZERO_WAYS), bytes));
		else
			TRY(do_write(user, disk, request));
	}
	return NULL;
}

void disk_user_rewind(struct disk_user *user)
{
	for (uint64_t i = 0; i < user->sector_count; i++) {
		struct history *history = &user->histories[i];

		history->count = 0;
		array_grow(history->requests, history->count, history->capacity);
		history->requests[history->count++] = 0;
	}
	user->time = 0;
	user->next = 0;
}

static void begin_request(struct disk_user *user, uint32_t number)
{
	const struct request *request = &user->requests[number - 1];

	for (uint64_t i = request->first; i < request->first + request->count; i++) {
		struct history *history = &user->histories[i];

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

static void note_flush(struct disk_user *user, const struct request *flush)
{
	for (uint64_t i = 0; i < user->sector_count; i++) {
		struct history *history = &user->histories[i];

		for (size_t k = history->count - 1; k > 0; k--)
			if (user->requests[history->requests[k] - 1].end < flush->begin) {
				forget_before(history, k);
				break;
			}
	}
}

static void note_fua(struct disk_user *user, uint32_t number)
{
	const struct request *request = &user->requests[number - 1];

	for (uint64_t i = request->first; i < request->first + request->count; i++) {
		struct history *history = &user->histories[i];

		for (size_t k = history->count - 1; k > 0; k--)
			if (history->requests[k] == number) {
				forget_before(history, k);
				break;
			}
	}
}

void disk_user_advance(struct disk_user *user, uint64_t time)
{
	uint64_t before = user->time;

	user->time = time;
	while (user->next < user->count && user->requests[user->next].begin <= time)
		begin_request(user, (uint32_t)++user->next);
	for (size_t i = 0; i < user->next; i++) {
		const struct request *request = &user->requests[i];

		if (request->end <= before || request->end > time)
			continue;
		if (request->is_flush)
			note_flush(user, request);
		else if (request->fua)
			note_fua(user, (uint32_t)i + 1);
	}
}

static bool may_hold(const struct disk_user *user, const struct history *history, const uint8_t *sector,
		     uint64_t offset)
{
	for (size_t k = history->count; k-- > 0;) {
		uint32_t number = history->requests[k];
		uint8_t expected[SECTOR];

		if (number && user->requests[number - 1].is_zero)
			number = 0;
		fill_sector(expected, number, offset);
		if (!memcmp(sector, expected, SECTOR))
			return true;
	}
	return false;
}

static struct err *judge_sectors(const struct disk_user *user, const uint8_t *content, uint64_t first,
				 uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++) {
		const struct history *history = &user->histories[i];
		const uint8_t *sector = content + (i - first) * SECTOR;
		uint64_t words[2];

		if (may_hold(user, history, sector, disk_offset(user, i)))
			continue;
		memcpy(words, sector, sizeof words);
		return err_failed("sector at %" PRIu64 " begins with %016" PRIx64 " %016" PRIx64
				  "; durable was request %" PRIu32 ", %zu later",
				  disk_offset(user, i), words[0], words[1], history->requests[0],
				  history->count - 1);
	}
	return NULL;
}

struct err *disk_user_judge(const struct disk_user *user, struct blk *disk)
{
	CLEANUP_FREE uint8_t *content = xmalloc(user->window_sectors * SECTOR);

	for (uint64_t first = 0; first < user->sector_count; first += user->window_sectors) {
		uint64_t left = user->sector_count - first;
		uint64_t count = left < user->window_sectors ? left : user->window_sectors;

		TRY(err_wrap(blk_pread(disk, content, count * SECTOR, disk_offset(user, first)), "reading"));
		TRY(judge_sectors(user, content, first, count));
	}
	return NULL;
}

/* Reads all windows one behind the other. */
static struct err *read_windows(const struct disk_user *user, struct blk *disk, uint8_t *content)
{
	for (uint64_t first = 0; first < user->sector_count; first += user->window_sectors) {
		uint64_t left = user->sector_count - first;
		uint64_t count = left < user->window_sectors ? left : user->window_sectors;

		TRY(blk_pread(disk, content + first * SECTOR, count * SECTOR, disk_offset(user, first)));
	}
	return NULL;
}

struct err *disk_user_judge_new_blocks(const struct disk_user *user, struct blk *disk)
{
	uint64_t bytes = user->sector_count * SECTOR;
	CLEANUP_FREE uint8_t *expected = xmalloc(bytes);
	CLEANUP_FREE uint8_t *now = xmalloc(bytes);

	TRY(read_windows(user, disk, expected));
	for (uint64_t first = 0; first < user->sector_count; first += user->window_sectors) {
		/* Not the first sector, so that what is in front of it is seen too. */
		uint64_t sector = first + 1 < user->sector_count ? first + 1 : first;

		memset(expected + sector * SECTOR, 0x99, SECTOR);
		TRY(blk_pwrite(disk, expected + sector * SECTOR, SECTOR, disk_offset(user, sector), 0));
	}
	TRY(read_windows(user, disk, now));
	for (uint64_t i = 0; i < user->sector_count; i++)
		if (memcmp(now + i * SECTOR, expected + i * SECTOR, SECTOR))
			return err_failed("the sector at %" PRIu64
					  " changed when another one of its block was written",
					  disk_offset(user, i));
	return NULL;
}
