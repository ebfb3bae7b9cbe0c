/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/usedmap-impl.h"

extern const struct usedmap_kind usedmap_gpt, usedmap_dos, usedmap_ext, usedmap_xfs, usedmap_ntfs,
	usedmap_fat, usedmap_swap, usedmap_luks, usedmap_bcache, usedmap_bcachefs, usedmap_bitlocker,
	usedmap_refs, usedmap_zfs, usedmap_f2fs, usedmap_reiserfs, usedmap_reiser4, usedmap_jfs,
	usedmap_nilfs, usedmap_gfs2, usedmap_ocfs2, usedmap_oracleasm, usedmap_iso9660, usedmap_bluestore,
	usedmap_stratis, usedmap_squashfs, usedmap_apfs, usedmap_hfsplus, usedmap_ufs, usedmap_vdo,
	usedmap_lvm, usedmap_btrfs, usedmap_md, usedmap_intel, usedmap_ddf, usedmap_cow_snapshot;

const struct usedmap_kind *const usedmap_kinds[] = {
	&usedmap_gpt,	  &usedmap_dos,	      &usedmap_ext,	     &usedmap_xfs,
	&usedmap_ntfs,	  &usedmap_fat,	      &usedmap_swap,	     &usedmap_lvm,
	&usedmap_btrfs,	  &usedmap_md,	      &usedmap_intel,	     &usedmap_ddf,
	&usedmap_luks,	  &usedmap_bcache,    &usedmap_bcachefs,     &usedmap_bitlocker,
	&usedmap_refs,	  &usedmap_zfs,	      &usedmap_f2fs,	     &usedmap_reiserfs,
	&usedmap_reiser4, &usedmap_jfs,	      &usedmap_nilfs,	     &usedmap_gfs2,
	&usedmap_ocfs2,	  &usedmap_oracleasm, &usedmap_iso9660,	     &usedmap_bluestore,
	&usedmap_stratis, &usedmap_squashfs,  &usedmap_apfs,	     &usedmap_hfsplus,
	&usedmap_ufs,	  &usedmap_vdo,	      &usedmap_cow_snapshot, NULL,
};
