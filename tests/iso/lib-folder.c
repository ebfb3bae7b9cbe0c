/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/iso/lib-folder.h"

#include "tests/base/lib-must.h"

struct scratch *folder;

int make_folder(void **state)
{
	(void)state;
	must(scratch_create("/var/tmp", "p2v-test", &folder));
	return 0;
}

int remove_folder(void **state)
{
	(void)state;
	scratch_destroy(folder);
	return 0;
}
