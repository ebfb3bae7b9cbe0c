#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tree.sh OUTPUT_FOLDER: a Debian system with kernel, systemd and what a plain
# server has, as tree.tar: the common trunk of the sample servers. It has no
# initramfs yet. What the samples install beyond it is downloaded already (in
# /var/cache/apt/archives), so that their recipes need no network.
#
# Packages come from where this machine's own apt takes them.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
set -euo pipefail
. "${BASH_SOURCE%/*}/common.sh"

PACKAGES=(
	linux-image-amd64 initramfs-tools systemd-sysv udev dbus
	ifupdown iproute2 iputils-ping openssh-server
	busybox cron kmod less logrotate nano procps zstd
)
# One line a sample: sets that may contradict each other.
DOWNLOADS=(
	"grub-pc smartmontools ipmitool openipmi"
	"grub-efi-amd64 grub-efi-amd64-signed shim-signed efibootmgr lvm2 xfsprogs dosfstools smartmontools"
	"grub-pc mdadm lvm2"
)
# Documentation is a quarter of the files and no part of any test.
LEFT_OUT=('/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*' '/usr/share/info/*')

# The suite's lines of this machine's sources, whatever their form. None, if it
# runs something else: then mmdebstrap's defaults apply.
apt_lines() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(CODENAME) deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Identifier: Packages' 'Architecture: amd64' 'Origin: Debian' |
		sed -nE "s/^$SAMPLE_SUITE(-updates|-security)? //p"
}

# How this machine's apt gets at its sources: proxies, retries, date checks.
apt_transport() {
	apt-config dump --format '%F "%v";%n' Acquire |
		grep -E '^Acquire::(https?::|Check-|Retries|Queue)' || true
}

# shellcheck disable=SC2016
main() {
	local out=$1
	local sources args=() set pattern

	mapfile -t sources < <(apt_lines)
	apt_transport >"$out/transport"
	args+=("--setup-hook=cp '$out/transport' \"\$1/etc/apt/apt.conf.d/01transport\"")
	args+=('--customize-hook=APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get clean')
	for set in "${DOWNLOADS[@]}"; do
		args+=("--customize-hook=APT_CONFIG=\"\$MMDEBSTRAP_APT_CONFIG\" apt-get -y \
			--no-install-recommends --download-only install $set")
	done
	args+=('--customize-hook=rm "$1/etc/apt/apt.conf.d/01transport"')
	for pattern in "${LEFT_OUT[@]}"; do
		args+=("--dpkgopt=path-exclude=$pattern")
	done
	INITRD=No mmdebstrap --mode=root --variant=minbase --skip=cleanup/apt \
		--include="$(IFS=,; printf '%s' "${PACKAGES[*]}")" "${args[@]}" \
		"$SAMPLE_SUITE" "$out/tree.tar" "${sources[@]}"
	rm "$out/transport"
}

main "$@"
