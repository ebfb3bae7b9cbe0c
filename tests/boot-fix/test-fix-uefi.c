/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The fallback loader on the EFI system partition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/boot-fix/lib-server.h"

static const struct uefi_case {
	struct fix_case fix_case;
	enum boot_loader loader;
	const char *arch; /* NULL: x86_64 */
} cases[] = {
	{{
		.title = "Debian with shim",
		.fix = "uefi-fallback",
		.before =
			TREE({"/esp/EFI/debian/shimx64.efi", "shim"}, {"/esp/EFI/debian/grubx64.efi", "grub"},
			     {"/esp/EFI/debian/mmx64.efi", "mok"}, {"/esp/EFI/debian/fbx64.efi", "fallback"},
			     {"/esp/EFI/debian/BOOTX64.CSV", "csv"}, {"/esp/EFI/aaa/shimx64.efi", "other"},
			     {"/esp/EFI/aaa/grubx64.efi", "other"}),
		.after = TREE({"/esp/EFI/BOOT/BOOTX64.EFI", "shim"}, {"/esp/EFI/BOOT/grubx64.efi", "grub"},
			      {"/esp/EFI/BOOT/mmx64.efi", "mok"}),
	}},
	{{
		.title = "no shim, folder and loader in other cases",
		.fix = "uefi-fallback",
		.before = TREE({"/esp/efi/Debian/GRUBX64.EFI", "grub"}, {"/esp/efi/Boot/", NULL},
			       {"/esp/efi/Microsoft/Boot/bootmgfw.efi", "windows"}),
		.after = TREE({"/esp/efi/Boot/BOOTX64.EFI", "grub"}),
	}},
	{{
		.title = "shim without what it starts is no loader",
		.fix = "uefi-fallback",
		.before = TREE({"/esp/EFI/debian/shimx64.efi", "shim"},
			       {"/esp/EFI/refind/refind_x64.efi", "refind"}),
		.after = TREE({"/esp/EFI/BOOT/BOOTX64.EFI", "refind"}),
	}},
	{{
		 .title = "systemd-boot beside an old GRUB",
		 .fix = "uefi-fallback",
		 .before = TREE({"/esp/EFI/systemd/systemd-bootx64.efi", "sd-boot"},
				{"/esp/EFI/debian/grubx64.efi", "grub"}),
		 .after = TREE({"/esp/EFI/BOOT/BOOTX64.EFI", "sd-boot"}),
	 },
	 .loader = BOOT_LOADER_SYSTEMD_BOOT},
	{{
		.title = "a fallback loader that is there",
		.fix = "uefi-fallback",
		.before =
			TREE({"/esp/EFI/debian/shimx64.efi", "shim"}, {"/esp/EFI/debian/grubx64.efi", "grub"},
			     {"/esp/EFI/boot/bootx64.efi", "something"}),
		.after = TREE(),
	}},
	{{
		.title = "a fallback loader that chains through shim's own",
		.fix = "uefi-fallback",
		.before =
			TREE({"/esp/EFI/debian/shimx64.efi", "shim"}, {"/esp/EFI/debian/grubx64.efi", "grub"},
			     {"/esp/EFI/BOOT/BOOTX64.EFI", "shim"}, {"/esp/EFI/BOOT/fbx64.efi", "fallback"}),
		.after = TREE(),
	}},
	{{
		.title = "the guest's shim as fallback with nothing beside it",
		.fix = "uefi-fallback",
		.before =
			TREE({"/esp/EFI/debian/shimx64.efi", "shim"}, {"/esp/EFI/debian/grubx64.efi", "grub"},
			     {"/esp/EFI/boot/bootx64.efi", "shim"}),
		.after = TREE({"/esp/EFI/boot/grubx64.efi", "grub"}),
	}},
	{{
		.title = "nothing to make one from",
		.fix = "uefi-fallback",
		.before = TREE({"/esp/EFI/Dell/diag.efi", "diagnostics"}),
		.after = TREE(),
		.findings = FINDINGS("!no \\EFI\\BOOT\\BOOTX64.EFI"),
	}},
	{{
		 .title = "another architecture",
		 .fix = "uefi-fallback",
		 .before = TREE({"/esp/EFI/debian/shimaa64.efi", "shim"},
				{"/esp/EFI/debian/grubaa64.efi", "grub"}),
		 .after =
			 TREE({"/esp/EFI/BOOT/BOOTAA64.EFI", "shim"}, {"/esp/EFI/BOOT/grubaa64.efi", "grub"}),
	 },
	 .arch = "aarch64"},
	{{
		 .title = "an architecture without UEFI",
		 .fix = "uefi-fallback",
		 .before = TREE({"/esp/EFI/debian/grubx64.efi", "grub"}),
		 .after = TREE(),
	 },
	 .arch = "ppc64le"},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct server server;

		server_init(&server);
		server.inspection.boot.firmware = FIRMWARE_UEFI;
		server.inspection.boot.esp_mount_point = "/esp";
		if (cases[i].loader)
			server.inspection.boot.loader = cases[i].loader;
		if (cases[i].arch)
			server.inspection.os.arch = (char *)cases[i].arch;
		fix_case_run(&server, &cases[i].fix_case);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
