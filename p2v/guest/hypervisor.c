/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Between fork and prctl(PR_SET_PDEATHSIG) the parent may end unnoticed, so the
 * script looks for it afterwards.  /proc/PID/exe is gone from the moment of
 * death on, also while the dead process has not been waited for.
 *
 * libguestfs asks a hypervisor what it can do, which takes a second, and keeps
 * the answers by size and time of the file: so the script has the hypervisor's
 * time, and one size whatever our number.
 */
#include "p2v/guest/hypervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2v/base/cleanup.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/strv.h"
#include "p2v/guest/appliance-impl.h"

static void format_script(const char *hypervisor, struct text *ret_text)
{
	text_addf(ret_text,
		  "#!/bin/sh\nexec setpriv --pdeathsig KILL sh -c '[ -e \"/proc/$0/exe\" ] && exec \"$@\"' "
		  "%-10d ",
		  (int)getpid());
	appliance_quote(ret_text, hypervisor);
	text_addf(ret_text, " \"$@\"\n");
}

static struct err *write_script(const char *path, const struct text *script, const struct timespec *time)
{
	const struct timespec times[2] = {*time, *time};
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	if (fd < 0 || write(fd, script->data, script->bytes) != (ssize_t)script->bytes ||
	    futimens(fd, times) || access(path, X_OK)) /* no: a file system mounted noexec */
		return err_from_errno(errno, "%s", path);
	return NULL;
}

struct err *hypervisor_bind(const char *hypervisor, const char *dir, char **ret_path)
{
	CLEANUP_FREE char *path = xasprintf("%s/bound-hypervisor", dir);
	CLEANUP_TEXT struct text script = {0};
	struct stat stat_of = {0};

	if (!run_is_installed("setpriv"))
		return err_failed("setpriv is not installed");
	if (hypervisor[0] == '/' && stat(hypervisor, &stat_of))
		return err_from_errno(errno, "%s", hypervisor);
	format_script(hypervisor, &script);
	TRY(write_script(path, &script, &stat_of.st_mtim));
	*ret_path = take_ptr(path);
	return NULL;
}
