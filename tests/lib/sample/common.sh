# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034
#
# What the recipes of the sample servers share. To be sourced by them.
#
# A recipe is called as `NAME.sh INPUT_FOLDER... OUTPUT_FOLDER` by cache_get and
# leaves in OUTPUT_FOLDER: disk0.raw (disk1.raw …), nvram.fd where the firmware
# is UEFI, and `facts`: NAME=VALUE lines that a test can source.
#
# Invariant: nothing outside OUTPUT_FOLDER is written, and no mount outlives
# the command that needed it.

SAMPLE_SUITE=bookworm
SAMPLE_PASSWORD=p2v-sample

# Emulation is the only thing that works everywhere; see DESIGN.md, decision 4.
export LIBGUESTFS_BACKEND=direct
export LIBGUESTFS_BACKEND_SETTINGS=force_tcg

step() {
	printf '== %3d s: %s\n' "$SECONDS" "$*"
}

# in_tree ROOT COMMAND...: runs a command in a Debian tree, in mount and process
# namespaces of its own. Its /dev holds no disk, so that no maintainer script
# can find one of this machine's.
in_tree() {
	# shellcheck disable=SC2016
	unshare --mount --propagation private --pid --fork --kill-child -- \
		bash -euc '
			root=$1
			shift
			mount -t proc proc "$root/proc"
			mount -t sysfs -o ro sysfs "$root/sys"
			mount -t tmpfs -o mode=755 tmpfs "$root/dev"
			for node in null zero full random urandom tty; do
				touch "$root/dev/$node"
				mount --bind "/dev/$node" "$root/dev/$node"
			done
			mkdir "$root/dev/pts" "$root/dev/shm"
			mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
			ln -s pts/ptmx "$root/dev/ptmx"
			ln -s /proc/self/fd "$root/dev/fd"
			exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
				LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
				INITRD="${INITRD-}" chroot "$root" "$@"
		' in_tree "$@"
}

# install_in_tree ROOT PACKAGE...: from what tree.sh downloaded; starts nothing.
install_in_tree() {
	local root=$1
	shift

	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	INITRD=No in_tree "$root" apt-get -y -o Dpkg::Use-Pty=0 \
		-o DPkg::Options::=--force-unsafe-io \
		--no-install-recommends --no-download install "$@"
	rm "$root/usr/sbin/policy-rc.d"
	in_tree "$root" apt-get clean
	rm -rf "$root"/var/lib/apt/lists/* "$root"/etc/apt/sources.list.d/*
	put "$root/etc/apt/sources.list" <<<"# This server has no way to a mirror."
}

# put FILE: standard input becomes FILE, with its folders.
put() {
	mkdir -p "${1%/*}"
	cat >"$1"
}

# set_identity ROOT HOSTNAME: what the installer asks for, and a machine-id, so
# that the first boot here is not a first boot for systemd.
set_identity() {
	local root=$1 name=$2

	put "$root/etc/hostname" <<<"$name"
	put "$root/etc/hosts" <<-EOT
		127.0.0.1	localhost
		127.0.1.1	$name.example.org	$name

		::1	localhost ip6-localhost ip6-loopback
		ff02::1	ip6-allnodes
		ff02::2	ip6-allrouters
	EOT
	put "$root/etc/default/locale" <<<"LANG=C.UTF-8"
	put "$root/etc/resolv.conf" <<<"nameserver 192.0.2.53"
	printf '%s' "$name" | md5sum | cut -c1-32 | put "$root/etc/machine-id"
	in_tree "$root" chpasswd <<<"root:$SAMPLE_PASSWORD"
}

# make_initramfs ROOT FSTYPE MODULE...: tailored to one machine: its drivers and
# what they need, the tools for its root file system, and nothing else.
make_initramfs() {
	local root=$1 fstype=$2
	shift 2

	sed -i -e 's/^MODULES=.*/MODULES=list/' -e "s/^FSTYPE=.*/FSTYPE=$fstype/" \
		"$root/etc/initramfs-tools/initramfs.conf"
	printf '%s\n' "$@" >>"$root/etc/initramfs-tools/modules"
	in_tree "$root" update-initramfs -c -k all
}

# ext4_options: only features that the suite's GRUB and kernel can read, even
# where the mke2fs of this machine is newer.
ext4_options() {
	printf '%s' '^metadata_csum_seed,^orphan_file'
}

# unpack_tree TREE ROOT: what TREE has packed becomes the folder ROOT.
unpack_tree() {
	step "unpacking the Debian tree"
	mkdir "$2"
	tar -xf "$1/tree.tar" -C "$2" --xattrs --xattrs-include='*'
}

# write_facts FOLDER NAME=VALUE...: what tests want to know of the server.
write_facts() {
	printf '%s\n' "${@:2}" "PASSWORD=$SAMPLE_PASSWORD" >"$1/facts"
}

# seal FOLDER: the images are sources for tests, which must not change them.
seal() {
	(cd "$1" && sha256sum -- *.raw >SHA256SUMS && chmod 444 -- *.raw)
}
