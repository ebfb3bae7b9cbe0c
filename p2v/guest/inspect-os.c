/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which distribution, for which processor: os-release(5), the files that
 * distributions had before it, and the ELF header of a program that every
 * system has.
 */
#include <ctype.h>
#include <elf.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/conf.h"
#include "p2v/guest/inspect-impl.h"

static struct err *read_text(struct guest *guest, const char *path, char **ret_text)
{
	struct guest_stat stat;
	size_t bytes;

	*ret_text = NULL;
	TRY(guest_stat(guest, path, &stat));
	return stat.kind == GUEST_FILE ? guest_read(guest, path, ret_text, &bytes) : NULL;
}

static struct err *read_os_release(struct guest *guest, struct machine_os *os)
{
	static const char *const paths[] = {"/etc/os-release", "/usr/lib/os-release", NULL};
	CLEANUP_CONF struct conf conf = {0};
	CLEANUP_FREE char *text = NULL;
	const char *path;

	TRY(inspect_find_first(guest, paths, &path));
	if (!path)
		return NULL;
	TRY(read_text(guest, path, &text));
	conf_read_shell(text, &conf);
	os->id = xstrdup(conf_get(&conf, "", "ID"));
	os->version = xstrdup(conf_get(&conf, "", "VERSION_ID"));
	os->name = xstrdup(conf_get(&conf, "", "PRETTY_NAME"));
	return NULL;
}

/* Systems older than os-release: "CentOS release 6.10 (Final)". */
static struct err *read_old_release(struct guest *guest, struct machine_os *os)
{
	static const struct {
		const char *path;
		const char *start; /* of the first line */
		const char *id;
	} forms[] = {
		{"/etc/redhat-release", "Red Hat", "rhel"},
		{"/etc/redhat-release", "CentOS", "centos"},
		{"/etc/redhat-release", "Fedora", "fedora"},
		{"/etc/redhat-release", "Scientific", "scientific"},
		{"/etc/redhat-release", "", "rhel"},
		{"/etc/SuSE-release", "openSUSE", "opensuse"},
		{"/etc/SuSE-release", "", "sles"},
		{"/etc/debian_version", "", "debian"},
	};

	for (size_t i = 0; i < sizeof forms / sizeof *forms && !os->id; i++) {
		CLEANUP_FREE char *text = NULL;
		const char *version;

		TRY(read_text(guest, forms[i].path, &text));
		if (!text || !str_starts_with(text, forms[i].start))
			continue;
		text[strcspn(text, "\n")] = '\0';
		version = text + strcspn(text, "0123456789");
		os->id = xstrdup(forms[i].id);
		os->version = xstrndup(version, strspn(version, "0123456789."));
		os->name = strcmp(forms[i].id, "debian") == 0 ? xasprintf("Debian %s", text) : xstrdup(text);
	}
	return NULL;
}

/* ELF header (System V ABI, "ELF Header"); NULL if it is none. */
static const char *arch_of_elf(const char *data, size_t bytes)
{
	static const struct {
		unsigned machine;
		unsigned class;
		const char *name;
	} archs[] = {
		{EM_X86_64, ELFCLASS64, "x86_64"}, {EM_386, ELFCLASS32, "i686"},
		{EM_X86_64, ELFCLASS32, "x32"},	   {EM_AARCH64, ELFCLASS64, "aarch64"},
		{EM_ARM, ELFCLASS32, "arm"},	   {EM_PPC64, ELFCLASS64, "ppc64"},
		{EM_S390, ELFCLASS64, "s390x"},	   {EM_RISCV, ELFCLASS64, "riscv64"},
		{EM_IA_64, ELFCLASS64, "ia64"},	   {EM_SPARCV9, ELFCLASS64, "sparc64"},
		{EM_MIPS, ELFCLASS32, "mips"},	   {EM_PPC, ELFCLASS32, "ppc"},
	};
	const unsigned char *header = (const unsigned char *)data;
	unsigned machine;

	if (bytes < sizeof(Elf32_Ehdr) || memcmp(header, ELFMAG, SELFMAG) != 0)
		return NULL;
	machine =
		header[EI_DATA] == ELFDATA2MSB ? header[18] << 8 | header[19] : header[19] << 8 | header[18];
	for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
		if (archs[i].machine == machine && archs[i].class == header[EI_CLASS])
			return archs[i].name;
	}
	return "unknown";
}

static struct err *find_arch(struct guest *guest, struct machine_os *os)
{
	static const char *const programs[] = {"/bin/sh", "/bin/true", "/usr/bin/env",
					       "/bin/ls", "/bin/bash", "/sbin/init"};

	for (size_t i = 0; i < sizeof programs / sizeof *programs && !os->arch; i++) {
		CLEANUP_FREE char *data = NULL;
		struct guest_stat stat;
		size_t bytes;

		TRY(guest_stat(guest, programs[i], &stat));
		if (stat.kind != GUEST_FILE)
			continue;
		TRY(guest_read(guest, programs[i], &data, &bytes));
		if (data)
			os->arch = xstrdup(arch_of_elf(data, bytes));
	}
	return NULL;
}

static struct err *find_hostname(struct guest *guest, struct machine_os *os)
{
	static const char *const paths[] = {"/etc/hostname", "/etc/HOSTNAME"};
	CLEANUP_CONF struct conf conf = {0};
	CLEANUP_FREE char *network = NULL;

	for (size_t i = 0; i < sizeof paths / sizeof *paths && !os->hostname; i++) {
		CLEANUP_FREE char *text = NULL;

		TRY(read_text(guest, paths[i], &text));
		for (const char *line = text; line && *line && !os->hostname;) {
			line += strspn(line, " \t\r\n");
			if (*line && *line != '#')
				os->hostname = xstrndup(line, strcspn(line, " \t\r\n"));
			line += strcspn(line, "\n");
		}
	}
	if (os->hostname)
		return NULL;
	TRY(read_text(guest, "/etc/sysconfig/network", &network));
	conf_read_shell(network, &conf);
	os->hostname = xstrdup(conf_get(&conf, "", "HOSTNAME"));
	return NULL;
}

struct err *inspect_os(const struct inspect_context *context)
{
	static const char *const systemd[] = {"/lib/systemd/systemd", "/usr/lib/systemd/systemd", NULL};
	struct machine_os *os = &context->inspection->os;
	const char *found;

	TRY(read_os_release(context->guest, os));
	if (!os->id)
		TRY(read_old_release(context->guest, os));
	TRY(find_arch(context->guest, os));
	TRY(find_hostname(context->guest, os));
	TRY(inspect_find_first(context->guest, systemd, &found));
	context->inspection->has_systemd = found != NULL;
	return NULL;
}
