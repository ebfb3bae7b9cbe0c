/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/usedmap-impl.h"

#define KINDS(X)                                                                                             \
	X(gpt)                                                                                               \
	X(dos)                                                                                               \
	X(ext)                                                                                               \
	X(xfs)                                                                                               \
	X(ntfs) X(fat) X(swap) X(luks) X(bcache) X(bcachefs) X(bitlocker) X(refs) X(zfs) X(f2fs) X(reiserfs) \
		X(reiser4) X(jfs) X(nilfs) X(gfs2) X(ocfs2) X(oracleasm) X(iso9660) X(bluestore) X(stratis)  \
			X(squashfs) X(apfs) X(hfsplus) X(ufs) X(vdo) X(cow_snapshot)

#define DECLARE(id) extern const struct usedmap_kind usedmap_##id;
#define POINT(id) &usedmap_##id,

KINDS(DECLARE)

const struct usedmap_kind *const usedmap_kinds[] = {KINDS(POINT) NULL};
