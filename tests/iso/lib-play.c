/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/iso/lib-play.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/sysroot.h"
#include "iso/live.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/scratch.h"
#include "tests/capture/lib-recorded.h"
#include "tests/iso/lib-net.h"

#define PLAY "play-the-interface"

struct play {
	struct scratch *scratch;
	struct recorded_machine *machine;
	struct child *receiver;
	char *key;
	struct screen *screen;
};

static char *program(void)
{
	const char *build = getenv("P2V_BUILD");

	return xasprintf("%s/bin/p2v", build ? build : "build");
}

bool play_is_interface(int argc, char **argv, int *ret_status)
{
	CLEANUP_FREE char *p2v = program();
	CLEANUP_ERR struct err *err = NULL;
	CLEANUP_FREE char *conf = NULL, *run_dir = NULL, *resolv_conf = NULL;
	struct live_options options = {.command_line = "/dev/null", .program = p2v, .helper_dir = "/none"};

	if (argc != 4 || strcmp(argv[1], PLAY))
		return false;
	conf = xasprintf("%s/p2v.conf", argv[3]);
	run_dir = xasprintf("%s/run", argv[3]);
	resolv_conf = xasprintf("%s/resolv.conf", argv[3]);
	options.sysroot = argv[2];
	options.keeps_network = !*argv[2];
	options.config_file = conf;
	options.run_dir = run_dir;
	options.resolv_conf = resolv_conf;
	err = live_run(&options);
	if (err)
		fprintf(stderr, "%s\n", err_message(err));
	*ret_status = err ? err_kind(err) : 0;
	return true;
}

/* An empty one, so that it can be read; or an encrypted one. */
static void make_disk(struct recorded_machine *machine, const struct recorded_disk *disk)
{
	static const char luks[] = {'L', 'U', 'K', 'S', '\xba', '\xbe', 0, 1};
	CLEANUP_FREE char *relative = xasprintf("/dev/%s", disk->name);
	CLEANUP_FREE char *path = xasprintf("%s%s", machine->root, relative);
	CLEANUP_FD int fd = -1;

	record(machine, relative, "");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, disk->mib << 20), 0);
	if (str_starts_with(disk->name, "nvme"))
		assert_int_equal(write(fd, luks, sizeof luks), sizeof luks);
}

static void record_all(struct recorded_machine *machine)
{
	static const struct recorded_disk disks[] = {
		{.name = "sdzx",
		 .number = "8:0",
		 .place = "pci0000:00/0000:00:17.0/ata1/host0",
		 .mib = 64,
		 .model = "SAMSUNG MZ7LH960HAJR-00005 with a name that goes on and on",
		 .serial = "S45NNC0N1"},
		{.name = "nvme9n1",
		 .number = "259:0",
		 .place = "pci0000:00/0000:01:00.0/nvme/nvme9",
		 .mib = 128,
		 .model = "INTEL SSDPE2KX010T8",
		 .serial = "BTLJ"},
		{.name = "sdzy",
		 .number = "8:16",
		 .place = "pci0000:00/0000:00:14.0/usb1/1-2/host6",
		 .mib = 32,
		 .model = "Ultra",
		 .flags = RECORDED_REMOVABLE},
	};
	static const struct recorded_part parts[] = {
		{"sdzx", 1, "sdzx1", "8:1", "ext4", 1, 20},
		{"sdzx", 2, "sdzx2", "8:2", "crypto_LUKS", 21, 40},
	};

	for (size_t i = 0; i < sizeof disks / sizeof *disks; i++) {
		record_disk(machine, &disks[i]);
		make_disk(machine, &disks[i]);
	}
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		record_part(machine, &parts[i]);
}

void play_start_receiver(struct play *play)
{
	CLEANUP_FREE char *p2v = program();
	CLEANUP_FREE char *jobs = xasprintf("%s/jobs", play_folder(play));
	CLEANUP_FREE char *output = xasprintf("%s/receiver", play_folder(play));
	const char *const argv[] = {p2v, "receive", "--dir", jobs, "--listen", "127.0.0.1", NULL};
	char *text;

	assert_null(child_start(argv, output, NULL, &play->receiver));
	for (;;) {
		text = sysroot_read("", "%s", output);
		if (text && strstr(text, "listening on"))
			break;
		if (child_wait(play->receiver, 50000000) >= 0)
			fail_msg("the receiver ended: %s", text ? text : "");
		free(text);
	}
	free(text);
	free(play->key);
	play->key = sysroot_read("", "%s/.pairing-key", jobs);
	assert_non_null(play->key);
}

void play_kill_receiver(struct play *play)
{
	kill(child_pid(play->receiver), SIGKILL);
	child_stop(take_ptr(play->receiver), 1000000000);
}

static void write_conf(const struct play *play, const char *conf)
{
	CLEANUP_FREE char *path = xasprintf("%s/p2v.conf", play_folder(play));
	CLEANUP_FCLOSE FILE *file = fopen(path, "w");
	const char *place = strstr(conf, "%s");

	assert_non_null(file);
	if (place)
		fprintf(file, "%.*s%s%s", (int)(place - conf), conf, play->key, place + 2);
	else
		fputs(conf, file);
}

struct play *play_begin(const char *conf, const char *device)
{
	struct play *play = xcalloc(1, sizeof *play);
	const char *argv[] = {"/proc/self/exe", PLAY, NULL, NULL, NULL};

	assert_null(scratch_create("/tmp", "p2v-test", &play->scratch));
	if (geteuid() || !net_begin(play_folder(play))) {
		scratch_destroy(play->scratch);
		free(play);
		return NULL;
	}
	play->machine = recorded_create();
	record_all(play->machine);
	play_start_receiver(play);
	write_conf(play, conf);
	argv[2] = device ? "" : play->machine->root;
	argv[3] = play_folder(play);
	play->screen = screen_start(argv);
	return play;
}

void play_end(struct play *play)
{
	if (!play)
		return;
	screen_close(play->screen);
	child_stop(play->receiver, 0);
	recorded_destroy(play->machine);
	net_end();
	free(play->key);
	scratch_destroy(play->scratch);
	free(play);
}

struct screen *play_screen(const struct play *play)
{
	return play->screen;
}

const char *play_key(const struct play *play)
{
	return play->key;
}

const char *play_folder(const struct play *play)
{
	return scratch_path(play->scratch);
}
