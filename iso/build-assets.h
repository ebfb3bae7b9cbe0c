/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The files of iso/image/: what the boot medium has that no package has. */
#ifndef ISO_BUILD_ASSETS_H
#define ISO_BUILD_ASSETS_H

/* Scripts in the image, by their path there; ends with a NULL path. */
struct asset {
	const char *path;
	const char *text;
};
extern const struct asset asset_scripts[];

extern const char asset_grub[]; /* /boot/grub/grub.cfg of the medium */
extern const char asset_grub_network[]; /* grub/grub.cfg of the folder for network boot */
extern const char asset_ipxe[]; /* p2v.ipxe there */

#endif
