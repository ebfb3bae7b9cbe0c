/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two forms in which most of a Linux guest's settings are written. */
#ifndef P2V_GUEST_CONF_H
#define P2V_GUEST_CONF_H

#include <stddef.h>

#include "p2v/base/cleanup.h"

/* One setting.  section is "" for shell assignments and for what stands before the first section. */
struct conf_item {
	char *section;
	char *key;
	char *value;
};

/* In the order of the file; a key may come several times. */
struct conf {
	struct conf_item *items;
	size_t count;
	size_t capacity;
};

/* [Section], Key=Value, comments with '#' or ';': systemd.syntax(7), NetworkManager keyfiles.  Adds to
 * ret_conf; text may be NULL.  Lines continued with a backslash are joined by a space. */
void conf_read_ini(const char *text, struct conf *ret_conf);

/* KEY=value, KEY="value", export KEY='value': os-release(5), /etc/sysconfig, /etc/default.  Nothing is
 * expanded. */
void conf_read_shell(const char *text, struct conf *ret_conf);

/* The value that counts (the last one), NULL if there is none.  Section and key regardless of case. */
const char *conf_get(const struct conf *conf, const char *section, const char *key);
void conf_deinit(struct conf *conf);
#define CLEANUP_CONF CLEANUP(conf_deinit)

#endif
