// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A fuzz target as a plain program, for any compiler: runs the files named, and
 * all files in folders named.  Ends as the target does: a crash is a finding.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/cleanup.h"
#include "p2v/base/mem.h"
#include "tests/fuzz/lib-fuzz-target.h"

static void fail(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(1);
}

static void run_file(const char *path, size_t bytes)
{
	CLEANUP_FREE uint8_t *data = xmalloc(bytes ? bytes : 1);
	FILE *file = fopen(path, "rb");

	if (!file || fread(data, 1, bytes, file) != bytes)
		fail(path);
	fclose(file);
	/* Named before it is tried: a crash leaves nobody to say which one it was. */
	fprintf(stderr, "%s\n", path);
	(void)LLVMFuzzerTestOneInput(data, bytes);
}

/* The number of inputs tried. */
static unsigned long run(const char *path)
{
	unsigned long tried = 0;
	struct stat st;
	struct dirent *entry;
	DIR *dir;

	if (stat(path, &st))
		fail(path);
	if (!S_ISDIR(st.st_mode)) {
		run_file(path, (size_t)st.st_size);
		return 1;
	}
	dir = opendir(path);
	if (!dir)
		fail(path);
	while ((entry = readdir(dir))) {
		CLEANUP_FREE char *inner = xasprintf("%s/%s", path, entry->d_name);

		if (entry->d_name[0] != '.')
			tried += run(inner);
	}
	closedir(dir);
	return tried;
}

int main(int argc, char **argv)
{
	unsigned long tried = 0;

	for (int i = 1; i < argc; i++)
		tried += run(argv[i]);
	printf("%lu inputs tried\n", tried);
	return tried ? 0 : 1;
}
