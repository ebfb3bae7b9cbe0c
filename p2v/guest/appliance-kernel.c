/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A Linux kernel for x86 is a small loader and a compressed ELF image
 * (Documentation/arch/x86/boot.rst: payload_offset, payload_length).  QEMU
 * starts the ELF image directly if it has a PVH entry point.
 */
#include "p2v/guest/appliance-kernel.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2v/base/le.h"
#include "p2v/base/mem.h"
#include "p2v/base/strv.h"
#include "p2v/guest/sha256.h"
#include "p2v/guest/user-cache.h"

#define MAX_KERNEL_BYTES (512u << 20)

/* A file mapped for reading. */
struct mapping {
	uint8_t *data;
	size_t bytes;
};

static void mapping_deinit(struct mapping *mapping)
{
	if (mapping->data)
		munmap(mapping->data, mapping->bytes);
}

static struct err *map_file(const char *path, struct mapping *ret_mapping)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *data;

	if (fd < 0 || fstat(fd, &st))
		return err_from_errno(errno, "%s", path);
	if (st.st_size < 4096 || st.st_size > MAX_KERNEL_BYTES)
		return err_failed("%s: no kernel by its size", path);
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return err_from_errno(errno, "%s", path);
	*ret_mapping = (struct mapping){data, (size_t)st.st_size};
	return NULL;
}

/* The compressed image inside a bzImage, boot protocol 2.08 or later. */
static struct err *find_payload(const struct mapping *kernel, const char *path, const uint8_t **ret_payload,
				size_t *ret_bytes)
{
	enum { SETUP_SECTORS = 0x1f1, MAGIC = 0x202, VERSION = 0x206, OFFSET = 0x248, LENGTH = 0x24c };
	const uint8_t *data = kernel->data;
	le16 version;
	le32 offset, length;
	uint64_t start;

	memcpy(&version, data + VERSION, sizeof version);
	memcpy(&offset, data + OFFSET, sizeof offset);
	memcpy(&length, data + LENGTH, sizeof length);
	if (memcmp(data + MAGIC, "HdrS", 4) != 0 || le16_get(version) < 0x208)
		return err_failed("%s: no x86 kernel of a known form", path);
	start = (data[SETUP_SECTORS] + 1ull) * 512 + le32_get(offset);
	/* The last four bytes are the unpacked size. */
	if (start + le32_get(length) > kernel->bytes || le32_get(length) < 8)
		return err_failed("%s: its payload is outside the file", path);
	*ret_payload = data + start;
	*ret_bytes = le32_get(length);
	return NULL;
}

static struct err *archive_failure(struct archive *archive, const char *path)
{
	const char *text = archive_error_string(archive);

	return err_failed("%s: %s", path, text ? text : "cannot be unpacked");
}

/* Reads exactly `bytes`, and leaves what follows alone. */
static struct err *unpack(struct archive *archive, const char *path, uint8_t *data, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		la_ssize_t got = archive_read_data(archive, data + done, bytes - done);

		if (got < 0)
			return archive_failure(archive, path);
		if (got == 0)
			return err_failed("%s: unpacks to less than it says", path);
		done += (size_t)got;
	}
	return NULL;
}

static void free_archive(struct archive **archive)
{
	if (*archive)
		archive_read_free(*archive);
}

