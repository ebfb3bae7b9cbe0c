/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A checkpoint of each PostgreSQL cluster that listens on a socket here.  What is
 * frozen is as after a power cut, which PostgreSQL repairs when it starts; behind a
 * checkpoint there is little to repair.  So there is nothing to undo.
 *
 * Who owns the socket runs the cluster, and may log in without a password.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/cmd/live-quiesce-impl.h"

#define SOCKET_PREFIX ".s.PGSQL."

/* Debian and others; who has built it himself. */
static const char *const default_folders[] = {"/run/postgresql", "/tmp"};

static struct err *ask_as_owner(const struct quiesce_service *service, const char *folder, const char *port,
				const char *query)
{
	CLEANUP_FREE char *path = xasprintf("%s/" SOCKET_PREFIX "%s", folder, port);
	const char *const ask_owner[] = {"stat", "-c", "%U", path, NULL};
	const struct run_options options = {.time_limit_ns = QUIESCE_LIMIT_NS, .log = service->log};
	CLEANUP_RUN_RESULT struct run_result owner = {0};

	TRY(run_argv(ask_owner, &options, &owner));
	owner.out[strcspn(owner.out, "\n")] = '\0';
	{
		const char *const argv[] = {"runuser", "-u",	   owner.out, "--",   "psql", "-X",
					    "-q",      "-w",	   "-h",      folder, "-p",   port,
					    "-d",      "postgres", "-c",      query,  NULL};

		return err_wrap(run_argv(argv, &options, NULL), "%s", path);
	}
}

static struct err *ask_all_in(const struct quiesce_service *service, const char *folder, const char *query,
			      unsigned *count)
{
	CLEANUP_STRV struct strv ports = {0};
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		const char *port = entry->d_name + strlen(SOCKET_PREFIX);

		if (str_starts_with(entry->d_name, SOCKET_PREFIX) && !port[strspn(port, "0123456789")])
			strv_add(&ports, port);
	}
	if (dir)
		closedir(dir);
	strv_sort(&ports);
	for (size_t i = 0; i < ports.count; i++, ++*count)
		TRY(ask_as_owner(service, folder, ports.items[i], query));
	return NULL;
}

/* Of every cluster. */
static struct err *ask(const struct quiesce_service *service, const char *query)
{
	unsigned count = 0;

	if (service->argument) {
		TRY(ask_all_in(service, service->argument, query, &count));
	} else {
		for (size_t i = 0; i < sizeof default_folders / sizeof *default_folders; i++)
			TRY(ask_all_in(service, default_folders[i], query, &count));
	}
	if (count)
		return NULL;
	return err_advise(
		err_failed("no server has a socket in %s", service->argument ?: "/run/postgresql or /tmp"),
		"start it, name its unix_socket_directories (postgresql:FOLDER), or leave it out");
}

static struct err *check(const struct quiesce_service *service)
{
	return ask(service, "SELECT 1");
}

static struct err *begin(struct quiesce_service *service)
{
	return ask(service, "CHECKPOINT");
}

const struct quiesce_kind quiesce_postgresql = {.name = "postgresql", .check = check, .begin = begin};
