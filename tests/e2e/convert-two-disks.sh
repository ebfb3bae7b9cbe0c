#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A server of two disks, the second of which holds /srv, converts whichever is
# named first.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

mapfile -t disks < <("$root/tests/lib/make-sample" a2)
before="$(hash_of "${disks[0]}") $(hash_of "${disks[1]}")"

convert() {
	"$p2v" convert --to kvm --name x "$@"
}

order_of() {
	jq -S '[.disks[] | [.file, .source]]' "$1/x/machine.json"
}

srv_is_by_uuid() {
	jq -e '.changes[] | select(.path == "/etc/fstab") | .diff | test("UUID=.* /srv")' "$1/x/report.json"
}

check 'two disks' convert "${disks[0]}" "${disks[1]}" --out "$work/two"
check 'two disks, the other way round' convert "${disks[1]}" "${disks[0]}" --out "$work/swapped"
order_of "$work/two" >"$work/order"
order_of "$work/swapped" >"$work/order-swapped"
check 'the boot disk comes first either way' diff "$work/order" "$work/order-swapped"
check 'it is the first of both' jq -e ".[0] == [\"x-disk1.vhdx\", \"${disks[0]}\"]" "$work/order"
for out in two swapped; do
	check "$out: /srv is named by UUID" srv_is_by_uuid "$work/$out"
	for number in 1 2; do
		check "$out: p2v finds no fault in disk $number" "$p2v" vhdx check "$work/$out/x/x-disk$number.vhdx"
	done
done
# What is not the system's is not touched: the data disk is its source to the last byte.
check 'the data disk is as it was' "$p2v" vhdx compare "$work/swapped/x/x-disk2.vhdx" "${disks[1]}"
check 'the sources are unchanged' [ "$before" = "$(hash_of "${disks[0]}") $(hash_of "${disks[1]}")" ]
finish
