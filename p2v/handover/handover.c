/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of writers, and the one way their text becomes a file: written
 * beside, synced, renamed.
 */
#include "p2v/handover/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2v/base/mem.h"

static const struct handover *const handovers[] = {&handover_hyperv, &handover_libvirt};

const struct handover *handover_find(enum target target)
{
	for (size_t i = 0; i < sizeof handovers / sizeof *handovers; i++)
		if (handovers[i]->target == target)
			return handovers[i];
	return NULL;
}

static struct err *write_all(int fd, const char *path, const struct text *text)
{
	size_t done = 0;

	while (done < text->bytes) {
		ssize_t put = write(fd, text->data + done, text->bytes - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_from_errno(errno, "%s", path);
		done += put;
	}
	if (fsync(fd) || fchmod(fd, 0644))
		return err_from_errno(errno, "%s", path);
	return NULL;
}

static struct err *write_whole(const char *path, const struct text *text)
{
	CLEANUP_FREE char *temporary = xasprintf("%s.XXXXXX", path);
	CLEANUP_FD int fd = mkostemp(temporary, O_CLOEXEC);
	struct err *err;

	if (fd < 0)
		return err_from_errno(errno, "%s", path);
	err = write_all(fd, path, text);
	if (!err && rename(temporary, path))
		err = err_from_errno(errno, "%s", path);
	if (err)
		unlink(temporary);
	return err;
}

struct err *handover_write(const struct vm *vm, const char *dir, struct strv *ret_names)
{
	const struct handover *handover = handover_find(vm->target);
	CLEANUP_TEXT struct text text = {0};
	CLEANUP_FREE char *name = NULL;
	CLEANUP_FREE char *path = NULL;

	if (!handover)
		return err_advise(err_refused("%s: p2v cannot define machines for this target",
					      target_name(vm->target)),
				  "define the machine by hand from machine.json");
	name = xasprintf("%s%s", vm->file_name, handover->extension);
	path = xasprintf("%s/%s", dir, name);
	TRY(handover->format(vm, &text));
	TRY(write_whole(path, &text));
	strv_add(ret_names, name);
	return NULL;
}
