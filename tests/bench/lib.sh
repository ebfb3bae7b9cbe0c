# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# What the comparisons share. To be sourced first.
#
# Gives $root, $build, $p2v, $runs ($P2V_BENCH_RUNS, 3), and $work, a folder that
# goes with the script, in $TMPDIR (/var/tmp): a disk, not memory.
#
# The contenders run alternately; medians are compared.
set -euo pipefail

root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
build=$(realpath "${P2V_BUILD:-$root/build}")
# shellcheck disable=SC2034 # for the scripts
p2v=$build/bin/p2v
# shellcheck disable=SC2034
runs=${P2V_BENCH_RUNS:-3}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/p2v-bench.XXXXXX")
cleanup_commands=()

at_exit() {
	local command

	for command in "${cleanup_commands[@]}"; do
		eval "$command" || true
	done
	rm -rf "$work"
}
trap at_exit EXIT
trap 'exit 130' INT TERM

# timed NAME COMMAND...: appends the seconds to the list of NAME.
timed() {
	local name=$1 start end

	shift
	start=$(date +%s%N)
	"$@" >"$work/log" 2>&1 || { cat "$work/log" >&2 && return 1; }
	end=$(date +%s%N)
	awk -v ns=$((end - start)) 'BEGIN { printf "%.2f\n", ns / 1e9 }' >>"$work/$name.s"
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
