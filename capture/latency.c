/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fields of `stat`: Documentation/block/stat.rst. */
#include "capture/latency.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "capture/sysroot.h"
#include "p2v/base/mem.h"

#define MIN_WRITES 8u /* a mean of fewer tells nothing */
#define MIN_WRITES_EVER 1000u
#define NOTICED_US 2000u /* what is added to twice as long */
#define FORGOTTEN_US 1000u /* and to half as long again, from where on it is well */
#define DRIFT 64u /* a server's habits change: the base rises by this part of what is above it */
/* And falls by this one: what a cache takes in a lull is no measure for other writes. */
#define DRIFT_DOWN 16u
/* The same where we hardly read any more: what writers wait then is not for us. */
#define DRIFT_HELD_BACK 4u

static uint64_t mean_us(uint64_t writes, uint64_t waited_us)
{
	/* Never 0, which is not known. */
	return waited_us / writes + 1;
}

void latency_learn(struct latency *latency, uint64_t writes, uint64_t waited_us)
{
	if (writes >= MIN_WRITES_EVER)
		latency->base_us = mean_us(writes, waited_us);
}

void latency_judge(struct latency *latency, uint64_t writes, uint64_t waited_us)
{
	uint64_t now_us, base_us = latency->base_us;
	unsigned drift = latency->level == LATENCY_MAX_LEVEL ? DRIFT_HELD_BACK : DRIFT;

	if (writes < MIN_WRITES) {
		latency->level /= 2;
		return;
	}
	now_us = mean_us(writes, waited_us);
	if (base_us && now_us > 2 * base_us + NOTICED_US)
		latency->level = latency->level ? latency->level * 2 : 1;
	else if (now_us < base_us + base_us / 2 + FORGOTTEN_US)
		latency->level /= 2;
	if (latency->level > LATENCY_MAX_LEVEL)
		latency->level = LATENCY_MAX_LEVEL;
	if (!base_us)
		latency->base_us = now_us;
	else if (now_us < base_us)
		latency->base_us -= (base_us - now_us) / DRIFT_DOWN;
	else
		latency->base_us += (now_us - base_us) / drift;
}

struct gauged_disk {
	char *number;
	uint64_t writes, waited_ms; /* at the last look */
	struct latency latency;
};

struct latency_gauge {
	struct gauged_disk *disks;
	size_t count;
};

static bool look(const struct gauged_disk *disk, uint64_t *ret_writes, uint64_t *ret_waited_ms)
{
	CLEANUP_FREE char *text = sysroot_read("", "/sys/dev/block/%s/stat", disk->number);

	return text &&
	       sscanf(text, "%*u %*u %*u %*u %" SCNu64 " %*u %*u %" SCNu64, ret_writes, ret_waited_ms) == 2;
}

static struct err *open_disk(const char *device, struct gauged_disk *disk)
{
	struct stat st;

	if (stat(device, &st))
		return err_from_errno(errno, "%s", device);
	disk->number = xasprintf("%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (!look(disk, &disk->writes, &disk->waited_ms))
		return err_failed("%s: the kernel does not tell how long writes take", device);
	latency_learn(&disk->latency, disk->writes, disk->waited_ms * 1000);
	return NULL;
}

struct err *latency_open(const char *const *devices, size_t count, struct latency_gauge **ret_gauge)
{
	struct latency_gauge *gauge = xcalloc(1, sizeof *gauge);
	struct err *err = NULL;

	gauge->disks = xcalloc(count, sizeof *gauge->disks);
	gauge->count = count;
	for (size_t i = 0; i < count && !err; i++)
		err = open_disk(devices[i], &gauge->disks[i]);
	if (err)
		latency_close(gauge);
	else
		*ret_gauge = gauge;
	return err;
}

void latency_close(struct latency_gauge *gauge)
{
	if (!gauge)
		return;
	for (size_t i = 0; i < gauge->count; i++)
		free(gauge->disks[i].number);
	free(gauge->disks);
	free(gauge);
}

unsigned latency_level(struct latency_gauge *gauge)
{
	unsigned level = 0;

	for (size_t i = 0; i < gauge->count; i++) {
		struct gauged_disk *disk = &gauge->disks[i];
		uint64_t writes, waited_ms;

		if (!look(disk, &writes, &waited_ms))
			continue;
		latency_judge(&disk->latency, writes - disk->writes, (waited_ms - disk->waited_ms) * 1000);
		disk->writes = writes;
		disk->waited_ms = waited_ms;
		level = disk->latency.level > level ? disk->latency.level : level;
	}
	return level;
}
