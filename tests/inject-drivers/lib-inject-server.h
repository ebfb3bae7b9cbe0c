/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A server with a real kernel's modules and initramfs, and plans made for it. */
#ifndef TESTS_INJECT_DRIVERS_LIB_INJECT_SERVER_H
#define TESTS_INJECT_DRIVERS_LIB_INJECT_SERVER_H

#include "inject-drivers/inject.h"
#include "tests/inject-drivers/lib-initramfs.h"

struct inject_server {
	char *version;
	struct tree *tree;
	struct inspection inspection;
	char *scratch;
	char *initrd; /* its path on the host */
};

/* Its initramfs is an early archive and the part (see initramfs_part()), packed by that command.  Skips the
 * test where this machine has no kernel or no mkinitramfs. */
struct inject_server *inject_server_create(const char *part, const char *pack);
void inject_server_free(struct inject_server **server_ptr);
#define CLEANUP_INJECT_SERVER CLEANUP(inject_server_free)

struct inject_context inject_server_context(const struct inject_server *server, unsigned targets);

/* Takes the modules whose files match (extended regular expression) out of the kernel's lists. */
void inject_server_remove_modules(const struct inject_server *server, const char *pattern);

/* Plans and applies; the findings as JSON, to be freed. */
char *inject_server_run(const struct inject_context *context, struct inject_result *ret_result,
			size_t *ret_changes);

/* Fails unless the plan is refused so, with advice, and nothing is left behind. */
void expect_inject_refusal(const struct inject_context *context, const char *text);

#endif
