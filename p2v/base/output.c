/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One new file that appears when it is whole. */
#include "p2v/base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/file.h"
#include "p2v/base/mem.h"
#include "p2v/base/scratch.h"

struct output {
	char *final_path;
	char *folder;
	struct scratch *scratch;
	char *path;
};

static struct err *refuse_taken(const char *path)
{
	return err_advise(err_refused("%s: exists already", path), "name another file, or remove this one");
}

struct err *output_begin(const char *final_path, struct output **ret_output)
{
	CLEANUP_OUTPUT struct output *output = xcalloc(1, sizeof *output);
	CLEANUP_FREE char *prefix = NULL;
	const char *slash = strrchr(final_path, '/'), *name = slash ? slash + 1 : final_path;
	struct stat st;

	output->final_path = xstrdup(final_path);
	output->folder = file_folder(final_path);
	if (!*name)
		return err_advise(err_usage("'%s' is no name of a file", final_path),
				  "name the file to make");
	if (!lstat(final_path, &st))
		return refuse_taken(final_path);
	prefix = xasprintf(".%s", name);
	TRY(err_as(scratch_create(output->folder, prefix, &output->scratch), ERR_REFUSED));
	output->path = scratch_file(output->scratch, name);
	*ret_output = take_ptr(output);
	return NULL;
}

const char *output_path(const struct output *output)
{
	return output->path;
}

struct err *output_name_it(const struct output *output, struct err *err)
{
	CLEANUP_ERR struct err *inner = err;
	const char *message = err ? err_message(err) : "", *at = strstr(message, output->path), *rest;
	struct err *named;

	if (!at)
		return take_ptr(inner);
	rest = at + strlen(output->path);
	named = err_as(err_failed("%.*s%s%s", (int)(at - message), message, output->final_path, rest),
		       err_kind(err));
	return err_advice(err) ? err_advise(named, "%s", err_advice(err)) : named;
}

const char *output_folder(const struct output *output)
{
	return output->folder;
}

/* Some file systems cannot rename without replacing: they get the check that can lose a race. */
static struct err *give_name(const struct output *output)
{
	struct stat st;

	if (!renameat2(AT_FDCWD, output->path, AT_FDCWD, output->final_path, RENAME_NOREPLACE))
		return NULL;
	if (errno == EEXIST || !lstat(output->final_path, &st))
		return refuse_taken(output->final_path);
	if ((errno == EINVAL || errno == ENOSYS) && !rename(output->path, output->final_path))
		return NULL;
	return err_from_errno(errno, "%s", output->final_path);
}

struct err *output_commit(struct output *output)
{
	CLEANUP_FD int fd = -1;

	TRY(give_name(output));
	fd = open(output->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (fsync(fd) && errno != EINVAL))
		return err_from_errno(errno, "%s", output->folder);
	return NULL;
}

void output_destroy(struct output *output)
{
	if (!output)
		return;
	scratch_destroy(output->scratch);
	free(output->final_path);
	free(output->folder);
	free(output->path);
	free(output);
}
