/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/sysroot.h"
#include "iso/live-disks.h"
#include "p2v/base/mem.h"

struct err *live_state_begin(const struct live_options *options, struct live_state *ret_state)
{
	CLEANUP_FREE char *file = sysroot_read("", "%s", options->config_file);
	CLEANUP_FREE char *line = sysroot_read("", "%s", options->command_line);

	if (mkdir(options->run_dir, 0700) && errno != EEXIST)
		return err_advise(err_from_errno(errno, "%s", options->run_dir), "run p2v-agent as root");
	*ret_state = (struct live_state){.options = options, .log_file = live_log_open(options->run_dir)};
	ret_state->log = live_log_as_log(ret_state->log_file);
	log_info(ret_state->log, "begun");
	if (file)
		live_config_take_file(file, &ret_state->config);
	if (line)
		live_config_take_command_line(line, &ret_state->config);
	for (size_t i = 0; i < ret_state->config.complaints.count; i++)
		log_warning(ret_state->log, "%s", ret_state->config.complaints.items[i]);
	if (file)
		explicit_bzero(file, strlen(file));
	if (line)
		explicit_bzero(line, strlen(line));
	return NULL;
}

void live_state_end(struct live_state *state)
{
	live_transfer_stop(state->transfer);
	live_presence_stop(state->presence);
	live_network_stop(state->network);
	live_config_deinit(&state->config);
	layout_deinit(&state->layout);
	machine_deinit(&state->machine);
	strv_deinit(&state->inside);
	strv_deinit(&state->chosen);
	free(state->disk_problem);
	free(state->name);
	live_log_close(state->log_file);
	*state = (struct live_state){0};
}

struct err *live_state_set_up_network(struct live_state *state)
{
	const struct live_network_options options = {
		.run_dir = state->options->run_dir,
		.resolv_conf = state->options->resolv_conf,
		.log = state->log,
	};
	struct err *err;

	if (state->options->keeps_network)
		return NULL;
	live_network_stop(take_ptr(state->network));
	err = live_network_start(&state->config.network, &options, &state->network);
	if (err)
		log_warning(state->log, "%s", err_message(err));
	return err;
}

void live_state_look_at_links(const struct live_state *state, struct live_links *ret_links)
{
	live_links_look(state->options->resolv_conf, ret_links);
}

struct err *live_state_choose(struct live_state *state, const struct strv *devices)
{
	const struct layout_options options = {.chosen = devices};
	struct layout layout = {0};

	TRY(layout_choose(&state->machine, &options, &layout));
	layout_deinit(&state->layout);
	state->layout = layout;
	strv_deinit(&state->chosen);
	state->chosen = (struct strv){0};
	for (size_t i = 0; i < layout.disk_count; i++)
		if (layout.disks[i].is_taken)
			strv_add(&state->chosen, layout.disks[i].source);
	return NULL;
}

struct err *live_state_find_disks(struct live_state *state)
{
	static const struct strv none;
	CLEANUP_STRV struct strv named = {0};
	struct machine machine = {0};
	struct strv inside = {0};
	struct err *err;

	TRY(live_disks_find(state->options, state->log, &machine, &inside));
	layout_deinit(&state->layout);
	machine_deinit(&state->machine);
	strv_deinit(&state->inside);
	state->machine = machine;
	state->inside = inside;
	free(state->name);
	state->name = state->config.name ? xstrdup(state->config.name) : live_disks_name_machine(&machine);
	err = live_disks_resolve(&machine, &state->config.disks, &named);
	free(state->disk_problem);
	state->disk_problem = err ? xstrdup(err_message(err)) : NULL;
	return err_first(err, live_state_choose(state, err ? &none : &named));
}

void live_state_announce(struct live_state *state)
{
	const struct live_presence_options options = {
		.config = &state->config,
		.name = state->name ? state->name : "machine",
		.program = state->options->program,
		.run_dir = state->options->run_dir,
		.log = state->log,
	};
	struct err *err;

	if (!state->config.server || !state->config.key)
		return;
	live_presence_stop(take_ptr(state->presence));
	err = live_presence_start(&options, &state->presence);
	if (err)
		log_warning(state->log, "announce: %s", err_message(err));
	err_free(err);
}

struct err *live_state_send(struct live_state *state)
{
	const struct live_transfer_options options = {
		.config = &state->config,
		.disks = &state->chosen,
		.name = state->name,
		.program = state->options->program,
		.run_dir = state->options->run_dir,
		.log = state->log,
	};

	live_transfer_stop(take_ptr(state->transfer));
	return live_transfer_start(&options, &state->transfer);
}

/* In wire.h's words. */
static void tell_receiver(struct live_state *state, const struct live_progress *progress)
{
	static const char *const phases[] = {"sending", "sending", "waiting", "done", "failed"};

	live_presence_tell(state->presence, phases[progress->phase], progress->message);
}

bool live_state_keep(struct live_state *state, struct live_progress *ret_progress)
{
	const char *why;

	if (state->network)
		live_network_keep(state->network);
	if (state->presence)
		(void)live_presence_look(state->presence, &why);
	if (!state->transfer)
		return false;
	live_transfer_look(state->transfer, ret_progress);
	tell_receiver(state, ret_progress);
	return true;
}
