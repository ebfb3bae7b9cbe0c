/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v status: the jobs of a receiver, and the machines that are there, from what is on its disk. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "p2v/base/json.h"
#include "p2v/base/mem.h"
#include "p2v/cmd/received.h"
#include "p2v/cmd/rehearse.h"
#include "p2v/cmd/status.h"
#include "p2v/cmd/sync.h"
#include "p2v/sync/passes.h"

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

/* What is known of a job beside its checkpoint. */
struct job_facts {
	uint64_t size_bytes;
	struct passes passes;
	struct rehearsal rehearsal;
	struct machine machine;
	json_t *machine_json; /* NULL: it told nothing */
};

static void job_facts_deinit(struct job_facts *facts)
{
	rehearsal_deinit(&facts->rehearsal);
	machine_deinit(&facts->machine);
	json_decref(facts->machine_json);
}

static struct err *read_facts(const char *folder, const struct checkpoint *job, struct job_facts *facts)
{
	struct err *err;

	for (size_t i = 0; i < job->disk_count; i++)
		facts->size_bytes += job->disks[i].size_bytes;
	TRY(passes_load(folder, &facts->passes));
	TRY(rehearsal_load(folder, &facts->rehearsal));
	err = received_read_machine(folder, &facts->machine_json, &facts->machine);
	if (!err || err_errno(err) != ENOENT)
		return err;
	err_free(err);
	return NULL;
}

static void add_json(json_t *jobs, const struct checkpoint *job, const struct job_facts *facts)
{
	json_t *entry = json_object();

	json_set_string(entry, "name", job->name);
	json_set_bool(entry, "complete", job->complete);
	json_set_bool(entry, "held", job->held_since);
	json_set_u64(entry, "started", job->started);
	json_set_u64(entry, "completed", job->completed);
	json_set_u64(entry, "held_since", job->held_since);
	json_set_u64(entry, "disks", job->disk_count);
	json_set_u64(entry, "size_bytes", facts->size_bytes);
	json_set_u64(entry, "passes", facts->passes.over);
	if (facts->rehearsal.verdict)
		json_object_set_new(entry, "rehearsal", rehearsal_to_json(&facts->rehearsal));
	if (facts->machine_json)
		json_object_set(entry, "machine", facts->machine_json);
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

static void format_time(time_t when, char *ret_text, size_t bytes)
{
	struct tm local;

	if (!when || !localtime_r(&when, &local) || !strftime(ret_text, bytes, "%Y-%m-%d %H:%M", &local))
		*ret_text = '\0';
}

static void print_rehearsal(const struct rehearsal *rehearsal)
{
	char when[32];

	if (!rehearsal->verdict)
		return;
	format_time(rehearsal->when, when, sizeof when);
	printf("    rehearsed %s: %s%s", when, rehearsal_words(rehearsal), rehearsal->reason ? ": " : "");
	status_print_words(rehearsal->reason);
	putchar('\n');
}

static void print_job(const struct checkpoint *job, const struct job_facts *facts)
{
	const char *state = job->complete ? "complete" : job->held_since ? "held since" : "being received";
	time_t when = job->held_since ?: job->completed;
	char size[FORMAT_BYTES], when_text[32];

	format_time(when, when_text, sizeof when_text);
	printf("%-20s %2zu disk%s %10s  %s%s%s\n", job->name, job->disk_count,
	       job->disk_count == 1 ? " " : "s", format_size(facts->size_bytes, size), state,
	       !when		 ? ""
	       : job->held_since ? " "
	       : job->complete	 ? ", "
				 : ", last complete ",
	       when_text);
	if (job->held_since)
		puts("    all of it is here, but the sender has not said the last word: its server may have "
		     "gone "
		     "on.\n"
		     "    Cut over again; or see that the server is off, then 'p2v convert --take-held'.");
	else if (!job->complete && facts->passes.over)
		printf("    all of it was brought over once, then what had changed: %" PRIu64 " passes\n",
		       facts->passes.over);
	print_rehearsal(&facts->rehearsal);
	if (facts->machine_json)
		print_machine(&facts->machine);
}

static struct err *list_job(const char *folder, bool json, json_t *jobs)
{
	CLEANUP_CHECKPOINT struct checkpoint job = {0};
	CLEANUP(job_facts_deinit) struct job_facts facts = {0};
	struct err *err = checkpoint_load(folder, &job);

	/* Not every folder has to be a job. */
	if (err && err_errno(err) == ENOENT) {
		err_free(err);
		return NULL;
	}
	TRY(err);
	TRY(read_facts(folder, &job, &facts));
	if (json)
		add_json(jobs, &job, &facts);
	else
		print_job(&job, &facts);
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
