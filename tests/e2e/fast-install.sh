#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# make install: what lands where, that a program links the library with what
# pkg-config says, and that make uninstall takes all of it away again.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"

dest=$work/dest

in_tree() {
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$root" O="$build" PREFIX=/usr DESTDIR="$dest" "$@"
}

# A stranger's program: no path of our tree, only what was installed.
link_stranger() {
	cat >"$work/stranger.c" <<-'EOT'
		#include <stdio.h>
		#include <vhdx/vhdx.h>

		int main(int argc, char **argv)
		{
			struct blk *disk = NULL;
			struct err *err = argc > 1 ? vhdx_open(argv[1], 0, NULL, &disk) : err_failed("no file");

			if (err)
				fprintf(stderr, "%s\n", err_message(err));
			else
				printf("%llu\n", (unsigned long long)disk->size_bytes);
			return !!err;
		}
	EOT
	# shellcheck disable=SC2046 # words are wanted
	gcc -Wall -Werror -o "$work/stranger" "$work/stranger.c" $(stranger_flags)
}

# What pkg-config says, moved to where this test has installed it.
stranger_flags() {
	PKG_CONFIG_PATH=$dest/usr/share/pkgconfig pkg-config --cflags --libs libvhdx |
		sed "s,\(-[IL]\)\(/usr/[^ ]*vhdx\|/usr/lib/p2v\),\1$dest\2,g"
}

opens() {
	[ "$("$work/stranger" "$1")" = "$2" ]
}

check 'installs' in_tree install
check 'the program is there' "$dest/usr/bin/p2v" --version
check 'so is the agent' "$dest/usr/bin/p2v-agent" --version
check 'a program links the library' link_stranger
"$p2v" vhdx create --size 40M "$work/disk.vhdx"
check 'and reads a VHDX with it' opens "$work/disk.vhdx" 41943040
check 'and is told what is none' is_not opens "$root/Makefile" 41943040
check 'the manual pages are there' grep -q '^.SH .*SYNOPSIS' "$dest/usr/share/man/man1/p2v.1" "$dest/usr/share/man/man1/p2v-vhdx.1"
# The unit names the installed program, which is not there: ours stands in for it.
unit_is_sound() {
	sed "s,^ExecStart=/usr/bin/p2v ,ExecStart=$p2v ," "$dest/usr/lib/systemd/system/p2v-receive.service" >"$work/p2v-receive.service"
	grep -q "^ExecStart=$p2v " "$work/p2v-receive.service" && systemd-analyze verify --man=no "$work/p2v-receive.service" 2>"$work/verify" &&
		! grep p2v-receive "$work/verify"
}
# The exposure from 0 (none) to 100 that systemd sees.
unit_is_tight() {
	systemd-analyze security --offline=yes --threshold=15 "$work/p2v-receive.service"
}
check 'the unit is there' grep -q '^ExecStart=/usr/bin/p2v receive' "$dest/usr/lib/systemd/system/p2v-receive.service"
if command -v systemd-analyze >/dev/null; then
	check 'systemd takes the unit' unit_is_sound
	check 'which may do little' unit_is_tight
	sed -i 's/^ProtectHome=.*/ProtectHome=perhaps/; s/^SystemCall.*//' "$dest/usr/lib/systemd/system/p2v-receive.service"
	check 'an error in a unit is noticed' is_not unit_is_sound
	check 'and a unit that may do more' is_not unit_is_tight
else
	echo 'no systemd here: whether it takes the unit is left out'
fi
check 'uninstalls' in_tree uninstall
check 'nothing stays' test -z "$(find "$dest" ! -type d)"
finish
