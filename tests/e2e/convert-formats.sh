#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Server a comes out equal as qcow2, raw and vmdk.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

disk=$("$root/tests/lib/make-sample" a)
before=$(hash_of "$disk")

convert() {
	"$p2v" convert --to kvm --name x "$@"
}

for format in qcow2 raw vmdk; do
	check "$format comes out" convert "$disk" --format $format --out "$work/$format"
	check "$format is what QEMU sees" qemu-img info -f $format "$work/$format/x/x-disk1.$format"
	# Two conversions write the same files at other moments, so what is compared is what a system sees.
	check "$format: the changes are in it" bash -c "'$p2v' convert --to kvm --name x --dry-run --json \
		'$work/$format/x/x-disk1.$format' | jq -e '.changes == []'"
	check "$format: the domain names it" grep -q "x-disk1.$format" "$work/$format/x/x.xml"
	rm -rf "${work:?}/$format"
done
check 'the source is unchanged' same_content "$disk" "$before"
finish