static struct err *unpack_payload(const uint8_t *payload, size_t payload_bytes, const char *path,
				  uint8_t **ret_data, size_t *ret_bytes)
{
	CLEANUP(free_archive) struct archive *archive = archive_read_new();
	CLEANUP_FREE uint8_t *data = NULL;
	struct archive_entry *entry;
	uint32_t bytes;
	le32 size;

	memcpy(&size, payload + payload_bytes - sizeof size, sizeof size);
	bytes = le32_get(size);
	if (bytes < 4096 || bytes > MAX_KERNEL_BYTES)
		return err_failed("%s: unpacks to a senseless size", path);
	data = malloc(bytes);
	if (!archive || !data)
		return err_nomem();
	archive_read_support_filter_all(archive);
	archive_read_support_format_raw(archive);
	if (archive_read_open_memory(archive, payload, payload_bytes - sizeof size) != ARCHIVE_OK ||
	    archive_read_next_header(archive, &entry) != ARCHIVE_OK)
		return archive_failure(archive, path);
	TRY(unpack(archive, path, data, bytes));
	if (memcmp(data, "\177ELF", 4) != 0)
		return err_failed("%s: holds no ELF image", path);
	*ret_data = take_ptr(data);
	*ret_bytes = bytes;
	return NULL;
}

static struct err *write_whole(const char *path, const uint8_t *data, size_t bytes)
{
	CLEANUP_FREE char *temp = xasprintf("%s.%ld", path, (long)getpid());
	FILE *file = fopen(temp, "we");
	bool is_whole;

	if (!file)
		return err_from_errno(errno, "%s", temp);
	is_whole = fwrite(data, 1, bytes, file) == bytes;
	is_whole = fclose(file) == 0 && is_whole;
	if (!is_whole || rename(temp, path)) {
		struct err *err = err_from_errno(errno, "%s", path);

		unlink(temp);
		return err;
	}
	return NULL;
}

/* Kernels that an update has left behind in the cache. */
static void remove_others(const char *dir, const char *keep)
{
	CLEANUP_FREE char *pattern = xasprintf("%s/vmlinux-*", dir);
	glob_t found;

	if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		if (strcmp(found.gl_pathv[i], keep) != 0)
			unlink(found.gl_pathv[i]);
	}
	globfree(&found);
}

/* Unpacks the kernel into the cache folder, where the next run finds it, or into dir. */
static struct err *provide_kernel(const char *kernel_path, const char *dir, const struct log *log,
				  char **ret_path)
{
	CLEANUP(mapping_deinit) struct mapping kernel = {0};
	CLEANUP_FREE char *cache = user_cache_dir();
	CLEANUP_FREE uint8_t *data = NULL;
	CLEANUP_FREE char *path = NULL;
	char hash[SHA256_TEXT_BYTES];
	const uint8_t *payload = NULL;
	size_t payload_bytes = 0;
	size_t bytes = 0;

	TRY(map_file(kernel_path, &kernel));
	TRY(sha256_of_bytes(kernel.data, kernel.bytes, hash));
	path = xasprintf("%s/vmlinux-%.32s", cache ? cache : dir, hash);
	if (access(path, R_OK) != 0) {
		TRY(find_payload(&kernel, kernel_path, &payload, &payload_bytes));
		TRY(unpack_payload(payload, payload_bytes, kernel_path, &data, &bytes));
		TRY(write_whole(path, data, bytes));
		remove_others(cache ? cache : dir, path);
		log_debug(log, "%s: unpacked to %s", kernel_path, path);
	}
	*ret_path = take_ptr(path);
	return NULL;
}

static struct err *link_into(const char *dir, const char *name, const char *target)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);

	if (symlink(target, path))
		return err_from_errno(errno, "%s", path);
	return NULL;
}

struct err *appliance_unpack_kernel(const char *built_dir, const char *dir, const struct log *log)
{
	CLEANUP_FREE char *built_kernel = xasprintf("%s/kernel", built_dir);
	CLEANUP_FREE char *initrd = xasprintf("%s/initrd", built_dir);
	CLEANUP_FREE char *root = xasprintf("%s/root", built_dir);
	CLEANUP_FREE char *kernel = NULL;

	if (mkdir(dir, 0700))
		return err_from_errno(errno, "%s", dir);
	TRY(provide_kernel(built_kernel, dir, log, &kernel));
	TRY(link_into(dir, "kernel", kernel));
	TRY(link_into(dir, "initrd", initrd));
	TRY(link_into(dir, "root", root));
	return link_into(dir, "README.fixed", root);
}
