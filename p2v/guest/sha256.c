/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/guest/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "p2v/base/mem.h"

#define CHUNK_BYTES (256u << 10)

DEFINE_CLEANUP(md_ctx, EVP_MD_CTX *, EVP_MD_CTX_free)

static struct err *start(EVP_MD_CTX **ret_context)
{
	CLEANUP(cleanup_md_ctx) EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (!context)
		return err_nomem();
	if (!EVP_DigestInit_ex(context, EVP_sha256(), NULL))
		return err_failed("SHA-256 is not to be had from OpenSSL");
	*ret_context = take_ptr(context);
	return NULL;
}

static struct err *finish(EVP_MD_CTX *context, char ret_hex[SHA256_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned bytes = 0;

	if (!EVP_DigestFinal_ex(context, digest, &bytes) || bytes != 32)
		return err_failed("SHA-256 failed in OpenSSL");
	for (unsigned i = 0; i < 32; i++) {
		ret_hex[2 * i] = digits[digest[i] >> 4];
		ret_hex[2 * i + 1] = digits[digest[i] & 15];
	}
	ret_hex[64] = '\0';
	return NULL;
}

struct err *sha256_of_bytes(const void *data, size_t bytes, char ret_hex[SHA256_TEXT_BYTES])
{
	CLEANUP(cleanup_md_ctx) EVP_MD_CTX *context = NULL;

	TRY(start(&context));
	if (!EVP_DigestUpdate(context, data, bytes))
		return err_failed("SHA-256 failed in OpenSSL");
	return finish(context, ret_hex);
}

struct err *sha256_of_fd(int fd, const char *name, char ret_hex[SHA256_TEXT_BYTES])
{
	CLEANUP(cleanup_md_ctx) EVP_MD_CTX *context = NULL;
	CLEANUP_FREE char *buffer = xmalloc(CHUNK_BYTES);

	TRY(start(&context));
	for (;;) {
		ssize_t n = read(fd, buffer, CHUNK_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_from_errno(errno, "%s", name);
		if (n == 0)
			return finish(context, ret_hex);
		if (!EVP_DigestUpdate(context, buffer, (size_t)n))
			return err_failed("SHA-256 failed in OpenSSL");
	}
}

struct err *sha256_of_file(const char *path, char ret_hex[SHA256_TEXT_BYTES])
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_from_errno(errno, "%s", path);
	return sha256_of_fd(fd, path, ret_hex);
}
