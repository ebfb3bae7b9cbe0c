/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What p2v does not map but must recognise: such a device may still carry the
 * superblock of a file system that was on it before, and two signatures are a
 * doubt where one alone would be believed.
 */
#include "capture/usedmap-impl.h"

struct signature {
	uint32_t offset;
	const char *bytes;
	uint8_t len_bytes;
};

static bool has_signature(const uint8_t *start, uint64_t size_bytes, const struct signature *signatures)
{
	for (; signatures->bytes; signatures++)
		if (signatures->offset + signatures->len_bytes <= size_bytes &&
		    !memcmp(start + signatures->offset, signatures->bytes, signatures->len_bytes))
			return true;
	return false;
}

#define OTHER(id, kind_name, ...)                                                                 \
	static bool id##_recognise(const uint8_t start[USEDMAP_START_BYTES], uint64_t size_bytes) \
	{                                                                                         \
		static const struct signature signatures[] = {__VA_ARGS__, {0}};                  \
                                                                                                  \
		return has_signature(start, size_bytes, signatures);                              \
	}                                                                                         \
	const struct usedmap_kind usedmap_##id = {.name = kind_name, .recognise = id##_recognise}

#define BCACHE_MAGIC "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"
#define BCACHEFS_MAGIC "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"

OTHER(luks, "crypto_LUKS", {0, "LUKS\xba\xbe", 6});
OTHER(bcache, "bcache", {4096 + 24, BCACHE_MAGIC, 16});
OTHER(bcachefs, "bcachefs", {4096 + 24, BCACHEFS_MAGIC, 16});
OTHER(bitlocker, "BitLocker", {3, "-FVE-FS-", 8});
OTHER(refs, "ReFS", {3, "ReFS\0\0\0\0", 8});
OTHER(f2fs, "f2fs", {1024, "\x10\x20\xf5\xf2", 4});
OTHER(reiserfs, "reiserfs", {(64 << 10) + 0x34, "ReIsEr", 6}, {(8 << 10) + 0x34, "ReIsEr", 6});
OTHER(reiser4, "reiser4", {64 << 10, "ReIsEr4", 7});
OTHER(jfs, "jfs", {32 << 10, "JFS1", 4});
OTHER(nilfs, "nilfs2", {1024 + 6, "\x34\x34", 2});
OTHER(gfs2, "gfs2", {64 << 10, "\x01\x16\x19\x70", 4});
OTHER(ocfs2, "ocfs2", {2048, "OCFSV2", 6}, {4096, "OCFSV2", 6}, {1024, "OCFSV2", 6}, {8192, "OCFSV2", 6});
OTHER(oracleasm, "oracleasm", {32, "ORCLDISK", 8});
OTHER(iso9660, "iso9660", {0x8001, "CD001", 5});
OTHER(bluestore, "ceph_bluestore", {0, "bluestore block device", 22});
OTHER(stratis, "stratis", {512 + 4, "!Stra0tis\x86\xff\x02^\x41rh", 16});
OTHER(squashfs, "squashfs", {0, "hsqs", 4});
OTHER(apfs, "apfs", {32, "NXSB", 4});
OTHER(hfsplus, "hfsplus", {1024, "H+\0\4", 4}, {1024, "HX\0\5", 4});
OTHER(ufs, "ufs", {8192 + 0x55c, "\x54\x19\x01\x00", 4}, {65536 + 0x55c, "\x19\x01\x54\x19", 4});
OTHER(vdo, "vdo", {0, "dmvdo001", 8});
OTHER(cow_snapshot, "DM_snapshot_cow", {0, "SnAp", 4});

/* The ring of uberblocks in the first label begins at 128 KiB; any slot of it may be the first one used. */
static bool zfs_recognise(const uint8_t start[USEDMAP_START_BYTES], uint64_t size_bytes)
{
	static const uint8_t little[8] = {0x0c, 0xb1, 0xba}, big[8] = {0, 0, 0, 0, 0, 0xba, 0xb1, 0x0c};

	(void)size_bytes;
	for (size_t at = 128u << 10; at < USEDMAP_START_BYTES; at += 1024)
		if (!memcmp(start + at, little, sizeof little) || !memcmp(start + at, big, sizeof big))
			return true;
	return false;
}

const struct usedmap_kind usedmap_zfs = {
	.name = "zfs_member",
	.recognise = zfs_recognise,
};

/* RAID of the firmware, which keeps its description in the last sectors: a member begins like a disk. */
#define OTHER_END(id, kind_name, from_end, bytes, len_bytes)                                      \
	static bool id##_recognise_end(const uint8_t end[USEDMAP_END_BYTES], uint64_t size_bytes) \
	{                                                                                         \
		(void)size_bytes;                                                                 \
		return !memcmp(end + USEDMAP_END_BYTES - (from_end), bytes, len_bytes);           \
	}                                                                                         \
	const struct usedmap_kind usedmap_##id = {.name = kind_name, .recognise_end = id##_recognise_end}

OTHER_END(intel, "isw_raid_member", 1024, "Intel Raid ISM Cfg Sig. ", 24);
OTHER_END(ddf, "ddf_raid_member", 512, "\xde\x11\xde\x11", 4);
