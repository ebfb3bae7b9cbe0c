// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * tool-hold PORT KEY-FILE JOB IMAGE: a sender of an image to a receiver on 127.0.0.1, which dies between its
 * two commits, of SIGKILL: the job is held from then on.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "p2v/sync/sender.h"

struct image {
	struct blk *blk;
};

static struct err *take_changes(void *arg, size_t disk, struct extents *ret_changed, bool *ret_is_certain)
{
	(void)arg, (void)disk, (void)ret_changed;
	*ret_is_certain = true;
	return NULL;
}

static struct err *find_used(void *arg, size_t disk, struct extents *ret_used)
{
	const struct image *image = arg;

	(void)disk;
	extents_add(ret_used, 0, image->blk->size_bytes);
	return NULL;
}

static enum live_order cut_over(void *arg, const struct live_state *state, uint64_t limit_ns)
{
	(void)arg, (void)state, (void)limit_ns;
	return LIVE_CUT_OVER;
}

static struct err *do_nothing(void *arg)
{
	(void)arg;
	return NULL;
}

static void thaw(void *arg, const struct err *why)
{
	(void)arg, (void)why;
}

static struct err *die(void *arg)
{
	(void)arg;
	raise(SIGKILL);
	return NULL;
}

static struct err *connect_to(void *arg, int *ret_fd)
{
	const struct sockaddr_in *address = arg;
	CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address))
		return err_from_errno(errno, "port %u", ntohs(address->sin_port));
	*ret_fd = take_fd(&fd);
	return NULL;
}

static struct err *send_image(char **argv)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(strtoul(argv[1], NULL, 10)),
		.sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	struct image image = {0};
	const struct live_source source = {
		.arg = &image,
		.take_changes = take_changes,
		.find_used = find_used,
		.wait = cut_over,
		.prepare = do_nothing,
		.freeze = do_nothing,
		.check_frozen = do_nothing,
		.check = do_nothing,
		.thaw = thaw,
		.keep = die,
		.check_kept = do_nothing,
	};
	const struct live_options live = {.source = &source, .freeze_limit_ns = UINT64_MAX};
	struct sender_disk disk = {.id = "image"};
	struct sender_options options = {
		.connect = connect_to,
		.connect_arg = &address,
		.name = argv[3],
		.disks = &disk,
		.disk_count = 1,
		.live = &live,
	};
	CLEANUP_SENDER_RESULT struct sender_result result = {0};
	CLEANUP_KEY struct key *key = NULL;

	TRY(key_read_file(argv[2], &key));
	TRY(blk_file_open(argv[4], 0, 0, &image.blk));
	options.key = key;
	disk.blk = image.blk;
	return sender_run(&options, &result);
}

int main(int argc, char **argv)
{
	CLEANUP_ERR struct err *err = argc == 5 ? send_image(argv) : err_usage("PORT KEY-FILE JOB IMAGE");

	fprintf(stderr, "tool-hold: %s\n", err ? err_message(err) : "was not killed");
	return 1;
}
