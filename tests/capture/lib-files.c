/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/capture/lib-files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/cleanup.h"
#include "p2v/base/mem.h"

static const uint32_t sizes[] = {1, 100, 4096, 4097, 12000, 65536, 70001, 300000, 0, 511, 1048576, 20000};
#define SIZE_COUNT (sizeof sizes / sizeof *sizes)

static char *path_of(unsigned index)
{
	return xasprintf("d%u/file-%u.dat", index % FILES_FOLDERS, index);
}

static bool is_removed(unsigned index)
{
	return index % 5 == 1;
}

/* xorshift: no compression of a file system makes this smaller. */
static uint8_t *content_of(unsigned index, uint32_t bytes)
{
	uint64_t state = (index + 1) * 0x9e3779b97f4a7c15ull;
	uint8_t *data = xmalloc(bytes + 8);

	for (uint32_t at = 0; at < bytes; at += 8) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memcpy(data + at, &state, 8);
	}
	return data;
}

static unsigned file_count(unsigned mib)
{
	uint64_t bytes = 0;
	unsigned count = 0;

	while (bytes < (uint64_t)mib << 20)
		bytes += sizes[count++ % SIZE_COUNT];
	return count;
}

static void write_file(const char *folder, unsigned index)
{
	uint32_t bytes = sizes[index % SIZE_COUNT];
	CLEANUP_FREE char *name = path_of(index);
	CLEANUP_FREE char *path = xasprintf("%s/%s", folder, name);
	CLEANUP_FREE uint8_t *data = content_of(index, bytes);
	FILE *file = fopen(path, "wx");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
	assert_int_equal(fclose(file), 0);
}

void files_make(const char *folder, unsigned mib)
{
	unsigned count = file_count(mib);

	for (unsigned i = 0; i < FILES_FOLDERS; i++) {
		CLEANUP_FREE char *path = xasprintf("%s/d%u", folder, i);

		assert_int_equal(mkdir(path, 0755), 0);
	}
	for (unsigned i = 0; i < count; i++)
		write_file(folder, i);
	for (unsigned i = 0; i < count; i++) {
		CLEANUP_FREE char *name = path_of(i);
		CLEANUP_FREE char *path = xasprintf("%s/%s", folder, name);

		if (is_removed(i))
			assert_int_equal(remove(path), 0);
	}
}

static bool file_is_right(const char *folder, unsigned index)
{
	uint32_t bytes = sizes[index % SIZE_COUNT];
	CLEANUP_FREE char *name = path_of(index);
	CLEANUP_FREE char *path = xasprintf("%s/%s", folder, name);
	CLEANUP_FREE uint8_t *wanted = content_of(index, bytes);
	CLEANUP_FREE uint8_t *found = xmalloc(bytes + 1);
	CLEANUP_FCLOSE FILE *file = fopen(path, "r");

	if (is_removed(index))
		return !file && errno == ENOENT;
	return file && fread(found, 1, bytes + 1, file) == bytes && !memcmp(found, wanted, bytes);
}

bool files_are_there(const char *folder, unsigned mib)
{
	unsigned count = file_count(mib);

	for (unsigned i = 0; i < count; i++)
		if (!file_is_right(folder, i)) {
			print_message("file %u is not right\n", i);
			return false;
		}
	return true;
}
