/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What texts in messages may be: names that become files' names, and what is shown on terminals. */
#include "p2v/sync/codec.h"

#include <string.h>

bool wire_is_job_name(const char *name, size_t bytes)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	if (!bytes || bytes > WIRE_MAX_NAME_BYTES || name[0] == '.')
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (!name[i] || !strchr(allowed, name[i]))
			return false;
	return true;
}

bool wire_is_ascii(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return true;
}

bool wire_is_disk_id(const char *id, size_t bytes)
{
	return bytes && bytes <= WIRE_MAX_ID_BYTES && wire_is_ascii(id, bytes);
}

size_t wire_max_text_bytes(enum wire_announce_text which)
{
	static const size_t limits[WIRE_ANNOUNCE_TEXTS] = {
		[WIRE_TEXT_NAME] = WIRE_MAX_NAME_BYTES,
		[WIRE_TEXT_VENDOR] = 128,
		[WIRE_TEXT_MODEL] = 128,
		[WIRE_TEXT_SERIAL] = 128,
		[WIRE_TEXT_ADDRESSES] = WIRE_MAX_ANNOUNCE_TEXT_BYTES,
		[WIRE_TEXT_REASON] = 256,
	};

	return limits[which];
}

static const char *const phases[WIRE_PHASES] = {
	[WIRE_PHASE_BOOTED] = "booted", [WIRE_PHASE_WAITING] = "waiting", [WIRE_PHASE_SENDING] = "sending",
	[WIRE_PHASE_DONE] = "done",	[WIRE_PHASE_FAILED] = "failed",
};

const char *wire_phase_name(enum wire_phase phase)
{
	return phase < WIRE_PHASES && phases[phase] ? phases[phase] : "unknown";
}

enum wire_phase wire_phase_by_name(const char *name, size_t bytes)
{
	for (unsigned i = WIRE_PHASE_BOOTED; i < WIRE_PHASES; i++)
		if (strlen(phases[i]) == bytes && !memcmp(phases[i], name, bytes))
			return i;
	return WIRE_PHASE_SAME;
}
