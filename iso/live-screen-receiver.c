/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where to send: what is typed stays while it is wrong, and a typing error in
 * the key is told without asking anybody.
 */
#include <stdlib.h>
#include <string.h>

#include "iso/live-dialog.h"
#include "iso/live-interface.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"

#define HEAR_LIMIT_NS 12000000000

struct fields {
	char *server, *key, *name, *limit;
};

static void fields_deinit(struct fields *fields)
{
	free(fields->server);
	if (fields->key)
		explicit_bzero(fields->key, strlen(fields->key));
	free(fields->key);
	free(fields->name);
	free(fields->limit);
}

static void replace(char **text, const char *value)
{
	free(*text);
	*text = xstrdup(value);
}

/* An empty key leaves the one that is known. */
static struct err *apply(struct live_state *state, const struct fields *fields)
{
	struct live_config *config = &state->config;

	if (!*fields->server)
		return err_advise(err_usage("the receiver is missing"),
				  "type the name or address of the machine where 'p2v receive' runs");
	TRY(live_config_set(config, "server", fields->server));
	if (!*fields->key && !config->key)
		return err_advise(err_usage("the pairing key is missing"),
				  "'p2v receive' shows it when it starts");
	if (*fields->key)
		TRY(live_config_set(config, "key", fields->key));
	TRY(live_config_set(config, "limit", fields->limit));
	TRY(live_config_set(config, "name", fields->name));
	if (*fields->name)
		replace(&state->name, fields->name);
	return NULL;
}

struct hearing {
	struct live_dialog dialog;
	enum live_presence_state result;
	const char *why;
	uint64_t until_ns;
};

static void listen_for_answer(void *arg)
{
	struct hearing *hearing = arg;
	struct live_state *state = hearing->dialog.state;
	struct live_progress progress;

	live_state_keep(state, &progress);
	if (!state->presence)
		hearing->dialog.is_left = true;
	else
		hearing->result = live_presence_look(state->presence, &hearing->why);
	hearing->dialog.is_left |= hearing->result != LIVE_UNHEARD || run_now_ns() >= hearing->until_ns;
}

/* Whether it answers to this key, before disks are chosen. */
static bool is_heard(struct live_state *state)
{
	struct hearing hearing = {.until_ns = run_now_ns() + HEAR_LIMIT_NS};
	CLEANUP_FREE char *text =
		xasprintf("Asking %s whether it takes this machine in ...", state->config.server);
	int chosen;

	live_state_announce(state);
	live_dialog_begin(state, "2 Receiver", &hearing.dialog);
	live_dialog_add_text(&hearing.dialog, 1, 3, text);
	hearing.dialog.tick = listen_for_answer;
	hearing.dialog.tick_arg = &hearing;
	LIVE_DIALOG_BUTTONS(&hearing.dialog, "Back");
	chosen = live_dialog_run(&hearing.dialog);
	live_dialog_end(&hearing.dialog);
	if (hearing.result == LIVE_HEARD)
		return true;
	if (chosen == 0)
		return false;
	free(text);
	text = xasprintf(
		"%s does not take this machine in:\n\n%s\n\nGo back, and compare address and key with "
		"what 'p2v receive' shows there. If you go on, it is tried again when the disks are sent.",
		state->config.server, hearing.why ? hearing.why : "it does not answer");
	return live_dialog_ask(state, "2 Receiver", text, "Back", "Go on anyway") == false;
}

/* 0: what is there is used; 1: back; 2: once more. */
static int show(struct live_state *state, struct fields *fields)
{
	newtComponent server, key, name, limit;
	struct live_dialog dialog;
	struct err *err;
	int chosen;

	live_dialog_begin(state, "2 Receiver", &dialog);
	live_dialog_add_text(
		&dialog, 0, 4,
		"Where 'p2v receive' runs, and the pairing key that it shows: 25 characters; case, "
		"blanks and dashes do not matter. The name is that of the job there: the same name "
		"goes on where an earlier run was.");
	server = live_dialog_add_field(&dialog, 5, "Receiver", fields->server);
	key = live_dialog_add_field(&dialog, 7, "Pairing key", fields->key);
	live_dialog_add_text(&dialog, 8, 1,
			     state->config.key ? "                     (one is known: empty keeps it)" : "");
	name = live_dialog_add_field(&dialog, 10, "Name of the job", fields->name);
	limit = live_dialog_add_field(&dialog, 12, "Bytes a second", fields->limit);
	live_dialog_add_text(&dialog, 13, 1, "                     (empty: no limit; for example 10M)");
	LIVE_DIALOG_BUTTONS(&dialog, "Next", "Back");
	chosen = live_dialog_run(&dialog);
	replace(&fields->server, newtEntryGetValue(server));
	replace(&fields->key, newtEntryGetValue(key));
	replace(&fields->name, newtEntryGetValue(name));
	replace(&fields->limit, newtEntryGetValue(limit));
	live_dialog_end(&dialog);
	err = apply(state, fields);
	if (chosen == 1) {
		/* What is in order stays for when one comes again. */
		err_free(err);
		return 1;
	}
	if (err)
		live_dialog_tell_error(state, "2 Receiver", err);
	return err || !is_heard(state) ? 2 : 0;
}

enum live_screen live_screen_receiver(struct live_state *state)
{
	const struct live_config *config = &state->config;
	CLEANUP(fields_deinit)
	struct fields fields = {
		.server = xstrdup(config->server ? config->server : ""),
		.key = xstrdup(""),
		.name = xstrdup(state->name ? state->name : ""),
		.limit = xstrdup(config->limit ? config->limit : ""),
	};
	int result;

	while ((result = show(state, &fields)) == 2)
		;
	return result == 1 ? LIVE_SCREEN_NETWORK : LIVE_SCREEN_DISKS;
}
