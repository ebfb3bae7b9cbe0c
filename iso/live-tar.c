/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-tar.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define BLOCK_BYTES 512

/* [POSIX.1-2017] pax, "ustar Interchange Format": all text, numbers in octal. */
struct tar_header {
	char name[100];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6], version[2];
	char user[32], group[32];
	char major[8], minor[8];
	char prefix[155];
	char padding[12];
};
_Static_assert(sizeof(struct tar_header) == BLOCK_BYTES, "as specified");

/* The sum of the header's bytes, the sum's own place taken as blanks. */
static void set_checksum(struct tar_header *header)
{
	const unsigned char *bytes = (const void *)header;
	unsigned sum = 0;

	memset(header->checksum, ' ', sizeof header->checksum);
	for (size_t i = 0; i < sizeof *header; i++)
		sum += bytes[i];
	snprintf(header->checksum, sizeof header->checksum, "%06o", sum);
}

void live_tar_add(struct text *archive, const char *name, const void *data, size_t bytes)
{
	static const char zeros[BLOCK_BYTES];
	struct tar_header header = {.type = '0', .magic = "ustar", .version = {'0', '0'}};

	memcpy(header.name, name, strnlen(name, sizeof header.name));
	snprintf(header.mode, sizeof header.mode, "%07o", 0644);
	snprintf(header.uid, sizeof header.uid, "%07o", 0);
	snprintf(header.gid, sizeof header.gid, "%07o", 0);
	snprintf(header.size, sizeof header.size, "%011zo", bytes);
	snprintf(header.mtime, sizeof header.mtime, "%011llo", (unsigned long long)time(NULL));
	set_checksum(&header);
	text_add(archive, &header, sizeof header);
	text_add(archive, data, bytes);
	text_add(archive, zeros, -bytes % BLOCK_BYTES);
}

void live_tar_end(struct text *archive)
{
	static const char zeros[2 * BLOCK_BYTES];

	text_add(archive, zeros, sizeof zeros);
}
