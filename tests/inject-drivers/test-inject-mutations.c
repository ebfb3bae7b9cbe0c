/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Damaged initramfs files: whatever bytes are changed, cut out or put in,
 * reading ends with a list or a refusal, and what can be read can be taken
 * apart and written anew.  (Memory errors show with SAN=1.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "inject-drivers/initramfs.h"
#include "inject-drivers/rewrite.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/inject-drivers/lib-initramfs.h"

#define ROUNDS 150

/* xorshift64: the same mutations in every run. */
static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void write_file(const char *path, const char *data, size_t bytes)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
}

/* One to four mutations of a copy; the digits of headers are favoured by writing digits. */
static char *mutate(const char *data, size_t *bytes, uint64_t *seed)
{
	char *copy = xmalloc(*bytes + 64);

	memcpy(copy, data, *bytes);
	for (uint64_t n = next_random(seed) % 4 + 1; n && *bytes > 16; n--) {
		size_t at = next_random(seed) % *bytes;
		size_t length = next_random(seed) % 16;

		switch (next_random(seed) % 6) {
		case 0:
			copy[at] = (char)next_random(seed);
			break;
		case 1:
			copy[at] = "0123456789ABCDEF"[next_random(seed) % 16];
			break;
		case 2:
			copy[at] ^= (char)(1 << next_random(seed) % 8);
			break;
		case 3:
			*bytes = at + 1;
			break;
		case 4:
			if (at + length < *bytes) {
				memmove(copy + at, copy + at + length, *bytes - at - length);
				*bytes -= length;
			}
			break;
		case 5:
			memmove(copy + at + length, copy + at, *bytes - at);
			memset(copy + at, (int)next_random(seed), length);
			*bytes += length;
			break;
		}
	}
	return copy;
}

static char *wants_all(void *arg, const struct initramfs_entry *entry)
{
	unsigned *count = arg;

	(void)entry;
	return xasprintf("entry-%u", (*count)++);
}

/* Tells if it could be read. */
static bool try_file(const char *path, const char *folder)
{
	CLEANUP_INITRAMFS struct initramfs initramfs = {0};
	CLEANUP_INITRAMFS_CHANGES struct initramfs_changes changes = {0};
	CLEANUP_FREE char *out = xasprintf("%s/out", folder);
	unsigned count = 0;
	struct err *err = initramfs_read(path, "initrd", &initramfs);

	if (err) {
		assert_int_equal(err_kind(err), ERR_REFUSED);
		assert_true(str_starts_with(err_message(err), "initrd: "));
		err_free(err);
		return false;
	}
	must(initramfs_extract(&initramfs, wants_all, &count, folder));
	if (initramfs.segments[initramfs.segment_count - 1].compressor)
		return true; /* packing programs take their time */
	initramfs_changes_add_data(&changes, "etc/b", "new", 3);
	initramfs_changes_add_data(&changes, "a/new/file", "new", 3);
	initramfs_changes_add_removal(&changes, "etc/c");
	err = initramfs_rewrite(&initramfs, &changes, folder, NULL, out);
	if (err) {
		assert_int_equal(err_kind(err), ERR_REFUSED);
		err_free(err);
		return true;
	}
	initramfs_deinit(&initramfs);
	must(initramfs_read(out, "rewritten", &initramfs));
	assert_non_null(initramfs_find(&initramfs, "a/new/file"));
	assert_int_equal(unlink(out), 0);
	return true;
}

static void mutations(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	CLEANUP_FREE char *path = tree_host_path(tree, "/mutated");
	CLEANUP_FREE char *folder = tree_host_path(tree, "/work");
	uint64_t seed = 0x9e3779b97f4a7c15;

	(void)state;
	free(shell("cd '%s'; mkdir -p work in/etc; cd in; for i in $(seq 40); do seq $i 300 >etc/$i; done;"
		   " echo same >etc/a; ln etc/a etc/b; ln etc/a etc/c; ln -s a etc/d; find . |"
		   " cpio --quiet -o -H newc >../cpio",
		   tree->root));
	for (const struct packing *p = packings; p->name; p++) {
		CLEANUP_FREE char *original = tree_host_path(tree, "/packed");
		CLEANUP_FREE char *data = NULL;
		unsigned good = 0;
		size_t bytes;

		/* libarchive runs a program for lzop: slow, and no concern of ours. */
		if (strcmp(p->name, "lzop") == 0 || !has_program(p->name))
			continue;
		free(shell("cd '%s'; { head -c 30000 cpio; tail -c +30001 cpio; %s <cpio; } >packed",
			   tree->root, p->command));
		data = read_host(original, &bytes);
		assert_non_null(data);
		for (int round = 0; round < ROUNDS; round++) {
			size_t mutated_bytes = bytes;
			CLEANUP_FREE char *mutated = mutate(data, &mutated_bytes, &seed);

			write_file(path, mutated, mutated_bytes);
			good += try_file(path, folder);
		}
		print_message("%s: %u of %u could be read\n", p->name, good, ROUNDS);
		assert_in_range(good, 1, ROUNDS - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
