/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/cmd/live-quiesce.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/cmd/live-quiesce-impl.h"

static const struct quiesce_kind *const kinds[] = {&quiesce_postgresql, &quiesce_mariadb, &quiesce_unit};

struct live_quiesce {
	struct quiesce_service *services;
	size_t count;
};

static struct err *parse(const char *text, struct quiesce_service *service)
{
	size_t bytes = strcspn(text, ":");
	const char *argument = text[bytes] && text[bytes + 1] ? text + bytes + 1 : NULL;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strlen(kinds[i]->name) != bytes || memcmp(kinds[i]->name, text, bytes))
			continue;
		if (kinds[i]->needs_argument && !argument)
			break;
		service->kind = kinds[i];
		service->argument = argument ? xstrdup(argument) : NULL;
		return NULL;
	}
	return err_advise(err_usage("--quiesce: '%s' is not known", text),
			  "say postgresql, mariadb or unit:NAME; others by --pre-freeze and --post-freeze");
}

struct err *live_quiesce_create(const struct strv *services, const struct log *log,
				struct live_quiesce **ret_quiesce)
{
	struct live_quiesce *quiesce = xcalloc(1, sizeof *quiesce);
	struct err *err = NULL;

	quiesce->services = xcalloc(services->count + 1, sizeof *quiesce->services);
	for (size_t i = 0; i < services->count && !err; i++) {
		struct quiesce_service *service = &quiesce->services[quiesce->count++];

		service->log = log;
		err = parse(services->items[i], service);
		if (!err)
			err = err_as(
				err_wrap(service->kind->check(service), "--quiesce %s", services->items[i]),
				ERR_REFUSED);
	}
	if (err)
		live_quiesce_destroy(quiesce);
	else
		*ret_quiesce = quiesce;
	return err;
}

void live_quiesce_destroy(struct live_quiesce *quiesce)
{
	if (!quiesce)
		return;
	live_quiesce_undo(quiesce);
	for (size_t i = 0; i < quiesce->count; i++)
		free(quiesce->services[i].argument);
	free(quiesce->services);
	free(quiesce);
}

static struct err *with_name(const struct quiesce_service *service, struct err *err)
{
	return err_wrap(err, "%s%s%s", service->kind->name, service->argument ? " " : "",
			service->argument ?: "");
}

struct err *live_quiesce_begin(struct live_quiesce *quiesce)
{
	for (size_t i = 0; i < quiesce->count; i++) {
		struct quiesce_service *service = &quiesce->services[i];

		service->is_begun = true;
		TRY(with_name(service, service->kind->begin(service)));
	}
	return NULL;
}

void live_quiesce_undo(struct live_quiesce *quiesce)
{
	for (size_t i = quiesce->count; i--;) {
		struct quiesce_service *service = &quiesce->services[i];
		CLEANUP_ERR struct err *err = NULL;

		if (service->is_begun && service->kind->undo)
			err = with_name(service, service->kind->undo(service));
		service->is_begun = false;
		if (err)
			log_warning(service->log, "%s: see that it goes on", err_message(err));
	}
}

void live_quiesce_keep(struct live_quiesce *quiesce)
{
	for (size_t i = 0; i < quiesce->count; i++) {
		struct quiesce_service *service = &quiesce->services[i];

		if (!service->is_begun || !service->kind->keep)
			continue;
		service->kind->keep(service);
		service->is_begun = false;
	}
}
