/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A server as an inspection would describe it, and fixes run on trees of files. */
#ifndef TESTS_BOOT_FIX_LIB_SERVER_H
#define TESTS_BOOT_FIX_LIB_SERVER_H

#include "boot-fix/fix.h"
#include "tests/guest/lib-tree.h"

/* UUIDs of the server's volumes. */
#define UUID_ROOT "0a1b2c3d-0001-4000-8000-000000000001" /* /dev/sda1, ext4, "/" */
#define UUID_SWAP "0a1b2c3d-0002-4000-8000-000000000002" /* /dev/sda2, swap */
#define UUID_LUKS "0a1b2c3d-0003-4000-8000-000000000003" /* /dev/sda3, crypto_LUKS */
#define PARTUUID_PLAIN "c0ffee01-04" /* /dev/sda4, nothing known inside */
#define UUID_SRV "0a1b2c3d-0005-4000-8000-000000000005" /* /dev/sdb1, xfs, "/srv" */
#define UUID_PV "abcdef-0001-0002-0003-0004-0005-abcdef" /* /dev/sdb2, LVM2_member */
#define UUID_DATA "0a1b2c3d-0007-4000-8000-000000000007" /* /dev/vg0/data, ext4 */
#define UUID_RAID "11223344-5566-7788-99aa-bbccddeeff00" /* /dev/sdc1 and /dev/sdd1, linux_raid_member */
#define UUID_TWIN "0a1b2c3d-0009-4000-8000-000000000009" /* /dev/sdc2 and its clone /dev/sdd2 */
#define MAC_A "52:54:00:aa:00:01" /* enp3s0 */
#define MAC_B "52:54:00:aa:00:02" /* eth1 */

/* The server, for targets KVM and Hyper-V.  Members may be changed by a test. */
struct server {
	struct guest_volume volumes[12];
	struct guest_disk_name disk_names[4];
	struct guest_kernel kernels[1];
	struct guest_interface interfaces[2];
	struct guest_leftover leftovers[3];
	struct machine_nic nics[2];
	struct machine_disk disks[4];
	struct inspection inspection;
	struct machine machine;
	struct fix_context context;
};
void server_init(struct server *server);

/* A fix of the table; fails the test if there is none. */
const struct fix *find_fix(const char *name);

/*
 * Before and after of one fix, as entries ended by a NULL path.  In `after` content NULL is a file that is
 * gone; files not named there must be what they were to the byte.  `findings` (NULL-ended) are pieces of
 * what must be found, each with '!' in front for a warning or '.' for a note; no others may be found.
 */
struct fix_case {
	const char *title;
	const char *fix; /* "fstab"; NULL: all that apply */
	const struct tree_entry *before;
	const struct tree_entry *after;
	const char *const *findings; /* NULL: none */
};

/* The members of a struct fix_case. */
#define TREE(...)                          \
	(const struct tree_entry[])        \
	{                                  \
		__VA_ARGS__ __VA_OPT__(, ) \
		{                          \
			NULL               \
		}                          \
	}
#define FINDINGS(...)             \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

/* Runs the case on a fresh tree, compares, and runs the fix on the result, where it must plan nothing. */
void fix_case_run(const struct server *server, const struct fix_case *fix_case);

#endif
