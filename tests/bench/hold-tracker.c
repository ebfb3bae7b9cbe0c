/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hold-tracker DEVICE TIER: tracks a disk until standard input ends; says when it does, and the verdict. */
#include <stdio.h>
#include <unistd.h>

#include "capture/track.h"

static struct err *hold(const char *device, const char *tier_name)
{
	CLEANUP_TRACKER struct tracker *tracker = NULL;
	CLEANUP_EXTENTS struct extents changed = {0};
	CLEANUP_EXTENTS struct extents discarded = {0};
	struct tracker_options options = {0};
	struct tracker_verdict verdict;
	char byte;

	TRY(tracker_options_parse(tier_name, &options));
	TRY(tracker_start(&device, 1, &options, &tracker));
	puts("tracking");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	tracker_check(tracker, 0, &verdict);
	tracker_take(tracker, 0, &changed, &discarded);
	printf("%s, %llu MiB changed\n", verdict.reason ? verdict.reason : "certain",
	       (unsigned long long)extents_total_bytes(&changed) >> 20);
	return NULL;
}

int main(int argc, char **argv)
{
	struct err *err;

	if (argc != 3)
		return 2;
	err = hold(argv[1], argv[2]);
	if (err)
		fprintf(stderr, "%s\n", err_message(err));
	err_free(err);
	return err != NULL;
}
