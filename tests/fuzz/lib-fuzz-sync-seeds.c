// SPDX-License-Identifier: GPL-3.0-or-later
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/blk.h"
#include "p2v/base/mem.h"
#include "tests/fuzz/lib-fuzz-sync.h"

#define BLOCK (64u << 10)

static const uint8_t hash_key[WIRE_HASH_KEY_BYTES] = "the key of fuzzed hashes";
static const struct message alive = {.type = WIRE_ALIVE}, sync_all = {.type = WIRE_SYNC};

static FILE *begin(const char *dir, const char *target, const char *name)
{
	CLEANUP_FREE char *folder = xasprintf("%s/%s", dir, target), *path = xasprintf("%s/%s", folder, name);

	if (mkdir(folder, 0777) && errno != EEXIST)
		return NULL;
	return fopen(path, "wbx");
}

static bool put_all(FILE *to, enum fuzz_sync_where where, const struct message *messages, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!fuzz_sync_put(to, where, &messages[i]))
			return false;
	return true;
}
#define PUT(to, where, messages) put_all(to, where, messages, sizeof(messages) / sizeof(messages)[0])

static const char some_machine[] =
	"{\"version\":1,\"name\":\"web\",\"firmware\":\"uefi\",\"secure_boot\":true,\"processors\":4,"
	"\"memory_bytes\":1073741824,\"os\":{\"id\":\"debian\"},\"disks\":[{\"source\":\"/dev/sda\","
	"\"size_bytes\":1114624,\"table\":\"gpt\",\"partitions\":[{\"number\":1,\"start_bytes\":512}]}],"
	"\"nics\":[{\"name\":\"eno1\",\"mac\":\"52:54:00:12:34:56\",\"addresses\":[\"192.0.2.7/24\"]}]}";
static const struct message machine = {
	.type = WIRE_MACHINE,
	.machine = {(const uint8_t *)some_machine, sizeof some_machine - 1},
};

static const uint8_t some_bundle[] = "a bundle, as far as the receiver knows";
static const struct message announced = {
	.type = WIRE_ANNOUNCE,
	.announce = {.id = {7},
		     .up_seconds = 60,
		     .phase = WIRE_PHASE_WAITING,
		     .texts = {{"web", 3},
			       {"Vendor", 6},
			       {"Model", 5},
			       {"S1", 2},
			       {"192.0.2.7/24", 12},
			       {"", 0}}},
};
static const struct message bundle = {.type = WIRE_BUNDLE, .bundle_bytes = sizeof some_bundle};
static const struct message part = {.type = WIRE_PART, .part = {some_bundle, sizeof some_bundle}};

/* One message of each type that fits an input, in a file each. */
static bool seed_wire(const char *dir)
{
	static const wire_hash hashes[4] = {{1}, {0}, {3}, {4}};
	static const struct root roots[2] = {{{1}}, {{2}}};
	const struct message messages[] = {
		{.type = WIRE_HELLO, .hello = {1, 3, WIRE_LANE, "token"}},
		{.type = WIRE_WELCOME, .welcome = {1, 4, 16 << 20, "token"}},
		{.type = WIRE_REFUSED, .refused = {WIRE_NOT_ALLOWED, "no room", 7, "make some", 9}},
		{.type = WIRE_JOB,
		 .job = {"job", 3, "run", 1, {{FUZZ_SYNC_DISK_BYTES, BLOCK, BLOCK, 512, 4096, "sda", 3}}}},
		{.type = WIRE_READY, .ready = {hash_key, (const uint8_t *)"\1\0", 2}},
		{.type = WIRE_COMMIT, .commit = {WIRE_COMMIT_FLAGS, roots, 2}},
		{.type = WIRE_COMMITTED, .committed = {{7}}},
		{.type = WIRE_QUERY, .query = {1, WIRE_PAGES, 3, 1ull << 40}},
		{.type = WIRE_HASHES, .hashes = {{1, WIRE_BLOCKS, 4, 7}, hashes}},
		{.type = WIRE_DATA, .data = {1, WIRE_ZSTD, 2, 99, hashes, (const uint8_t *)"packed", 6}},
		{.type = WIRE_ZERO, .zero = {1, 5, 1ull << 30}},
		{.type = WIRE_DURABLE, .durable = 77},
		alive,
		machine,
		announced,
		bundle,
		part,
	};

	for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
		FILE *to = begin(dir, "wire", wire_type_name(messages[i].type));

		if (!to || !fuzz_sync_put(to, FUZZ_SYNC_CONTROL, &messages[i]) || fclose(to))
			return false;
	}
	return true;
}

