/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The network's settings: all of them hold together, or none is taken. */
#include <stdlib.h>

#include "iso/live-dialog.h"
#include "iso/live-interface.h"
#include "p2v/base/mem.h"

static const struct {
	const char *word, *label;
} fields[] = {
	{"ip", "Address/bits"},	 {"gateway", "Router"}, {"dns", "Name servers"},   {"interface", "Interface"},
	{"vlan", "VLAN number"}, {"bond", "Bond of"},	{"bondmode", "Bond mode"}, {"mtu", "MTU"},
};
#define FIELD_COUNT (sizeof fields / sizeof *fields)

static char *join(const struct strv *list)
{
	CLEANUP_TEXT struct text text = {0};

	for (size_t i = 0; i < list->count; i++)
		text_addf(&text, "%s%s", i ? "," : "", list->items[i]);
	return text_take(&text);
}

static char *number_text(unsigned number)
{
	return number ? xasprintf("%u", number) : xstrdup("");
}

/* In the order of the fields; the caller frees them. */
static void get_values(const struct live_network_config *network, char *values[FIELD_COUNT])
{
	values[0] = xstrdup(network->address ? network->address : "");
	values[1] = xstrdup(network->gateway ? network->gateway : "");
	values[2] = join(&network->dns);
	values[3] = xstrdup(network->interface ? network->interface : "");
	values[4] = number_text(network->vlan);
	values[5] = join(&network->bond);
	values[6] = xstrdup(network->bond_mode ? network->bond_mode : "active-backup");
	values[7] = number_text(network->mtu);
}

static void take_values(newtComponent components[FIELD_COUNT], char *values[FIELD_COUNT])
{
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		free(values[i]);
		values[i] = xstrdup(newtEntryGetValue(components[i]));
	}
}

/* The settings of the configuration are replaced only if each of these is right. */
static struct err *apply(struct live_state *state, char *const values[FIELD_COUNT])
{
	CLEANUP_LIVE_CONFIG struct live_config config = {0};
	struct live_network_config old = state->config.network;

	for (size_t i = 0; i < FIELD_COUNT; i++)
		TRY(live_config_set(&config, fields[i].word, values[i]));
	state->config.network = config.network;
	config.network = old;
	return live_state_set_up_network(state);
}

/* True when what was typed is in use, or the user has left it. */
static bool show(struct live_state *state, char *values[FIELD_COUNT])
{
	newtComponent components[FIELD_COUNT];
	struct live_dialog dialog;
	struct err *err;
	int chosen;

	live_dialog_begin(state, "Network settings", &dialog);
	live_dialog_add_text(
		&dialog, 0, 3,
		"Leave the address empty for DHCP, the interface empty for all. A bond is made of "
		"several interfaces, by commas. Interfaces are named by name or MAC address.");
	for (size_t i = 0; i < FIELD_COUNT; i++)
		components[i] = live_dialog_add_field(&dialog, 4 + i, fields[i].label, values[i]);
	LIVE_DIALOG_BUTTONS(&dialog, "Use", "Back");
	chosen = live_dialog_run(&dialog);
	take_values(components, values);
	live_dialog_end(&dialog);
	if (chosen == 1)
		return true;
	err = apply(state, values);
	if (err)
		live_dialog_tell_error(state, "Network settings", err);
	return !err;
}

enum live_screen live_screen_settings(struct live_state *state)
{
	char *values[FIELD_COUNT];

	if (state->options->keeps_network) {
		live_dialog_tell(
			state, "Network settings",
			"The network of this system is used as it is: change it with the system's own "
			"tools.");
		return LIVE_SCREEN_NETWORK;
	}
	get_values(&state->config.network, values);
	while (!show(state, values))
		;
	for (size_t i = 0; i < FIELD_COUNT; i++)
		free(values[i]);
	return LIVE_SCREEN_NETWORK;
}
