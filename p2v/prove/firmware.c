/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/prove/firmware.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const struct uefi_files known_files[] = {
	/* Debian, Ubuntu */
	{"/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd", true},
	{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd", false},
	{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd", false},
	/* Fedora, RHEL */
	{"/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd", true},
	{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd", false},
	/* openSUSE, SLES */
	{"/usr/share/qemu/ovmf-x86_64-smm-ms-code.bin", "/usr/share/qemu/ovmf-x86_64-smm-ms-vars.bin", true},
	{"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin", false},
	/* Arch */
	{"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd", false},
};

struct err *firmware_find_uefi(bool want_secure, struct uefi_files *ret_files)
{
	for (int secure = want_secure; secure >= 0; secure--)
		for (size_t i = 0; i < sizeof known_files / sizeof *known_files; i++)
			if (known_files[i].is_secure == secure && !access(known_files[i].code, R_OK) &&
			    !access(known_files[i].variables, R_OK)) {
				*ret_files = known_files[i];
				return NULL;
			}
	return err_advise(err_refused("no UEFI firmware for QEMU is installed (OVMF)"),
			  "install the package 'ovmf' (Debian, Ubuntu) or 'edk2-ovmf' (Fedora, RHEL)");
}

struct err *firmware_copy_variables(const struct uefi_files *files, const char *path)
{
	CLEANUP_FCLOSE FILE *from = fopen(files->variables, "re");
	CLEANUP_FCLOSE FILE *to = fopen(path, "wxe");
	char buf[65536];
	size_t got;

	if (!from)
		return err_from_errno(errno, "%s", files->variables);
	if (!to)
		return err_from_errno(errno, "%s", path);
	while ((got = fread(buf, 1, sizeof buf, from)))
		if (fwrite(buf, 1, got, to) != got)
			return err_from_errno(errno, "%s", path);
	if (ferror(from))
		return err_from_errno(errno, "%s", files->variables);
	if (fflush(to))
		return err_from_errno(errno, "%s", path);
	return NULL;
}
