// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The nbdkit plugin "vhdx": serves a disk image (VHDX, VHD or raw, by content)
 * over NBD, also while it is still being filled from another.
 *
 * All connections share one device, which lives from the first connection to the
 * end of nbdkit: a flush on one covers the writes of all, and what was filled
 * stays so when a client comes back.  Whether it is opened for writing is known
 * only then (nbdkit -r), so that nothing is changed by merely starting; but
 * everything that would fail is tried before.
 *
 * nbdkit hands its callbacks no context but the connection's, so the plugin's own
 * is in file scope, as in every plugin.  It is written before the first
 * connection, and under its lock.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "vhdx/image.h"
#include "vhdx/vhdx.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* nbdkit's bounds for a preferred block size. */
#define MIN_PREFERRED_BYTES 4096u
#define MAX_PREFERRED_BYTES (32u << 20)
#define DEFAULT_UNIT_BYTES (1u << 20)

static void write_log(void *arg, enum log_level level, const char *message)
{
	(void)arg;
	nbdkit_debug("%s%s", level == LOG_LEVEL_WARNING ? "warning: " : "", message);
}

static struct {
	char *file;
	char *fill_from; /* a path or URI, or NULL */
	uint64_t fill_unit_bytes; /* 0: the image's block size */
	uint64_t preallocate_bytes;
	bool incomplete;
	struct log log;
	pthread_mutex_t lock; /* of opening the device */
	struct blk *device; /* NULL before the first connection */
} plugin = {
	.log = {.write = write_log, .max_level = LOG_LEVEL_DEBUG},
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

/* Tells the error to nbdkit and its client, and frees it; -1, as callbacks return it. */
static int report(struct err *err)
{
	int errnum = err_errno(err);

	if (!errnum)
		errnum = err_kind(err) == ERR_REFUSED ? EPERM : EIO;
	nbdkit_error("%s%s%s", err_message(err), err_advice(err) ? ": " : "",
		     err_advice(err) ? err_advice(err) : "");
	nbdkit_set_error(errnum);
	err_free(err);
	return -1;
}

static int answer(struct err *err)
{
	return err ? report(err) : 0;
}

/*
 * Parameters.
 */

/* nbdkit changes its folder when it goes into the background. */
static int set_path(char **path, const char *value)
{
	free(*path);
	*path = image_is_uri(value) ? strdup(value) : nbdkit_absolute_path(value);
	return *path ? 0 : -1;
}

static int plugin_config(const char *key, const char *value)
{
	if (!strcmp(key, "file"))
		return set_path(&plugin.file, value);
	if (!strcmp(key, "fill-from"))
		return set_path(&plugin.fill_from, value);
	if (!strcmp(key, "incomplete")) {
		int incomplete = nbdkit_parse_bool(value);

		plugin.incomplete = incomplete == 1;
		return incomplete < 0 ? -1 : 0;
	}
	if (!strcmp(key, "fill-unit")) {
		int64_t bytes = nbdkit_parse_size(value);

		plugin.fill_unit_bytes = bytes;
		return bytes < 0 ? -1 : 0;
	}
	if (!strcmp(key, "preallocate")) {
		int64_t bytes = nbdkit_parse_size(value);

		plugin.preallocate_bytes = bytes;
		return bytes < 0 ? -1 : 0;
	}
	nbdkit_error("unknown parameter '%s'", key);
	return -1;
}

static int plugin_config_complete(void)
{
	if (plugin.file)
		return 0;
	nbdkit_error("which image? Say file=PATH");
	return -1;
}

#define CONFIG_HELP                                                               \
	"[file=]<PATH>       (required) the image: VHDX, VHD or raw\n"            \
	"fill-from=<PATH|URI>           read what it lacks from this image\n"     \
	"fill-unit=<SIZE>               unit in which it is filled\n"             \
	"preallocate=<SIZE>             take space ahead of use, in such steps\n" \
	"incomplete=true                accept a VHDX that is not finished"

/*
 * The device.
 */

static struct err *add_filling(struct blk **device)
{
	CLEANUP_BLK struct blk *source = NULL;
	uint32_t preferred_bytes = (*device)->preferred_bytes;
	uint64_t unit_bytes = plugin.fill_unit_bytes;

	if (!unit_bytes)
		unit_bytes = preferred_bytes & (preferred_bytes - 1) ? DEFAULT_UNIT_BYTES : preferred_bytes;
	TRY(image_open(plugin.fill_from, &plugin.log, NULL, &source));
	TRY(blk_fill_create(*device, source, unit_bytes, device));
	source = NULL;
	return NULL;
}

static struct err *open_device(bool read_only, struct blk **ret_device)
{
	unsigned flags = (read_only ? 0 : IMAGE_OPEN_WRITE) | (plugin.incomplete ? IMAGE_OPEN_INCOMPLETE : 0);
	CLEANUP_BLK struct blk *device = NULL;

	TRY(image_open_with(plugin.file, flags, &plugin.log, NULL, &device));
	if (plugin.preallocate_bytes && !read_only)
		TRY(vhdx_set_preallocation(device, plugin.preallocate_bytes));
	if (plugin.fill_from)
		TRY(add_filling(&device));
	*ret_device = take_ptr(device);
	return NULL;
}

/* Opens without changing anything, so that what cannot be served ends nbdkit at once. */
static int plugin_get_ready(void)
{
	CLEANUP_BLK struct blk *device = NULL;
	CLEANUP_BLK struct blk *source = NULL;
	struct err *err = image_open_with(plugin.file, plugin.incomplete ? IMAGE_OPEN_INCOMPLETE : 0,
					  &plugin.log, NULL, &device);

	if (!err && plugin.fill_from)
		err = image_open(plugin.fill_from, &plugin.log, NULL, &source);
	return answer(err);
}

static void *plugin_open(int readonly)
{
	LOCKED(&plugin.lock);

	if (!plugin.device && answer(open_device(readonly, &plugin.device)))
		return NULL;
	return plugin.device;
}

static void plugin_close(void *handle)
{
	(void)handle;
}

static void plugin_unload(void)
{
	struct err *err = blk_close(plugin.device);

	if (err)
		report(err);
	free(plugin.file);
	free(plugin.fill_from);
}

/*
 * What it is and can.
 */

static int64_t plugin_get_size(void *handle)
{
	return ((struct blk *)handle)->size_bytes;
}

static int plugin_can_write(void *handle)
{
	return !(((struct blk *)handle)->flags & BLK_READ_ONLY);
}

static int plugin_yes(void *handle)
{
	(void)handle;
	return 1;
}

static int plugin_can_fua(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_NATIVE;
}

static int plugin_can_fast_zero(void *handle)
{
	return !!(((struct blk *)handle)->flags & BLK_FAST_ZERO);
}

static int plugin_can_cache(void *handle)
{
	(void)handle;
	return plugin.fill_from ? NBDKIT_CACHE_NATIVE : NBDKIT_CACHE_NONE;
}

static int plugin_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	uint32_t bytes = MIN_PREFERRED_BYTES;

	while (bytes < ((struct blk *)handle)->preferred_bytes && bytes < MAX_PREFERRED_BYTES)
		bytes *= 2;
	*minimum = 1;
	*preferred = bytes;
	*maximum = UINT32_MAX;
	return 0;
}

