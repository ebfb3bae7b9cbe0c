#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# make-initramfs.sh VERSION OUTPUT_FOLDER: parts of an initramfs as initramfs-tools
# makes it for a server with AHCI disks and an e1000e card:
#
# - main.cpio: the archive, by this machine's mkinitramfs with MODULES=list;
# - small.cpio: the same without programs, libraries and most modules;
# - early.cpio: an uncompressed archive as the microcode packages put it in front.
#
# A builder for cache_get (tests/lib/cache.sh).
set -euo pipefail

version=$1
out=$2

mkdir "$out/conf"
cp -r /etc/initramfs-tools/. "$out/conf/"
sed -i -e 's/^MODULES=.*/MODULES=list/' "$out/conf/initramfs.conf"
rm -rf "$out/conf/conf.d"
mkdir "$out/conf/conf.d"
printf '%s\n' 'RESUME=/dev/sda2' >"$out/conf/conf.d/resume"
printf '%s\n' ahci sd_mod ext4 e1000e >"$out/conf/modules"
mkinitramfs -d "$out/conf" -c gzip -o "$out/initrd.gz" "$version"
gzip -dc <"$out/initrd.gz" >"$out/main.cpio"

mkdir "$out/small"
(cd "$out/small" && cpio --quiet -id <"$out/main.cpio")
rm -rf "$out"/small/usr/{bin,sbin} "$out"/small/usr/lib/*/ "$out"/small/lib*/*-linux-gnu
(cd "$out/small" && cpio --quiet -id 'usr/lib/modules/*/modules.*' '*/ahci.ko*' '*/libahci.ko*' \
	<"$out/main.cpio" && find . | LC_ALL=C sort | cpio --quiet -o -H newc) >"$out/small.cpio"

mkdir -p "$out/early/kernel/x86/microcode"
head -c 20000 "$out/initrd.gz" >"$out/early/kernel/x86/microcode/GenuineIntel.bin"
touch -d 2020-01-01 "$out/early/kernel/x86/microcode/GenuineIntel.bin"
(cd "$out/early" && find . | LC_ALL=C sort | cpio --quiet -o -H newc) >"$out/early.cpio"
rm -rf "$out/early" "$out/small" "$out/conf" "$out/initrd.gz"
