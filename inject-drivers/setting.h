/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest's own setting for which drivers every future initramfs gets. */
#ifndef INJECT_DRIVERS_SETTING_H
#define INJECT_DRIVERS_SETTING_H

#include "p2v/guest/inspect.h"
#include "p2v/guest/plan.h"

/* The files and folders read, for guest_fetch(), NULL-ended. */
extern const char *const setting_files[];

/* Plans it for these modules; what is listed already is not repeated.  A tool that p2v cannot set up
 * gives a finding. */
struct err *setting_plan(enum initramfs_tool tool, const struct strv *modules, struct plan *plan)
	ERR_MUST_CHECK;

/* The text of initramfs-tools' list of modules to load (in /etc, or conf/modules in an initramfs) with
 * these in it; NULL if none is to be added, else the caller's to free. */
char *setting_edit_tools_modules(const char *text, const struct strv *modules);

#endif
