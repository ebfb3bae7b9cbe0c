#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The fuzz targets as plain programs, over the inputs that fuzzing starts from:
# they are built and hold what they assert with every compiler.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

programs=$build/tests/fuzz
mkdir "$work/seeds" "$work/disks"
check 'disks are made' "$root/tests/fuzz/make-disks" "$work/disks"
check 'seeds are made' "$programs/make-seeds" "$work/seeds" "$work/disks"/*.disk

# tries_all PROGRAM FOLDER
tries_all() {
	[ "$("$1" "$2" | tail -n 1)" = "$(find "$2" -type f | wc -l) inputs tried" ]
}

for source in "$root"/tests/fuzz/fuzz-*.c; do
	name=$(basename "$source" .c) format=vhdx
	case $name in
	fuzz-vhd*) format=vhd ;;
	fuzz-usedmap) format=disk ;;
	fuzz-wire | fuzz-receiver | fuzz-sender) format=${name#fuzz-} ;;
	esac
	check "$name" tries_all "$programs/$name" "$work/seeds/$format"
	check "$name notices a missing input" is_not tries_all "$programs/$name" "$work/seeds/missing"
done
finish
