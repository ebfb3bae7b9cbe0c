/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel has for each trace point NAME a type btf_trace_NAME: a pointer to a
 * function whose first parameter is the trace point's own and whose others are
 * the arguments of a program.
 */
#include "capture/track-btf.h"

#include <errno.h>
#include <string.h>

#include <bpf/btf.h>

#include "p2v/base/mem.h"

struct err *track_btf_open(struct track_btf **ret_btf)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		return err_from_errno(errno, "the kernel does not tell how its structures lie (BTF)");
	*ret_btf = (struct track_btf *)btf;
	return NULL;
}

void track_btf_close(struct track_btf *btf)
{
	btf__free((struct btf *)btf);
}

/* Behind const, typedef and the like; NULL if there is no such type. */
static const struct btf_type *plain_type(const struct btf *btf, __u32 id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	while (type && (btf_is_mod(type) || btf_is_typedef(type)))
		type = btf__type_by_id(btf, type->type);
	return type;
}

static const struct btf_type *find_function(const struct btf *btf, const char *trace_point)
{
	CLEANUP_FREE char *name = xasprintf("btf_trace_%s", trace_point);
	__s32 id = btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);
	const struct btf_type *type = id > 0 ? plain_type(btf, id) : NULL;

	if (type && btf_is_ptr(type))
		type = plain_type(btf, type->type);
	return type && btf_is_func_proto(type) ? type : NULL;
}

static bool is_pointer_to(const struct btf *btf, __u32 id, const char *struct_name)
{
	const struct btf_type *type = plain_type(btf, id);

	if (!type || !btf_is_ptr(type))
		return false;
	type = plain_type(btf, type->type);
	return type && btf_is_struct(type) && !strcmp(btf__name_by_offset(btf, type->name_off), struct_name);
}

struct err *track_btf_find_argument(const struct track_btf *opaque, const char *trace_point,
				    const char *struct_name, unsigned *ret_index)
{
	const struct btf *btf = (const struct btf *)opaque;
	const struct btf_type *function = find_function(btf, trace_point);

	if (!function)
		return err_refused("the kernel has no trace point %s", trace_point);
	for (unsigned i = 1; i < btf_vlen(function); i++) {
		if (!is_pointer_to(btf, btf_params(function)[i].type, struct_name))
			continue;
		*ret_index = i - 1;
		return NULL;
	}
	return err_refused("the kernel's trace point %s has no struct %s", trace_point, struct_name);
}
