/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the network is now; it changes while it is shown. */
#include "iso/live-dialog.h"
#include "iso/live-interface.h"
#include "p2v/base/mem.h"

struct view {
	struct live_state *state;
	newtComponent box;
};

static void tell_link(const struct live_link *link, struct text *text)
{
	text_addf(text, "%-12s %-17s ", link->name, link->mac ? link->mac : "");
	if (!link->has_carrier)
		text_addf(text, "no link: is a cable connected?\n");
	else if (link->addresses.count)
		text_addf(text, "%s\n", link->addresses.items[0]);
	else
		text_addf(text, "link, no address yet\n");
	for (size_t i = 1; i < link->addresses.count; i++)
		text_addf(text, "%-30s %s\n", "", link->addresses.items[i]);
}

static char *describe(const struct live_state *state)
{
	CLEANUP_LIVE_LINKS struct live_links links = {0};
	CLEANUP_TEXT struct text text = {0};

	live_state_look_at_links(state, &links);
	for (size_t i = 0; i < links.count; i++)
		tell_link(&links.links[i], &text);
	if (!links.count)
		text_addf(&text, "There is no network card that we know.\n");
	text_addf(&text, "\nrouter: %s\nname servers:", links.gateway ? links.gateway : "none");
	for (size_t i = 0; i < links.dns.count; i++)
		text_addf(&text, " %s", links.dns.items[i]);
	text_addf(&text, "%s\n", links.dns.count ? "" : " none");
	return text_take(&text);
}

static void show_again(void *arg)
{
	const struct view *view = arg;
	struct live_progress progress;
	CLEANUP_FREE char *text = NULL;

	live_state_keep(view->state, &progress);
	text = describe(view->state);
	live_dialog_set_text(view->box, text);
}

static bool goes_on_without(struct live_state *state)
{
	CLEANUP_LIVE_LINKS struct live_links links = {0};

	live_state_look_at_links(state, &links);
	if (live_links_have_address(&links))
		return true;
	return live_dialog_ask(state, "Network",
			       "There is no address yet, so that no receiver can be reached.\n\nDHCP goes on "
			       "asking; if there is no DHCP server, set an address under Settings.",
			       "Go on anyway", "Back");
}

enum live_screen live_screen_network(struct live_state *state)
{
	struct live_dialog dialog;
	struct view view = {.state = state};
	CLEANUP_FREE char *text = describe(state);
	int chosen;

	live_dialog_begin(state, "1 Network", &dialog);
	live_dialog_add_text(&dialog, 0, 2,
			     state->options->keeps_network ? "The network of this system is used as it is:"
			     : state->config.network.address
				     ? "The address is set by hand:"
				     : "Every interface that has a link asks for an address by DHCP:");
	view.box = live_dialog_add_text(&dialog, 2, LIVE_DIALOG_ROWS - 3, text);
	dialog.tick = show_again;
	dialog.tick_arg = &view;
	LIVE_DIALOG_BUTTONS(&dialog, "Next", "Settings", "End");
	chosen = live_dialog_run(&dialog);
	live_dialog_end(&dialog);
	if (chosen == 1)
		return LIVE_SCREEN_SETTINGS;
	if (chosen == 2)
		return LIVE_SCREEN_END;
	return goes_on_without(state) ? LIVE_SCREEN_RECEIVER : LIVE_SCREEN_NETWORK;
}
