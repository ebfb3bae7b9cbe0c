#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A person at the serial console of a server that was started from the boot
# medium: goes through every screen of the interface, wrongly first, sends one of
# two disks and has the server powered off. tests/iso/test-live-interface.c has
# more ways to go wrong; here it is the real medium on a machine.
#
# With $P2V_SCREENS, a folder, each screen becomes a file there.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2034,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/iso-machine.sh"
. "$root/tests/lib/receiver.sh"

[ "$(id -u)" = 0 ] || skip 'the medium is built by root alone'
iso=$("$root/tests/lib/make-iso" medium)/p2v.iso
factor=${P2V_TEST_TIME_FACTOR:-1}
enter=$'\r' tab=$'\t' escape=$'\e' clear=$'\x15' down=$'\e[B'

# A disk with a file system that is a third full, and one that shall stay behind.
make_disks() {
	mkdir "$work/tree"
	head -c 24M /dev/urandom >"$work/tree/noise"
	truncate -s 62M "$work/fs"
	mkfs.ext4 -q -F -d "$work/tree" "$work/fs"
	truncate -s 64M "$work/one"
	sfdisk -q "$work/one" <<<$'label: gpt\n2048,62M,L'
	dd if="$work/fs" of="$work/one" bs=1M seek=1 conv=notrunc status=none
	head -c 16M /dev/urandom >"$work/two"
}

starts() {
	local tries

	serial=(-chardev "socket,id=serial,path=$work/serial,server=on,wait=off,logfile=$work/console" -serial chardev:serial)
	start_machine "$@"
	for tries in $(seq 100); do
		[ ! -S "$work/serial" ] || break
		sleep 0.1
	done
	coproc person { exec "$build/tests/iso/tool-screen" "$work/serial" 2>>"$work/person.err"; }
}

# order WORD...: the person does it, and it is so.
order() {
	local answer=''

	: >"$work/person.err"
	printf '%s\n' "$*" >&"${person[1]:-99}" && read -r -u "${person[0]:-99}" answer && [ "$answer" = ok ] && return
	cat "$work/person.err"
	return 1
}

# sees NAME TEXT: it comes; the screen is whole, and kept by that name.
sees() {
	order wait "$((90 * factor))" "$2" && order check "$1"
}

# step KEYS NAME TEXT
step() {
	order type "$1" && sees "$2" "$3"
}

# The first character of the second group is another one.
misspelt() {
	local letter=7

	[ "${1:6:1}" != 7 ] || letter=8
	printf '%s%s%s' "${1:0:6}" "$letter" "${1:7}"
}

one_disk() {
	"$p2v" status --dir "$work/jobs" --json |
		jq -e '.jobs[] | select(.name == "serial01") | .complete and (.disks | length == 1)'
}

bundle_has() {
	find "$work/jobs" -name '*.tar.zst' -exec zstd -dcq {} + | tar t | grep -xF -e "$1"
}

check 'disks' make_disks
one=$(hash_of "$work/one")
two=$(hash_of "$work/two")
check 'the receiver starts' start_receiver
key=$(grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$work/jobs/.pairing-key")
make_other_key "$work/other.key"
other=$(grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$work/other.key")

firmware bios
medium cd "$iso"
check 'starts' starts "${firmware[@]}" "${medium[@]}" \
	-drive "if=none,id=one,format=raw,file=$work/one" -device ide-hd,drive=one,bus=ide.0 \
	-drive "if=none,id=two,format=raw,file=$work/two" -device nvme,drive=two,serial=NVME0001 \
	-netdev user,id=net -device e1000e,netdev=net,romfile=
check 'network: an address by DHCP' order wait $((300 * factor)) '10.0.2.15'
check 'network' sees 1-network '1 Network'
check 'settings: no address' step "$tab$enter" 1-settings 'Address/bits'
check 'settings: a wrong one is told' step "10.0.2.77$tab$tab$tab$tab$tab$tab$tab$tab$enter" 1-settings-wrong 'is not ADDRESS/BITS'
check 'settings: back, nothing is lost' step "$enter" 1-settings-again '10.0.2.77'
check 'network again' step "$escape" 1-network-again '10.0.2.15'
check 'receiver' step "$enter" 2-receiver '2 Receiver'
check 'receiver: none' step "$tab$tab$tab$tab$enter" 2-receiver-none 'the receiver is missing'
check 'receiver: the form again' step "$enter" 2-receiver-again 'Pairing key'
check 'key: a typing error is told at once' \
	step "10.0.2.2:$port$tab$(misspelt "$key")$tab$tab$tab$enter" 2-receiver-typing-error 'has a typing error'
check 'key: what was typed is still there' step "$enter" 2-receiver-kept "10.0.2.2:$port"
check 'key: that of another receiver' step "$tab$clear$other$tab$tab$tab$enter" 2-receiver-wrong-key 'does not take this machine in'
check 'key: the form again' step "$escape" 2-receiver-form 'Pairing key'
check 'back to the network' step "$tab$tab$tab$tab$tab$enter" 1-network-back '1 Network'
check 'the receiver that was typed is still there' step "$enter" 2-receiver-back "10.0.2.2:$port"
check 'the right key; disks' \
	step "$tab$clear$key$tab${clear}serial01$tab${clear}1M$tab$enter" 3-disks '3 Disks'
check 'both disks are there' order has '[*] sda'
check 'the second, too' order has '[*] nvme0n1'
check 'disks: none marked' step "  $tab$enter" 3-disks-none 'no disk is marked'
check 'disks: back' step "$enter" 3-disks-back '[*] sda'
check 'disks: one is left out' order type ' '
check 'disks: it is' order wait 60 '[ ] nvme0n1'
check 'findings' step "$tab$enter" 4-findings '4 What we found'
check 'summary' step "$enter" 5-summary 'Job: serial01'
check 'back to the findings' step "$tab$enter" 4-findings-back '4 What we found'
check 'summary again' step "$enter" 5-summary-back 'Job: serial01'
check 'sending' step "$enter" 6-sending 'Sending to'
check 'sending: some of it is there' order wait $((90 * factor)) '[##'
check 'sending: stop?' step "$tab$enter" 6-stop 'Stop sending?'
check 'sending: it goes on' step "$tab$enter" 6-sending-on 'Sending to'
check 'sending: it did not begin anew' is_not order has ' 0%'
check 'all is sent' order wait $((180 * factor)) '7 Done'
check 'done' sees 7-done 'as job serial01'
check 'the log goes' step "$down$down$down$enter" 8-save 'Put a stick in now'
check 'to the receiver' step "$enter" 8-saving 'this may take a minute'
check 'it is there' order wait $((240 * factor)) 'It is saved'
check 'and back' step "$enter" 7-done-back 'as job serial01'
check 'power off' order type "$enter"
check 'the machine is off' ends_itself 120

check 'the receiver has all of it, and that disk alone' one_disk
check 'the copy is equal' "$p2v" vhdx compare "$work/jobs/serial01/disk0.vhdx" "$work/one"
check 'a disk that differs would be found' is_not "$p2v" vhdx compare "$work/jobs/serial01/disk0.vhdx" "$work/fs"
check 'the log is there' bundle_has log/live.log
check 'the first disk is as it was' same_content "$work/one" "$one"
check 'the second, too' same_content "$work/two" "$two"
finish
