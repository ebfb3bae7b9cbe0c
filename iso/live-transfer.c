/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `send --json` as a child: its standard error is progress, a JSON value a
 * line, and messages for people; its exit code says whether to try again.
 */
#include "iso/live-transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "iso/live-key-file.h"
#include "iso/live-lines.h"
#include "p2v/base/json.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"

#define DEFAULT_PAUSE_NS 5000000000
#define STOP_GRACE_NS 1000000000

struct live_transfer {
	struct live_transfer_options options;
	char *key_file;
	struct child *child; /* NULL: not running */
	struct live_lines lines;
	enum live_phase phase;
	uint64_t try_again_ns;
	char *last_lines[2]; /* the newest one second: message and advice, if it fails */
	char *message, *advice, *warning;
	unsigned tries;
	struct live_progress numbers; /* numbers alone */
	struct live_disk_progress *disks;
	size_t disk_count;
};

const char *live_phase_name(enum live_phase phase)
{
	static const char *const names[] = {"connecting", "sending", "waiting", "done", "failed"};

	return names[phase];
}

static void replace(char **text, char *value)
{
	free(*text);
	*text = value;
}

static void make_arguments(const struct live_transfer *transfer, struct strv *argv)
{
	const struct live_transfer_options *options = &transfer->options;
	const struct live_config *config = options->config;

	strv_add(argv, options->program);
	strv_add(argv, "send");
	strv_add(argv, "--json");
	strv_addf(argv, "--key-file=%s", transfer->key_file);
	strv_addf(argv, "--name=%s", options->name);
	for (size_t i = 0; i < options->disks->count; i++)
		strv_addf(argv, "--disk=%s", options->disks->items[i]);
	if (config->limit)
		strv_addf(argv, "--limit=%s", config->limit);
	if (config->zero_unreadable)
		strv_add(argv, "--on-read-error=zero");
	if (config->verify)
		strv_add(argv, "--verify");
	if (config->all)
		strv_add(argv, "--all");
	strv_add(argv, "--");
	strv_add(argv, config->server);
}

static struct err *start_child(struct live_transfer *transfer)
{
	const struct run_options options = {.log = transfer->options.log};
	CLEANUP_STRV struct strv argv = {0};
	CLEANUP_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	CLEANUP_FD int other = -1;

	if (null < 0)
		return err_from_errno(errno, "/dev/null");
	TRY(live_key_file_write(transfer->key_file, transfer->options.config->key));
	make_arguments(transfer, &argv);
	live_lines_end(&transfer->lines);
	TRY(live_lines_begin(&transfer->lines, &other));
	TRY(child_start_on((const char *const *)argv.items, (const int[3]){null, null, other}, &options,
			   &transfer->child));
	transfer->tries++;
	transfer->phase = LIVE_CONNECTING;
	return NULL;
}

static void free_disks(struct live_transfer *transfer)
{
	for (size_t i = 0; i < transfer->disk_count; i++)
		free(transfer->disks[i].source);
	free(take_ptr(transfer->disks));
	transfer->disk_count = 0;
}

static uint64_t number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? value : 0;
}

static void take_disks(struct live_transfer *transfer, const json_t *array)
{
	size_t index;
	json_t *item;

	free_disks(transfer);
	transfer->disks = xcalloc(json_array_size(array), sizeof *transfer->disks);
	json_array_foreach (array, index, item) {
		transfer->disks[transfer->disk_count++] = (struct live_disk_progress){
			.source = xstrdup(json_string_or(item, "source", "?")),
			.size_bytes = number(item, "size_bytes"),
			.total_bytes = number(item, "used_bytes"),
		};
	}
}

/* The sender takes the disks one after the other, so that what is done of all tells what is done of each. */
static void divide_among_disks(struct live_transfer *transfer)
{
	const struct live_progress *all = &transfer->numbers;
	uint64_t used_bytes = 0, done_bytes;

	for (size_t i = 0; i < transfer->disk_count; i++)
		used_bytes += transfer->disks[i].total_bytes;
	/* Whole pages are read, so that there is a little more to read than is used. */
	done_bytes = all->total_bytes ? (double)all->done_bytes / all->total_bytes * used_bytes : 0;
	for (size_t i = 0; i < transfer->disk_count; i++) {
		struct live_disk_progress *disk = &transfer->disks[i];

		disk->done_bytes = done_bytes < disk->total_bytes ? done_bytes : disk->total_bytes;
		done_bytes -= disk->done_bytes;
	}
}

static void take_progress(struct live_transfer *transfer, const json_t *progress)
{
	transfer->phase = LIVE_SENDING;
	transfer->numbers.done_bytes = number(progress, "done_bytes");
	transfer->numbers.total_bytes = number(progress, "total_bytes");
	transfer->numbers.bytes_per_second = number(progress, "bytes_per_second");
	transfer->numbers.remaining_seconds = number(progress, "remaining_seconds");
	divide_among_disks(transfer);
}

