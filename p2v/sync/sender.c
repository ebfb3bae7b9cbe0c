/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control connection: sets the job up, starts lanes, stays alive while they
 * work.  The first error, wherever it comes up, ends all.
 */
#include "p2v/sync/sender.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/sync/greeting.h"
#include "p2v/sync/sender-impl.h"

#define NS_PER_SECOND 1000000000ull
#define WHY_LIMIT_NS (5 * NS_PER_SECOND)

uint32_t sender_block_bytes(const struct sender_options *options)
{
	return options->block_bytes ?: WIRE_MIN_BLOCK_BYTES;
}

void sender_result_deinit(struct sender_result *result)
{
	for (size_t i = 0; i < result->disk_count; i++)
		extents_deinit(&result->unreadable[i]);
	free(result->unreadable);
}

struct err *sender_connect(const struct sender_options *options, enum wire_purpose purpose,
			   const uint8_t *token, struct message *message, struct channel **ret_channel)
{
	const struct greeting greeting = {
		options->key, options->connect, options->connect_arg, options->silence_limit_ns, purpose,
		token,
	};

	return greet_receiver(&greeting, message, ret_channel);
}

static struct err *count_data(const struct sender_options *options, size_t disk, uint64_t *ret_bytes)
{
	const struct live_options *live = options->live;
	CLEANUP_EXTENTS struct extents used = {0};

	if (!live)
		return work_count_data(options->disks[disk].blk, ret_bytes);
	TRY(live->source->find_used(live->source->arg, disk, &used));
	*ret_bytes = extents_total_bytes(&used);
	return NULL;
}

struct err *sender_send_job(const struct sender_options *options, const uint64_t *data_bytes,
			    struct channel *control, struct message *message)
{
	struct message_job *job = &message->job;

	memset(message, 0, sizeof *message);
	message->type = WIRE_JOB;
	job->name = options->name;
	job->name_bytes = strlen(options->name);
	job->disk_count = options->disk_count;
	memcpy(job->run, options->run, sizeof job->run);
	for (size_t i = 0; i < options->disk_count; i++) {
		struct blk *blk = options->disks[i].blk;

		job->disks[i] = (struct message_disk){
			.size_bytes = blk->size_bytes,
			.data_bytes = data_bytes ? data_bytes[i] : 0,
			.block_bytes = sender_block_bytes(options),
			.logical_sector_bytes = blk->logical_sector_bytes,
			.physical_sector_bytes = blk->physical_sector_bytes,
			.id = options->disks[i].id,
			.id_bytes = strlen(options->disks[i].id),
		};
	}
	return channel_send(control, message);
}

static struct err *send_job_and_data(const struct sender_options *options, struct channel *control,
				     struct message *message)
{
	CLEANUP_FREE uint64_t *data_bytes = xcalloc(options->disk_count, sizeof *data_bytes);

	for (size_t i = 0; i < options->disk_count; i++)
		TRY(count_data(options, i, &data_bytes[i]));
	return sender_send_job(options, data_bytes, control, message);
}

/* The only one. */
static struct err *set_up_pass(struct run *run)
{
	const struct sender_options *options = run->options;

	run->work = work_list_create(sender_block_bytes(options));
	for (size_t i = 0; i < options->disk_count; i++)
		TRY(work_list_add_disk(run->work, i, options->disks[i].blk, run->disk_flags[i]));
	progress_set_total(run->progress, work_list_read_bytes(run->work));
	run->pass_number = 1;
	run->is_last_pass = true;
	return NULL;
}

static struct err *set_up(struct run *run, struct channel *control, struct message *message)
{
	const struct message_ready *ready = &message->ready;
	const char *json = run->options->machine_json ?: "";
	const struct message machine = {.type = WIRE_MACHINE,
					.machine = {(const uint8_t *)json, strlen(json)}};

