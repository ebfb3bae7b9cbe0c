/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config.img: the boot medium's second, small initramfs.  An uncompressed cpio
 * archive ("newc", as in build-tree.h) with one file, /etc/p2v.conf, padded with
 * zeros to a fixed size, so that it can be overwritten in place.  Boot loaders load it before the large
 * one: what follows an uncompressed archive may begin anywhere, what follows a compressed one may not.
 *
 * p2v.conf has a setting a line, NAME=VALUE; p2v-iso(1) lists the names.
 */
#ifndef ISO_CONFIG_IMAGE_H
#define ISO_CONFIG_IMAGE_H

#include <stddef.h>

#include "p2v/base/err.h"

#define CONFIG_IMAGE_BYTES 65536u

/* Fills the image; ERR_REFUSED if the text does not fit. */
struct err *config_image_make(const char *text, unsigned char ret_image[CONFIG_IMAGE_BYTES]) ERR_MUST_CHECK;

/* The text that such an image holds, which the caller frees; ERR_REFUSED if it is none. */
struct err *config_image_read(const unsigned char image[CONFIG_IMAGE_BYTES], char **ret_text) ERR_MUST_CHECK;

#endif