/* "NAME: warning: …" is one, "NAME: …" are message and advice at the end. */
static void take_message(struct live_transfer *transfer, char *line)
{
	char *colon = strstr(line, ": ");
	const char *text = colon ? colon + 2 : line;

	if (!*line) {
		free(line);
		return;
	}
	if (str_starts_with(text, "warning: ")) {
		log_warning(transfer->options.log, "send: %s", text + strlen("warning: "));
		replace(&transfer->warning, xstrdup(text + strlen("warning: ")));
	} else {
		log_info(transfer->options.log, "send: %s", text);
		replace(&transfer->last_lines[0], take_ptr(transfer->last_lines[1]));
		transfer->last_lines[1] = xstrdup(text);
	}
	free(line);
}

static void take_line(struct live_transfer *transfer, char *line)
{
	CLEANUP_JSON json_t *json = *line == '{' ? json_loads(line, 0, NULL) : NULL;

	if (!json) {
		take_message(transfer, line);
		return;
	}
	if (json_object_get(json, "disks"))
		take_disks(transfer, json_object_get(json, "disks"));
	if (json_object_get(json, "progress"))
		take_progress(transfer, json_object_get(json, "progress"));
	free(line);
}

/* An error is one line, or two with what to do; a crash is none. */
static void take_error(struct live_transfer *transfer, int status)
{
	char **last = transfer->last_lines;

	if (last[0]) {
		replace(&transfer->message, take_ptr(last[0]));
		replace(&transfer->advice, take_ptr(last[1]));
	} else if (last[1]) {
		replace(&transfer->message, take_ptr(last[1]));
		replace(&transfer->advice, NULL);
	} else {
		replace(&transfer->message, xasprintf("sending ended with status %d", status));
		replace(&transfer->advice, NULL);
	}
}

static void end_try(struct live_transfer *transfer, int status)
{
	uint64_t pause_ns = transfer->options.pause_ns ? transfer->options.pause_ns : DEFAULT_PAUSE_NS;

	child_stop(take_ptr(transfer->child), 0);
	live_key_file_remove(transfer->key_file);
	if (!status) {
		transfer->phase = LIVE_DONE;
		transfer->numbers.done_bytes = transfer->numbers.total_bytes;
		divide_among_disks(transfer);
		replace(&transfer->message, NULL);
		replace(&transfer->advice, NULL);
		return;
	}
	take_error(transfer, status);
	transfer->phase = status == ERR_USAGE || status == ERR_REFUSED ? LIVE_REFUSED : LIVE_PAUSED;
	transfer->try_again_ns = run_now_ns() + pause_ns;
	transfer->numbers.bytes_per_second = 0;
	log_warning(transfer->options.log, "%s (status %d)%s", transfer->message, status,
		    transfer->phase == LIVE_PAUSED ? ": trying again" : "");
}

static void move_on(struct live_transfer *transfer)
{
	CLEANUP_ERR struct err *err = NULL;
	char *line;
	int status;

	if (transfer->phase == LIVE_PAUSED && run_now_ns() >= transfer->try_again_ns) {
		err = start_child(transfer);
		if (err) {
			replace(&transfer->message, xstrdup(err_message(err)));
			transfer->try_again_ns = run_now_ns() + DEFAULT_PAUSE_NS;
		}
	}
	/* First whether it has ended, then what it said: nothing can come later. */
	status = transfer->child ? child_wait(transfer->child, 0) : -1;
	while ((line = live_lines_take(&transfer->lines)))
		take_line(transfer, line);
	if (status >= 0)
		end_try(transfer, status);
}

struct err *live_transfer_start(const struct live_transfer_options *options,
				struct live_transfer **ret_transfer)
{
	struct live_transfer *transfer = xcalloc(1, sizeof *transfer);
	struct err *err;

	transfer->options = *options;
	transfer->lines.fd = -1;
	transfer->key_file = xasprintf("%s/send.key", options->run_dir);
	err = start_child(transfer);
	if (err)
		live_transfer_stop(transfer);
	else
		*ret_transfer = transfer;
	return err;
}

void live_transfer_look(struct live_transfer *transfer, struct live_progress *ret_progress)
{
	move_on(transfer);
	*ret_progress = transfer->numbers;
	ret_progress->phase = transfer->phase;
	ret_progress->tries = transfer->tries;
	ret_progress->message = transfer->message;
	ret_progress->advice = transfer->advice;
	ret_progress->warning = transfer->warning;
	ret_progress->disks = transfer->disks;
	ret_progress->disk_count = transfer->disk_count;
}

void live_transfer_stop(struct live_transfer *transfer)
{
	if (!transfer)
		return;
	child_stop(transfer->child, STOP_GRACE_NS);
	live_key_file_remove(transfer->key_file);
	live_lines_end(&transfer->lines);
	free_disks(transfer);
	for (size_t i = 0; i < 2; i++)
		free(transfer->last_lines[i]);
	free(transfer->message);
	free(transfer->advice);
	free(transfer->warning);
	free(transfer->key_file);
	free(transfer);
}
