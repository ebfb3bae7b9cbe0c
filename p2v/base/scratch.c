/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/base/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "p2v/base/guardian.h"
#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"

struct scratch {
	char *path;
	struct guardian *guardian;
};

/* Ends the guardian and the struct; the folder is somebody else's from here on. */
static void scratch_release(struct scratch *scratch)
{
	guardian_dismiss(scratch->guardian);
	free(scratch->path);
	free(scratch);
}

struct err *scratch_create(const char *parent, const char *prefix, struct scratch **ret_scratch)
{
	struct scratch *scratch;
	struct guardian *guardian;
	int errnum;

	TRY(guardian_start(&guardian));
	scratch = xcalloc(1, sizeof *scratch);
	scratch->guardian = guardian;
	scratch->path = xasprintf("%s/%s.XXXXXX", parent, prefix);
	errnum = guardian_make_tree(guardian, scratch->path);
	if (errnum) {
		struct err *err = err_from_errno(errnum, "%s: cannot make a working folder there", parent);

		scratch_release(scratch);
		return err_advise(err,
				  "name a folder that exists and can be written, with space for the result");
	}
	*ret_scratch = scratch;
	return NULL;
}

const char *scratch_path(const struct scratch *scratch)
{
	return scratch->path;
}

char *scratch_file(const struct scratch *scratch, const char *name)
{
	return xasprintf("%s/%s", scratch->path, name);
}

struct err *scratch_commit(struct scratch **scratch, const char *final_path)
{
	if (chmod((*scratch)->path, 0755) ||
	    renameat2(AT_FDCWD, (*scratch)->path, AT_FDCWD, final_path, RENAME_NOREPLACE))
		return err_from_errno(errno, "%s", final_path);
	scratch_release(take_ptr(*scratch));
	return NULL;
}

void scratch_destroy(struct scratch *scratch)
{
	if (!scratch)
		return;
	/* What cannot be removed stays. */
	(void)remove_tree(scratch->path);
	scratch_release(scratch);
}