	TRY(send_job_and_data(run->options, control, message));
	TRY(channel_receive(control, CHANNEL_TYPE(WIRE_READY), message, NULL));
	if (ready->disk_count != run->options->disk_count)
		return err_failed("the receiver broke the protocol: READY: of another number of disks");
	memcpy(run->hash_key, ready->hash_key, sizeof run->hash_key);
	memcpy(run->disk_flags, ready->disk_flags, ready->disk_count);
	if (run->options->machine_json)
		TRY(channel_send(control, &machine));
	return run->options->live ? NULL : set_up_pass(run);
}

void sender_stop(struct run *run, struct err *err)
{
	LOCKED(&run->lock);

	run->err = err_first(run->err, err);
	run->stopping = true;
	pthread_cond_broadcast(&run->changed);
	for (size_t i = 0; i < WIRE_MAX_LANES; i++)
		if (run->lanes[i])
			channel_interrupt(run->lanes[i]);
}

struct lane_start {
	struct run *run;
	unsigned number;
};

static void *lane_main(void *arg)
{
	struct lane_start *start = arg;
	struct run *run = start->run;
	struct err *err = sender_lane_run(run, start->number);

	if (err)
		sender_stop(run, err);
	LOCKED(&run->lock);
	run->lanes_running--;
	pthread_cond_broadcast(&run->changed);
	return NULL;
}

/* Waits for the lanes up to the next ALIVE; whether they have ended. */
static bool wait_for_lanes(struct run *run)
{
	struct timespec until;
	LOCKED(&run->lock);

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WIRE_ALIVE_SECONDS;
	while (run->lanes_running)
		if (pthread_cond_timedwait(&run->changed, &run->lock, &until) == ETIMEDOUT)
			break;
	return !run->lanes_running;
}

static struct err *exchange_alive(struct channel *control, struct message *message)
{
	const struct message alive = {.type = WIRE_ALIVE};

	TRY(channel_send(control, &alive));
	return channel_receive(control, CHANNEL_TYPE(WIRE_ALIVE), message, NULL);
}

static unsigned lane_count(const struct sender_options *options, unsigned max_lanes)
{
	unsigned lanes = options->lanes;

	if (!lanes)
		lanes = 2 * sysconf(_SC_NPROCESSORS_ONLN);
	return lanes < max_lanes ? lanes : max_lanes;
}

/* When lanes end the receiver may have ended the session, and have said why where nobody was listening. */
static struct err *ask_why(struct channel *control, struct err *err, struct message *message)
{
	const struct message alive = {.type = WIRE_ALIVE};
	struct err *answer;

	channel_set_limits(control, WHY_LIMIT_NS, WHY_LIMIT_NS);
	err_free(channel_send(control, &alive));
	answer = channel_receive(control, CHANNEL_TYPE(WIRE_ALIVE), message, NULL);
	if (!answer || err_kind(answer) != ERR_REFUSED)
		return err_first(err, answer);
	err_free(err);
	return answer;
}

static unsigned start_lanes(struct run *run, pthread_t *threads, struct lane_start *starts)
{
	for (unsigned i = 0; i < run->lane_count; i++) {
		int errnum;

		starts[i] = (struct lane_start){run, i};
		pthread_mutex_lock(&run->lock);
		run->lanes_running++;
		pthread_mutex_unlock(&run->lock);
		errnum = pthread_create(&threads[i], NULL, lane_main, &starts[i]);
		if (errnum) {
			sender_stop(run, err_from_errno(errnum, "thread"));
			pthread_mutex_lock(&run->lock);
			run->lanes_running--;
			pthread_mutex_unlock(&run->lock);
			return i;
		}
	}
	return run->lane_count;
}

static void *passes_main(void *arg)
{
	sender_make_passes(arg);
	return NULL;
}

static struct err *run_lanes(struct run *run, struct channel *control, struct message *message)
{
	pthread_t threads[WIRE_MAX_LANES + 1];
	struct lane_start starts[WIRE_MAX_LANES];
	unsigned started = start_lanes(run, threads, starts);

