#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# a2.sh A_FOLDER OUTPUT_FOLDER: server a with a disk on its RAID controller,
# one ext4 partition that is mounted on /srv as /dev/sdb1. Without that disk, or
# with another name for it, systemd stops in emergency mode.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
set -euo pipefail
. "${BASH_SOURCE%/*}/common.sh"

DISK_MIB=512

# Something to find again: a site, and a file that compresses badly.
make_content() {
	mkdir -p "$1/www" "$1/backup"
	put "$1/www/index.html" <<<"<h1>web01</h1>"
	head -c 8M /dev/urandom >"$1/backup/2024-02.tar.zst"
	(cd "$1" && sha256sum www/* backup/* >SHA256SUMS)
}

make_second_disk() {
	local content=$1 disk=$2

	truncate -s ${DISK_MIB}M "$disk"
	sfdisk --quiet "$disk" <<-EOT
		label: dos
		start=1MiB, type=83
	EOT
	mke2fs -q -t ext4 -L srv -O "$(ext4_options)" -E offset=$((1 << 20)) \
		-d "$content" "$disk" $((DISK_MIB - 1))M
}

add_mount() {
	guestfish --format=raw -a "$1" <<-'EOT'
		run
		mount /dev/sda1 /
		write-append /etc/fstab "/dev/sdb1 /srv ext4 defaults 0 2\n"
	EOT
}

main() {
	local a=$1 out=$2

	step "making the second disk"
	make_content "$out/content"
	make_second_disk "$out/content" "$out/disk1.raw"
	rm -r "$out/content"
	step "mounting it in the first"
	cp --sparse=always --reflink=auto "$a/disk0.raw" "$out/disk0.raw"
	chmod 644 "$out/disk0.raw"
	add_mount "$out/disk0.raw"
	{ cat "$a/facts" && printf 'DATA_DEVICE=/dev/sdb1\nDATA_MOUNT=/srv\n'; } >"$out/facts"
	seal "$out"
	step "done"
}

main "$@"
