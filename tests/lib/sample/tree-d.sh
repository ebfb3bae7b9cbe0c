#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tree-d.sh TREE_FOLDER OUTPUT_FOLDER: the samples' Debian system with what server d
# has in all its layouts, as tree.tar: PostgreSQL with an empty cluster whose pages
# have checksums, fio, the tools of all file systems, and a package that is installed
# again and again (/var/cache/churn).
#
# Packages come from where this machine's own apt takes them.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
set -euo pipefail
. "${BASH_SOURCE%/*}/common.sh"

PACKAGES=(postgresql-15 fio lvm2 mdadm xfsprogs btrfs-progs grub-pc)
CHURN=nano
LEFT_OUT=(usr/lib/modules/*/kernel/{sound,drivers/{gpu,media,iio,infiniband,staging,net/wireless}}
	usr/lib/*/libLLVM-*.so.* usr/share/{i18n/locales,locale,doc,man})

# How this machine's apt gets at its sources: proxies, retries, date checks.
apt_transport() {
	apt-config dump --format '%F "%v";%n' Acquire |
		grep -E '^Acquire::(https?::|Check-|Retries|Queue)' || true
}

# While install_in_tree() may ask nobody but what is in the tree.
download() {
	local root=$1

	apt_transport | put "$root/etc/apt/apt.conf.d/01transport"
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
	in_tree "$root" apt-get -q update
	in_tree "$root" apt-get -y --no-install-recommends --download-only install "${PACKAGES[@]}"
	mkdir "$root/var/cache/churn"
	in_tree "$root" sh -c "cd /var/cache/churn && apt-get -q -o APT::Sandbox::User=root download $CHURN"
	rm "$root/etc/apt/apt.conf.d/01transport" "$root/etc/resolv.conf"
}

main() {
	local tree=$1 out=$2
	local root=$2/root

	unpack_tree "$tree" "$root"
	step "installing server d's packages"
	download "$root"
	install_in_tree "$root" "${PACKAGES[@]}"
	in_tree "$root" setpriv --reuid=postgres --regid=postgres --clear-groups \
		/usr/lib/postgresql/15/bin/pg_checksums --enable -D /var/lib/postgresql/15/main
	# shellcheck disable=SC2048,SC2086 # they are patterns
	(cd "$root" && rm -rf ${LEFT_OUT[*]})
	in_tree "$root" depmod "$(ls "$root/usr/lib/modules")"
	step "packing it"
	tar -C "$root" --xattrs --xattrs-include='*' -cf "$out/tree.tar" .
	rm -rf "$root"
	step "done"
}

main "$@"
