/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/inject-drivers/lib-inject-server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"

void inject_server_free(struct inject_server **server_ptr)
{
	struct inject_server *server = *server_ptr;

	if (!server)
		return;
	free(server->version);
	tree_destroy(server->tree);
	inspection_deinit(&server->inspection);
	free(server->scratch);
	free(server->initrd);
	free(server);
}

struct inject_server *inject_server_create(const char *part, const char *pack)
{
	char *version = host_kernel_version();
	CLEANUP_FREE char *early = version ? initramfs_part(version, "early.cpio") : NULL;
	CLEANUP_FREE char *main = early ? initramfs_part(version, part) : NULL;
	struct inject_server *server;

	if (!main) {
		free(version);
		skip();
	}
	server = xcalloc(1, sizeof *server);
	server->version = version;
	server->tree = guest_with_kernel(version, early);
	inspection_of_kernel(version, &server->inspection);
	server->initrd = xasprintf("%s/boot/initrd.img-%s", server->tree->root, version);
	server->scratch = xasprintf("%s/../scratch", server->tree->root);
	free(shell("mkdir '%s'; %s <'%s' >>'%s'; chmod 600 '%s'", server->scratch, pack, main, server->initrd,
		   server->initrd));
	return server;
}

struct inject_context inject_server_context(const struct inject_server *server, unsigned targets)
{
	return (struct inject_context){
		.guest = server->tree->guest,
		.inspection = &server->inspection,
		.targets = targets,
		.scratch_dir = server->scratch,
	};
}

static char *findings_of(struct plan *plan)
{
	CLEANUP_JSON json_t *json = NULL;

	must(plan_to_json(plan, &json));
	return json_dumps(json_object_get(json, "findings"), JSON_COMPACT);
}

char *inject_server_run(const struct inject_context *context, struct inject_result *ret_result,
			size_t *ret_changes)
{
	CLEANUP_PLAN struct plan *plan = plan_create(context->guest);
	CLEANUP_JSON json_t *json = NULL;

	must(inject_plan(context, plan, ret_result));
	must(plan_to_json(plan, &json));
	*ret_changes = json_array_size(json_object_get(json, "changes"));
	must(plan_apply(plan, NULL));
	return findings_of(plan);
}

void expect_inject_refusal(const struct inject_context *context, const char *text)
{
	CLEANUP_PLAN struct plan *plan = plan_create(context->guest);
	CLEANUP_INJECT_RESULT struct inject_result result = {0};
	struct err *err = inject_plan(context, plan, &result);

	assert_non_null(err);
	assert_non_null(err_advice(err));
	must_fail_as(err, ERR_REFUSED, text);
	assert_true(plan_is_empty(plan));
	free(shell("rmdir '%s'", context->scratch_dir)); /* fails where something stayed */
	free(shell("mkdir '%s'", context->scratch_dir));
}

void inject_server_remove_modules(const struct inject_server *server, const char *pattern)
{
	free(shell("cd '%s/lib/modules/%s'; sed -i -E '\\,^[^:]*%s,d' modules.dep modules.builtin",
		   server->tree->root, server->version, pattern));
}
