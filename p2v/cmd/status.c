/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v status: the jobs of a receiver, and the machines that are there, from what is on its disk. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "p2v/base/json.h"
#include "p2v/base/mem.h"
#include "p2v/cmd/received.h"
#include "p2v/cmd/status.h"
#include "p2v/cmd/sync.h"

enum { OPT_DIR = 256, OPT_JSON };

static const struct option long_options[] = {
	{"dir", required_argument, NULL, OPT_DIR},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct status_options {
	const char *dir;
	bool json;
};

static void print_help(void)
{
	fputs("p2v status --dir DIR [--json]\n"
	      "\n"
	      "Lists the jobs that 'p2v receive --dir DIR' has and how far they are, and the machines that\n"
	      "have announced themselves to it: by booting the ISO, or by 'p2v announce'.\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	struct status_options *options = arg;

	if (option == OPT_DIR)
		options->dir = optarg;
	options->json |= option == OPT_JSON;
	return NULL;
}

static void add_json(json_t *jobs, const struct checkpoint *job, uint64_t size_bytes, json_t *machine)
{
	json_t *entry = json_object();

	json_set_string(entry, "name", job->name);
	json_set_bool(entry, "complete", job->complete);
	json_set_u64(entry, "started", job->started);
	json_set_u64(entry, "completed", job->completed);
	json_set_u64(entry, "disks", job->disk_count);
	json_set_u64(entry, "size_bytes", size_bytes);
	if (machine)
		json_object_set(entry, "machine", machine);
	json_array_append_new(jobs, entry);
}

/* The sender's words, on somebody's terminal. */
void status_print_words(const char *words)
{
	for (const char *c = words; c && *c; c++)
		putchar((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c);
}

static void print_machine(const struct machine *machine)
{
	char memory[FORMAT_BYTES];

	fputs("    ", stdout);
	status_print_words(machine->hardware.vendor ?: "unknown vendor");
	putchar(' ');
	status_print_words(machine->hardware.model ?: "unknown model");
	printf(", firmware %s", firmware_name(machine->firmware));
	if (machine->processors)
		printf(", %u processor%s", machine->processors, machine->processors == 1 ? "" : "s");
	if (machine->memory_bytes)
		printf(", %s memory", format_size(machine->memory_bytes, memory));
	printf(", %zu network interface%s\n", machine->nic_count, machine->nic_count == 1 ? "" : "s");
}

static void print_job(const struct checkpoint *job, uint64_t size_bytes)
{
	char size[FORMAT_BYTES], when[32] = "";
	struct tm local;

	if (job->completed && localtime_r(&job->completed, &local))
		strftime(when, sizeof when, "%Y-%m-%d %H:%M", &local);
	printf("%-20s %2zu disk%s %10s  %s%s%s%s\n", job->name, job->disk_count,
	       job->disk_count == 1 ? " " : "s", format_size(size_bytes, size),
	       job->complete ? "complete" : "being received",
	       *when ? (job->complete ? ", " : ", last complete ") : "", when, "");
}

static struct err *list_job(const char *folder, bool json, json_t *jobs)
{
	CLEANUP_CHECKPOINT struct checkpoint job = {0};
	CLEANUP_MACHINE struct machine machine = {0};
	CLEANUP_JSON json_t *machine_json = NULL;
	struct err *err = checkpoint_load(folder, &job);
	uint64_t size_bytes = 0;

	/* Not every folder has to be a job. */
	if (err && err_errno(err) == ENOENT) {
		err_free(err);
		return NULL;
	}
	TRY(err);
	for (size_t i = 0; i < job.disk_count; i++)
		size_bytes += job.disks[i].size_bytes;
	err = received_read_machine(folder, &machine_json, &machine);
	if (err && err_errno(err) != ENOENT)
		return err;
	err_free(err);
	if (json)
		add_json(jobs, &job, size_bytes, machine_json);
	else
		print_job(&job, size_bytes);
	if (!json && machine_json)
		print_machine(&machine);
	return NULL;
}

static struct err *list_jobs(const struct status_options *options, json_t *jobs)
{
	CLEANUP_STRV struct strv names = {0};
	struct dirent *entry;
	DIR *dir = opendir(options->dir);

	if (!dir)
		return err_advise(err_as(err_from_errno(errno, "%s", options->dir), ERR_REFUSED),
				  "name the folder that 'p2v receive --dir' was given");
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN))
			strv_add(&names, entry->d_name);
	closedir(dir);
	strv_sort(&names);
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *folder = xasprintf("%s/%s", options->dir, names.items[i]);

		TRY(list_job(folder, options->json, jobs));
	}
	return NULL;
}

static struct err *list_all(const struct status_options *options)
{
	CLEANUP_JSON json_t *all = json_object();
	json_t *jobs = json_array(), *machines = json_array();

	json_object_set_new(all, "jobs", jobs);
	json_object_set_new(all, "machines", machines);
	TRY(list_jobs(options, jobs));
	TRY(status_list_machines(options->dir, options->json ? machines : NULL));
	if (options->json && (json_dumpf(all, stdout, JSON_INDENT(2)) || putchar('\n') == EOF))
		return err_advise(err_failed("cannot write to standard output"), "is the disk full?");
	return NULL;
}

struct err *cmd_status(int argc, char **argv)
{
	struct status_options options = {0};
	bool help = false;

	TRY(cmd_take_options(argc, argv, long_options, take_option, &options, print_help, &help));
	if (help)
		return NULL;
	if (optind < argc || !options.dir)
		return err_advise(err_usage("status: --dir is wanted, and nothing else"),
				  "say for example --dir /srv/p2v");
	return list_all(&options);
}
