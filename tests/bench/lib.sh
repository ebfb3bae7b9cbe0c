# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# What the comparisons share. To be sourced first.
#
# Gives what tests/lib/work.sh gives, and $runs ($P2V_BENCH_RUNS, 3).
#
# The contenders run alternately; medians are compared.  What is timed under one
# name counts as one list, up to the next `forget`.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR disable=SC1091
. "$(dirname "${BASH_SOURCE[0]}")/../lib/work.sh"

# shellcheck disable=SC2034
runs=${P2V_BENCH_RUNS:-3}

# timed NAME COMMAND...: appends the seconds to the list of NAME.
timed() {
	local name=$1 start end

	shift
	start=$(date +%s%N)
	"$@" >"$work/log" 2>&1 || { cat "$work/log" >&2 && return 1; }
	end=$(date +%s%N)
	awk -v ns=$((end - start)) 'BEGIN { printf "%.2f\n", ns / 1e9 }' >>"$work/$name.s"
}

# alternates NAME...: runs each of these functions in turn, $runs times, after `prepare NAME`, which the
# script defines: the clock stands still for it.
alternates() {
	local name

	for _ in $(seq "$runs"); do
		for name in "$@"; do
			prepare "$name"
			timed "$name" "$name"
		done
	done
}

forget() {
	rm -f "$work"/*.s
}

median() {
	sort -n "$work/$1.s" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# all NAME: the list, in one line.
all() {
	paste -sd' ' "$work/$1.s"
}

# divided A B: with two decimals.
divided() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b ? a / b : 0 }'
}
