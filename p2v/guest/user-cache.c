/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/guest/user-cache.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2v/base/cleanup.h"
#include "p2v/base/mem.h"

char *user_cache_dir(void)
{
	const char *cache = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	CLEANUP_FREE char *parent = NULL;
	CLEANUP_FREE char *dir = NULL;

	if (cache && cache[0] == '/')
		parent = xstrdup(cache);
	else if (home && home[0] == '/')
		parent = xasprintf("%s/.cache", home);
	else
		return NULL;
	dir = xasprintf("%s/p2v", parent);
	mkdir(parent, 0700);
	mkdir(dir, 0700);
	return access(dir, W_OK) == 0 ? take_ptr(dir) : NULL;
}
