/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/base/lib-loop.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"

char *loop_make(const char *file)
{
	const char *const argv[] = {"losetup", "--find", "--show", file, NULL};
	CLEANUP_RUN_RESULT struct run_result result = {0};
	struct err *err = run_argv(argv, &(struct run_options){0}, &result);

	if (err) {
		err_free(err);
		return NULL;
	}
	return xstrndup(result.out, strcspn(result.out, "\n"));
}

void loop_remove(char *device)
{
	const char *const argv[] = {"losetup", "--detach", device, NULL};

	if (device)
		err_free(run_argv(argv, &(struct run_options){0}, NULL));
	free(device);
}