	if (run->options->live && !run->stopping) {
		int errnum = pthread_create(&threads[started], NULL, passes_main, run);

		if (errnum)
			sender_stop(run, err_from_errno(errnum, "thread"));
		else
			started++;
	}
	while (!wait_for_lanes(run)) {
		struct err *err = run->stopping ? NULL : exchange_alive(control, message);

		if (err)
			sender_stop(run, err);
	}
	while (started)
		pthread_join(threads[--started], NULL);
	if (run->err && err_kind(run->err) == ERR_FAILED)
		run->err = ask_why(control, run->err, message);
	return take_ptr(run->err);
}

static struct err *run_session(struct run *run, struct channel *control, struct message *message)
{
	run->lane_count = lane_count(run->options, message->welcome.max_lanes);
	memcpy(run->token, message->welcome.token, sizeof run->token);
	TRY(set_up(run, control, message));
	TRY(run_lanes(run, control, message));
	if (run->options->before_commit)
		TRY(run->options->before_commit(run->options->before_commit_arg));
	return sender_commit(run, control, message);
}

static struct err *check_options(const struct sender_options *options)
{
	if (!options->disk_count || options->disk_count > WIRE_MAX_DISKS)
		return err_advise(err_usage("%zu disks cannot be sent", options->disk_count),
				  "send 1 to %u disks in one job", WIRE_MAX_DISKS);
	if (!wire_is_job_name(options->name, strlen(options->name)))
		return err_advise(
			err_usage("'%s' cannot be the name of a job", options->name),
			"give it another with --name: up to %u letters, digits, '.', '_' and '-', the first "
			"not a '.'",
			WIRE_MAX_NAME_BYTES);
	for (size_t i = 0; i < options->disk_count; i++) {
		const char *id = options->disks[i].id;
		const struct blk *blk = options->disks[i].blk;

		if (!wire_is_disk_id(id, strlen(id)))
			return err_advise(
				err_usage("'%s' cannot be the name of a disk", id),
				"give it another one, by a link for example: up to %u ASCII characters",
				WIRE_MAX_ID_BYTES);
		if (!blk->size_bytes || blk->size_bytes > WIRE_MAX_DISK_BYTES ||
		    blk->size_bytes % blk->logical_sector_bytes)
			return err_advise(
				err_refused("%s: no disk can be of this size: %" PRIu64 " bytes", id,
					    blk->size_bytes),
				"name the image of a whole disk: whole sectors of %u bytes, up to 64 TiB",
				blk->logical_sector_bytes);
	}
	return NULL;
}

static struct err *run_job(struct run *run)
{
	CLEANUP_FREE struct message *message = malloc(sizeof *message);
	CLEANUP_CHANNEL struct channel *control = NULL;
	struct err *err;

	if (!message)
		return err_nomem();
	TRY(sender_connect(run->options, WIRE_CONTROL, NULL, message, &control));
	if (sender_decides(run->options) && message->welcome.version < WIRE_HOLD_VERSION)
		return err_advise(
			err_refused("the receiver is of an older version, with which a cutover is not safe: "
				    "an answer that gets lost would leave two servers running"),
			"install this version there");
	err = run_session(run, control, message);
	run->result->wire_bytes += channel_sent_bytes(control) + channel_received_bytes(control);
	return err;
}

struct err *sender_run(const struct sender_options *options, struct sender_result *result)
{
	struct run run = {.options = options, .result = result};
	struct err *err;

	TRY(check_options(options));
	run.limiter.bytes_per_second = options->limit_bytes_per_second;
	run.progress = options->progress;
	run.roots = xcalloc(options->disk_count, sizeof *run.roots);
	result->unreadable = xcalloc(options->disk_count, sizeof *result->unreadable);
	result->disk_count = options->disk_count;
	pthread_mutex_init(&run.limiter.lock, NULL);
	pthread_mutex_init(&run.lock, NULL);
	pthread_cond_init(&run.changed, NULL);
	err = run_job(&run);
	pthread_cond_destroy(&run.changed);
	pthread_mutex_destroy(&run.lock);
	pthread_mutex_destroy(&run.limiter.lock);
	work_list_destroy(run.work);
	free(run.roots);
	explicit_bzero(run.hash_key, sizeof run.hash_key);
	return err;
}
