#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# p2v iso build and configure: the same bytes each time, no more of them than
# promised, settings that go in and come out, and what is refused.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"

[ "$(id -u)" = 0 ] || skip 'the medium is built by root alone'
medium=$("$root/tests/lib/make-iso" medium)
packages=$("$root/tests/lib/make-iso" packages)
export TMPDIR=$work

at_most_mib() {
	[ "$(stat -c %s "$1")" -le $(($2 << 20)) ]
}

builds() {
	"$p2v" iso build --packages "$packages" --out "$@"
}

is_in() {
	grep -qxF -e "$2" "$1"
}

# configure FILE OPTION...
configures() {
	"$p2v" iso configure "$@"
}

shows() {
	"$p2v" iso configure "$1" --show | tee "$work/settings"
	diff "$work/settings" "$2"
}

# unpacked ISO: what the kernel will find in the file, by another's tools.
unpacked() {
	xorriso -osirrox on -indev "$1" -extract /boot/config.img "$work/config.img" >/dev/null 2>&1 &&
		cpio --quiet -i --to-stdout etc/p2v.conf <"$work/config.img"
}

interrupted() {
	local pid

	mkdir "$work/cut"
	TMPDIR=$work/cut "$p2v" iso build --packages "$packages" --out "$work/cut/p2v.iso" 2>/dev/null &
	pid=$!
	until find "$work/cut" -name initrd.img -size +100k | grep -q .; do
		kill -0 $pid || return
		sleep 0.1
	done
	kill -KILL $pid
	wait $pid || true
	for _ in $(seq 100); do
		[ -n "$(ls -A "$work/cut")" ] || return 0
		sleep 0.1
	done
	ls -lA "$work/cut"
	return 1
}

check 'with firmware at most 300 MiB' at_most_mib "$medium/p2v.iso" 300
check 'without at most 150 MiB' at_most_mib "$medium/p2v-free.iso" 150
check 'firmware takes space' test "$(stat -c %s "$medium/p2v.iso")" -gt "$(stat -c %s "$medium/p2v-free.iso")"
check 'another build' builds "$work/again.iso" --no-firmware
check 'is the same to the byte' cmp "$medium/p2v-free.iso" "$work/again.iso"
check 'of another date' env SOURCE_DATE_EPOCH=1700000000 "$p2v" iso build --packages "$packages" \
	--no-firmware --out "$work/dated.iso"
check 'it is not' is_not cmp "$medium/p2v-free.iso" "$work/dated.iso"
check 'killed, it leaves nothing' interrupted

check 'a receiver, which makes a key' start_receiver
cp "$work/jobs/.pairing-key" "$work/key"
key=$(grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$work/key")
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2v someone' >"$work/id.pub"
cp "$work/again.iso" "$work/plain.iso"
check 'settings' configures "$work/plain.iso" --out "$work/set.iso" --server 192.0.2.1:4711 --key-file "$work/key" \
	--name web01 --disk sda --disk S1D0A001 --after poweroff --ssh-key "$work/id.pub" --ip 192.0.2.7/24
check 'leave the medium as it was' cmp "$work/plain.iso" "$work/again.iso"
cat >"$work/wanted" <<'EOT'
server=192.0.2.1:4711
name=web01
after=poweroff
ip=192.0.2.7/24
disks=sda,S1D0A001
key=(not shown)
ssh=ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2v someone
EOT
check 'are shown, but for the key' shows "$work/set.iso" "$work/wanted"
unpacked "$work/set.iso" >"$work/conf"
check 'are where the kernel finds them' is_in "$work/conf" "server=192.0.2.1:4711"
check 'with the key' is_in "$work/conf" "key=$key"
check 'only its owner reads the copy' test "$(stat -c %a "$work/set.iso")" = 600
check 'taken away in place' configures "$work/set.iso" --in-place
check 'nothing of them is left' cmp "$work/set.iso" "$work/again.iso"
cp "$medium/pxe/config.img" "$work/config.img"
check 'config.img of the network folder' configures "$work/config.img" --in-place --name web02
check 'too' says '^name=web02$' "$p2v" iso configure "$work/config.img" --show

check 'a file that exists' refuses 3 'again.iso: exists' "$p2v" iso build --packages "$packages" --out "$work/again.iso"
check 'no output' refuses 2 'out is wanted' "$p2v" iso build
check 'no agent' refuses 3 'nowhere' "$p2v" iso build --packages "$packages" --out "$work/x.iso" --agent /nowhere/agent
mkdir "$work/bare"
ln -s "$(command -v mmdebstrap)" "$(command -v apt-get)" "$work/bare"
check 'missing programs' refuses 3 'missing here: xorriso' env PATH="$work/bare" "$p2v" iso build --out "$work/x.iso"
check 'and their packages' grep -q 'apt-get install xorriso' "$work/refuses.err"
check 'a folder that holds other things' refuses 3 'jobs: exists' \
	"$p2v" iso build --packages "$work/jobs" --out "$work/x.iso"
check 'another image' refuses 3 'ISO 9660' "$p2v" iso configure "$p2v" --out "$work/x.iso" --name a
check 'a copy that exists' refuses 3 'exists' "$p2v" iso configure "$work/plain.iso" --out "$work/again.iso"
check 'a key on the command line' refuses 2 'key' "$p2v" iso configure "$work/plain.iso" --in-place --set "key=$key"
check 'two lines in one setting' refuses 2 'control' "$p2v" iso configure "$work/plain.iso" --in-place --name $'a\nb'
refuses_setting() {
	refuses 2 "$1" "$p2v" iso configure "$work/plain.iso" --in-place "${@:2}"
}
check 'what the machine would not do at the end' refuses_setting 'after: .*explode' --after explode
check 'an address of the machine without its bits' refuses_setting 'ip: .*ADDRESS/BITS' --ip 192.0.2.7
check 'a receiver that is no address' refuses_setting 'server: .*no address' --server host:99999
check 'a name that is none' refuses_setting 'name: ' --name a/b
check 'a rate that is none' refuses_setting 'limit: .*10Q' --limit 10Q
check 'a VLAN that is none' refuses_setting 'vlan: .*1 to 4094' --vlan 5000
check 'a disk that would be two' refuses_setting "--disk: 'sda,sdb'" --disk sda,sdb
check 'a word that the machine does not know' refuses_setting "'discs' is no word" --set discs=sda
check 'a value of another that it does not know' refuses_setting 'bondmode: .*best' --set bondmode=best
check 'help names every setting' says '^  on-read-error ' "$p2v" iso configure --help
check 'neither copy nor in place' refuses 2 'wanted' "$p2v" iso configure "$work/plain.iso" --name a
head -c 60000 /dev/zero | tr '\0' x >"$work/long"
check 'more than fits' refuses 3 'bytes' "$p2v" iso configure "$work/plain.iso" --in-place \
	--interface "$(cat "$work/long")" --disk "$(cat "$work/long")"
check 'none of that has changed anything' cmp "$work/plain.iso" "$work/again.iso"
check 'nor left anything' test -z "$(find "$work" -mindepth 1 -maxdepth 1 -name '.*')"
finish