/*
 * Requests.
 */

static int plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	(void)flags;
	return answer(blk_pread(handle, buf, count, offset));
}

static unsigned request_flags(uint32_t flags)
{
	return (flags & NBDKIT_FLAG_FUA ? BLK_FUA : 0) | (flags & NBDKIT_FLAG_MAY_TRIM ? BLK_MAY_TRIM : 0);
}

static int plugin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	return answer(blk_pwrite(handle, buf, count, offset, request_flags(flags)));
}

static int plugin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	return answer(blk_zero(handle, count, offset, request_flags(flags)));
}

static int plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct err *err = blk_discard(handle, count, offset);

	if (!err && flags & NBDKIT_FLAG_FUA)
		err = blk_flush(handle);
	return answer(err);
}

static int plugin_flush(void *handle, uint32_t flags)
{
	(void)flags;
	return answer(blk_flush(handle));
}

static int plugin_cache(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	(void)flags;
	return answer(blk_fill_range(handle, count, offset));
}

static struct err *add_extent(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	uint32_t type = (extent_flags & BLK_EXTENT_HOLE ? NBDKIT_EXTENT_HOLE : 0) |
			(extent_flags & BLK_EXTENT_ZERO ? NBDKIT_EXTENT_ZERO : 0);

	return nbdkit_add_extent(arg, offset, len_bytes, type) ? err_nomem() : NULL;
}

static int plugin_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
			  struct nbdkit_extents *extents)
{
	(void)flags;
	return answer(blk_extents(handle, count, offset, add_extent, extents));
}

static struct nbdkit_plugin description = {
	.name = "vhdx",
	.longname = "p2v VHDX plugin",
	.description = "serve VHDX, VHD and raw disk images",
	.config_help = CONFIG_HELP,
	.magic_config_key = "file",
	.unload = plugin_unload,
	.config = plugin_config,
	.config_complete = plugin_config_complete,
	.get_ready = plugin_get_ready,
	.open = plugin_open,
	.close = plugin_close,
	.get_size = plugin_get_size,
	.can_write = plugin_can_write,
	.can_flush = plugin_yes,
	.can_trim = plugin_yes,
	.can_zero = plugin_yes,
	.can_extents = plugin_yes,
	.can_multi_conn = plugin_yes,
	.can_fua = plugin_can_fua,
	.can_fast_zero = plugin_can_fast_zero,
	.can_cache = plugin_can_cache,
	.block_size = plugin_block_size,
	.pread = plugin_pread,
	.pwrite = plugin_pwrite,
	.zero = plugin_zero,
	.trim = plugin_trim,
	.flush = plugin_flush,
	.cache = plugin_cache,
	.extents = plugin_extents,
};

/* The macro defines it without declaring it. */
NBDKIT_DLL_PUBLIC struct nbdkit_plugin *plugin_init(void);
NBDKIT_REGISTER_PLUGIN(description)
