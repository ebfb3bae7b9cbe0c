#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A dry run changes nothing and shows what a real run then reports; in place
# changes the image itself.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

disk=$("$root/tests/lib/make-sample" a)
before=$(hash_of "$disk")
mkdir "$work/tmp"

TMPDIR=$work/tmp "$p2v" convert "$disk" --to hyperv,kvm --name x --dry-run >"$work/dry.txt"
check 'a dry run shows fstab as a diff' grep -qE '^-/dev/sda1 / ext4' "$work/dry.txt"
check 'and its new line' grep -qE '^\+UUID=[0-9a-f-]+ +/ +ext4' "$work/dry.txt"
check 'and the initramfs' grep -q 'initrd.img' "$work/dry.txt"
check 'the source is unchanged' same_content "$disk" "$before"
check 'nothing is left' nothing_left "$work/tmp"

"$p2v" convert "$disk" --to hyperv,kvm --name x --dry-run --json >"$work/dry.json"
"$p2v" convert "$disk" --to hyperv,kvm --name x --out "$work/out" --json >"$work/real.json"
check 'the report lists what the dry run showed' diff <(jq -S '.changes, .findings' "$work/dry.json") \
	<(jq -S '.changes, .findings' "$work/out/x/report.json")
check 'each change has a reason' jq -e 'all(.changes[]; .reason | length > 10)' "$work/real.json"
check 'standard output and report.json agree' diff <(jq -S .changes "$work/real.json") <(jq -S .changes "$work/out/x/report.json")

cp "$work/out/x/x-disk1.vhdx" "$work/again.vhdx"
cp --sparse=always "$disk" "$work/in-place.img"
check 'in place' "$p2v" convert "$work/in-place.img" --to hyperv,kvm --in-place
check 'in place changed it' is_not same_content "$work/in-place.img" "$before"
check 'in place again finds nothing to do' bash -c "'$p2v' convert '$work/in-place.img' --to hyperv,kvm --in-place --json | jq -e '.changes == []'"
finish
