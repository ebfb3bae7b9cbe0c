# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# A folder of things that are slow to make and always come out alike: sample
# servers above all. To be sourced.
#
# An entry is a folder NAME-KEY, KEY being a hash of its recipe (the files that
# make it and whatever parameters they take), so a changed recipe is another
# entry and a fresh clone finds what an earlier one made.
#
# Invariants:
# - What has its final name is complete: it is made under a temporary name in
#   the same folder and renamed.
# - One process makes an entry, the others wait for it: each NAME has a lock,
#   and whatever the builder starts inherits it, so the lock lives exactly as
#   long as anything that may still write.
# - Under the lock every temporary folder of that NAME is therefore dead, and
#   is removed.

# cache_dir: the folder, made if it is missing.
cache_dir() {
	local dir=${P2V_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/p2v-test}

	mkdir -p "$dir"
	realpath "$dir"
}

# cache_key FILE... [-- WORD...]: the hash of these files' content and words.
cache_key() {
	local files=()

	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		files+=("$1")
		shift
	done
	{ cat "${files[@]}" && printf '%s\0' "$@"; } | sha256sum | cut -c1-16
}

# cache_get NAME KEY BUILDER [ARG...]: the path of the entry, which
# `BUILDER ARG... FOLDER` fills where it is missing. BUILDER is a program, not
# a function (errexit is off in functions that are called in a condition). Its
# output stays in the entry as build.log; if it fails, its end is shown.
cache_get() {
	local name=$1 key=$2
	local root entry lock
	shift 2

	root=$(cache_dir) || return
	entry=$root/$name-$key
	if [ ! -d "$entry" ]; then
		exec {lock}>"$root/.$name.lock"
		flock "$lock"
		if [ ! -d "$entry" ] && ! cache_make "$root" "$name" "$entry" "$@"; then
			exec {lock}>&-
			return 1
		fi
		exec {lock}>&-
	fi
	touch -c "$entry"
	printf '%s\n' "$entry"
}

# Called under the lock of NAME.
cache_make() {
	local root=$1 name=$2 entry=$3
	local tmp start=$SECONDS
	shift 3

	rm -rf "$root/.$name-"??????.tmp
	cache_forget_unused "$root" "$name"
	tmp=$(mktemp -d "$root/.$name-XXXXXX.tmp") || return
	printf 'making %s, once for this recipe\n' "${entry##*/}" >&2
	if ! "$@" "$tmp" >"$tmp/build.log" 2>&1 </dev/null; then
		printf '%s failed; the end of its output:\n' "$1" >&2
		tail -n 40 "$tmp/build.log" >&2
		rm -rf "$tmp"
		return 1
	fi
	chmod 755 "$tmp"
	mv -T "$tmp" "$entry" || return
	printf 'made %s in %d s\n' "${entry##*/}" $((SECONDS - start)) >&2
}

# Entries of older recipes go when nobody asked for them in two weeks.
cache_forget_unused() {
	find "$1" -mindepth 1 -maxdepth 1 -type d -regex ".*/$2-[0-9a-f]*" \
		-mtime +14 -exec rm -rf {} +
}
