/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Processors, from /proc/cpuinfo. */
#include <stdlib.h>
#include <string.h>

#include "capture/discover-impl.h"
#include "p2v/base/mem.h"

/* What software may insist on, and a hypervisor's processor may lack. */
static const char *const wanted_flags[] = {
	"vmx",	"svm", "aes",  "ssse3",	  "sse4_1", "sse4_2", "popcnt", "avx",
	"avx2", "fma", "bmi2", "avx512f", "sha_ni", "rdrand", "rdseed", "amx_tile",
};

/* The value of "key	: value", with its end; NULL if the line has another key. */
static char *line_value(const char *line, const char *key)
{
	size_t bytes = strlen(key);
	const char *colon = strchr(line, ':');

	if (strncmp(line, key, bytes) || !colon ||
	    (line[bytes] != '\t' && line[bytes] != ' ' && line[bytes] != ':'))
		return NULL;
	colon++;
	return xstrdup(colon + strspn(colon, " "));
}

static void take_flags(const char *value, struct machine_cpu *cpu)
{
	CLEANUP_STRV struct strv all = {0};

	strv_split(&all, value, " ");
	for (size_t i = 0; i < sizeof wanted_flags / sizeof *wanted_flags; i++)
		if (strv_has(&all, wanted_flags[i]))
			strv_add(&cpu->flags, wanted_flags[i]);
}

struct topology {
	struct strv sockets; /* "0" */
	struct strv cores; /* "0:3": numbers of cores count within a socket */
	char *socket; /* of the processor that is being read */
};

static void add_once(struct strv *list, const char *item)
{
	if (!strv_has(list, item))
		strv_add(list, item);
}

static void take_line(const char *line, struct machine_cpu *cpu, struct topology *topology)
{
	CLEANUP_FREE char *model = line_value(line, "model name");
	CLEANUP_FREE char *socket = line_value(line, "physical id");
	CLEANUP_FREE char *core = line_value(line, "core id");
	CLEANUP_FREE char *flags = line_value(line, "flags");
	CLEANUP_FREE char *processor = line_value(line, "processor");

	if (model && !cpu->model)
		cpu->model = take_ptr(model);
	if (flags && !cpu->flags.count)
		take_flags(flags, cpu);
	cpu->threads += !!processor;
	if (socket) {
		add_once(&topology->sockets, socket);
		free(topology->socket);
		topology->socket = take_ptr(socket);
	}
	if (core && topology->socket) {
		CLEANUP_FREE char *whole = xasprintf("%s:%s", topology->socket, core);

		add_once(&topology->cores, whole);
	}
}

void discover_cpu(const char *root, struct machine *machine)
{
	CLEANUP_STRV struct strv lines = {0};
	struct topology topology = {0};

	sysroot_lines(root, &lines, "/proc/cpuinfo");
	for (size_t i = 0; i < lines.count; i++)
		take_line(lines.items[i], &machine->cpu, &topology);
	machine->cpu.sockets = topology.sockets.count;
	machine->cpu.cores = topology.cores.count;
	machine->processors = machine->cpu.threads;
	strv_deinit(&topology.sockets);
	strv_deinit(&topology.cores);
	free(topology.socket);
}
