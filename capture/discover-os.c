/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The system that runs, by os-release(5). */
#include <ctype.h>
#include <string.h>
#include <sys/utsname.h>

#include "capture/discover-impl.h"
#include "p2v/base/mem.h"

static char *find_arch(const char *root)
{
	char *arch = sysroot_read(root, "/proc/sys/kernel/arch");
	struct utsname name;

	if (!arch && !*root && !uname(&name))
		arch = xstrdup(name.machine);
	return arch;
}

/* The host's own name without its domain, and only with characters that every file system takes. */
static char *file_name(const char *hostname)
{
	char *name = xstrndup(hostname, strcspn(hostname, "."));

	for (char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			*c = '-';
	return name;
}

void discover_os(const char *root, struct machine *machine)
{
	CLEANUP_FREE char *text = sysroot_read(root, "/etc/os-release");
	struct machine_os *os = &machine->os;

	if (!text)
		text = sysroot_read(root, "/usr/lib/os-release");
	if (text) {
		os->id = sysroot_value(text, "ID");
		os->version = sysroot_value(text, "VERSION_ID");
		os->name = sysroot_value(text, "PRETTY_NAME");
	}
	os->arch = find_arch(root);
	os->hostname = sysroot_read(root, "/proc/sys/kernel/hostname");
	if (!os->hostname)
		os->hostname = sysroot_read(root, "/etc/hostname");
	if (os->hostname)
		machine->name = file_name(os->hostname);
}
