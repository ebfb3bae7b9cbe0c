#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Server a as qcow2, vmdk, VHD, VHDX and loop device is changed as its raw file
# is, and stays as it was.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

disk=$("$root/tests/lib/make-sample" a)
before=$(hash_of "$disk")

# The changes of a conversion, without what differs from run to run.
changes_of() {
	"$p2v" convert --to kvm --name x --dry-run --json "$1" | jq -S '.changes, .findings, .kernels'
}

same_changes() {
	changes_of "$1" >"$work/changes"
	diff "$work/changes.raw" "$work/changes"
}

changes_of "$disk" >"$work/changes.raw"
check 'the raw file needs changes' jq -se '.[0] | length > 3' "$work/changes.raw"

for format in qcow2 vmdk vpc vhdx; do
	qemu-img convert -f raw -O $format "$disk" "$work/source.$format"
	hash=$(hash_of "$work/source.$format")
	check "$format: the same changes" same_changes "$work/source.$format"
	check "$format: unchanged" same_content "$work/source.$format" "$hash"
	rm "$work/source.$format"
done

loop=$(losetup --find --show --read-only "$disk")
cleanup_commands+=("losetup -d $loop")
check 'loop device: the same changes' same_changes "$loop"
check 'the source is unchanged' same_content "$disk" "$before"
finish
