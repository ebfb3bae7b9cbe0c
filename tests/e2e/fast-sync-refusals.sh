#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# receive, send and status used wrongly: one clear error each, with what to do.
# shellcheck source-path=SCRIPTDIR disable=SC1091,SC2154
. "$(dirname "$(realpath "$0")")/../lib/e2e.sh"
. "$root/tests/lib/receiver.sh"

truncate -s 1M "$work/disk.img"
truncate -s 2M "$work/other.img"
truncate -s 1000 "$work/odd.img"
mkdir "$work/sub"
ln -s ../disk.img "$work/sub/disk.img"
echo nothing >"$work/file"
chmod 600 "$work/file"
start_receiver
address=127.0.0.1:$port
key=$work/jobs/.pairing-key

send() {
	"$p2v" send "$address" --key-file "$key" "$@"
}

check 'receive: no folder named' refuses 2 'dir is missing' "$p2v" receive
check 'receive: a folder that cannot be made' refuses 1 'No such file' "$p2v" receive --dir "$work/no/jobs"
check 'receive: a file' refuses 3 'is no folder' "$p2v" receive --dir "$work/file"
check 'receive: no address' refuses 2 'is no address' "$p2v" receive --dir "$work/new" --listen host:http
check 'receive: not this machine' refuses 1 '192.0.2.77: Cannot assign' "$p2v" receive --dir "$work/new" --listen 192.0.2.77:0
check 'receive: a port in use' refuses 1 'in use' "$p2v" receive --dir "$work/new" --listen "$address"
check 'and no key was made for nothing' test ! -e "$work/new/.pairing-key"
check 'receive: no key in the key file' refuses 3 'holds no pairing key' "$p2v" receive --dir "$work/new" --key-file "$work/file"
check 'send: no receiver' refuses 2 'one receiver' "$p2v" send
check 'send: no key' refuses 2 'key is missing' "$p2v" send "$address" --disk "$work/disk.img"
check 'send: no key file' refuses 3 'No such file' "$p2v" send "$address" --key-file "$work/none" --disk "$work/disk.img"
check 'send: two keys' refuses 2 'one key' send --key-file "$key" --disk "$work/disk.img"
check 'send: no such disk' refuses 3 'No such file' send --disk "$work/none"
check 'send: no whole sectors' refuses 3 'no disk can be of this size: 1000' send --disk "$work/odd.img"
check 'send: two of one name' refuses 2 'two disks' send --disk "$work/disk.img" --disk "$work/sub/disk.img"
check 'send: a name that is a path' refuses 2 'name of a job' send --disk "$work/disk.img" --name ../x
check 'send: nobody there' refuses 1 'Connection refused' "$p2v" send 127.0.0.1:1 --key-file "$key" --disk "$work/disk.img"
check 'send' send --disk "$work/disk.img" --name x
check 'send: another disk under the name' refuses 3 "a job 'x' with other disks" send --disk "$work/other.img" --name x
check 'status: no folder' refuses 3 'No such file' "$p2v" status --dir "$work/none"
check 'status' "$p2v" status --dir "$work/jobs"
echo '{' >"$work/jobs/x/job.json"
check 'status: a damaged job' refuses 3 'x/job.json' "$p2v" status --dir "$work/jobs"
check 'send: a damaged job' refuses 3 'x/job.json' send --disk "$work/disk.img" --name x
check 'the receiver is alive' kill -0 "$receiver"
finish