/* What an honest sender says of a small disk, held and committed as zeros, or with content on it. */
static bool seed_receiver(const char *dir, const char *name, bool with_content)
{
	static const struct root zero;
	static const char content[] = {FUZZ_SYNC_CONTENT, 9, 0, 2, 0, 'c', 'o', 'n', 't', 'e', 'n', 't'};
	const struct message job[] = {
		{.type = WIRE_JOB,
		 .job = {"job", 3, "run", 1, {{FUZZ_SYNC_DISK_BYTES, BLOCK, BLOCK, 512, 4096, "sda", 3}}}},
		machine,
		alive,
	};
	const struct message lane[] = {
		{.type = WIRE_QUERY, .query = {0, WIRE_PAGES, 2, 0}},
		{.type = WIRE_QUERY, .query = {0, WIRE_BLOCKS, 18, 0}},
		{.type = WIRE_ZERO, .zero = {0, 1, 15}},
		sync_all,
		{.type = WIRE_ZERO, .zero = {0, 3, 15}},
		{.type = WIRE_DATA, .data = {0, WIRE_ZSTD, 1, 1, &hash_zero, (const uint8_t *)"packed", 6}},
	};
	const struct message end[] = {
		{.type = WIRE_COMMIT, .commit = {WIRE_COMMIT_HOLD | with_content, &zero, 1}},
		{.type = WIRE_COMMIT, .commit = {0, &zero, 1}},
	};
	FILE *to = begin(dir, "receiver", name);

	return to && PUT(to, FUZZ_SYNC_CONTROL, job) &&
	       (!with_content ||
		(fwrite(content, sizeof content, 1, to) == 1 && PUT(to, FUZZ_SYNC_LANE_0, lane))) &&
	       PUT(to, FUZZ_SYNC_LANE_1, lane) && PUT(to, FUZZ_SYNC_CONTROL, end) && !fclose(to);
}

/* A machine that announces itself, that it fares otherwise, and a bundle. */
static bool seed_announcement(const char *dir)
{
	struct message failed = announced;
	FILE *to = begin(dir, "receiver", "announcement");

	failed.announce.phase = WIRE_PHASE_FAILED;
	failed.announce.texts[WIRE_TEXT_REASON].text = "no disk";
	failed.announce.texts[WIRE_TEXT_REASON].bytes = 7;
	{
		const struct message messages[] = {announced, alive,  failed, bundle,
						   part,      bundle, part,   alive};

		return to && PUT(to, FUZZ_SYNC_CONTROL, messages) && !fclose(to);
	}
}

/* The hashes of the sender's disk, and what both ends call all of it. */
static void hash_disk(wire_hash blocks[2 * WIRE_PAGE_BLOCKS], wire_hash pages[2], struct root *ret_root)
{
	struct blk *disk = fuzz_sync_disk();
	CLEANUP_FREE uint8_t *content = xmalloc(FUZZ_SYNC_DISK_BYTES);
	uint64_t size_bytes = FUZZ_SYNC_DISK_BYTES;
	struct root root = {{0}};

	err_free(blk_pread(disk, content, FUZZ_SYNC_DISK_BYTES, 0));
	hash_blocks(hash_key, content, FUZZ_SYNC_DISK_BYTES, BLOCK, blocks);
	for (unsigned i = 0; i < 2; i++) {
		hash_page(hash_key, blocks + i * WIRE_PAGE_BLOCKS, i ? 2 : WIRE_PAGE_BLOCKS, pages[i]);
		root_add_page(&root, hash_key, 0, i, pages[i]);
	}
	root_of_job(hash_key, &size_bytes, &root, 1, ret_root);
	err_free(blk_close(disk));
}

/* What a receiver says that has nothing, or other content, or all of it. */
static bool seed_sender(const char *dir, const char *name, bool fresh, bool equal)
{
	wire_hash blocks[2 * WIRE_PAGE_BLOCKS] = {{0}}, pages[2];
	const uint8_t flags = fresh ? WIRE_DISK_FRESH : 0;
	struct message control[] = {
		{.type = WIRE_WELCOME, .welcome = {WIRE_VERSION, 2, 4 << 20, "token"}},
		{.type = WIRE_READY, .ready = {hash_key, &flags, 1}},
		alive,
		{.type = WIRE_COMMITTED},
	};
	struct message lane[] = {
		{.type = WIRE_WELCOME, .welcome = {WIRE_VERSION, 2, 4 << 20, {0}}},
		{.type = WIRE_HASHES, .hashes = {{0, WIRE_PAGES, 2, 0}, pages}},
		{.type = WIRE_HASHES, .hashes = {{0, WIRE_BLOCKS, 16, 0}, blocks}},
		{.type = WIRE_DURABLE, .durable = 1},
		{.type = WIRE_HASHES, .hashes = {{0, WIRE_BLOCKS, 2, 16}, blocks + 16}},
		{.type = WIRE_DURABLE, .durable = 2},
	};
	FILE *to = begin(dir, "sender", name);

	hash_disk(blocks, pages, &control[3].committed);
	if (!equal) {
		blocks[1][3] ^= 1;
		pages[0][0] ^= 1;
	}
	if (!to || !PUT(to, FUZZ_SYNC_CONTROL, control))
		return false;
	if (fresh) {
		lane[1] = lane[3];
		return put_all(to, FUZZ_SYNC_LANE_0, lane, 2) && put_all(to, FUZZ_SYNC_LANE_1, lane, 1) &&
		       !fclose(to);
	}
	return put_all(to, FUZZ_SYNC_LANE_0, lane, equal ? 2 : 6) && put_all(to, FUZZ_SYNC_LANE_1, lane, 1) &&
	       !fclose(to);
}

bool fuzz_sync_seeds(const char *dir)
{
	return seed_wire(dir) && seed_receiver(dir, "zeros", false) && seed_receiver(dir, "content", true) &&
	       seed_announcement(dir) && seed_sender(dir, "fresh", true, true) &&
	       seed_sender(dir, "equal", false, true) && seed_sender(dir, "other", false, false);
}
