/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The p2v sync protocol, version 3.  This header is its specification.
 *
 * A sender, on the machine whose disks are taken, brings a receiver's copies of
 * these disks to the content that its own have.  The protocol is made so that
 * it can be cut at any byte and taken up again, that a second run costs what
 * has changed, and that nobody is believed: the sender may be hostile, the
 * line may be, and a receiver that has forgotten may only cost time.
 *
 *
 * 1. CONNECTIONS
 *
 * Every connection is TLS 1.3 with an external PSK and ephemeral Diffie-Hellman
 * (tls.h); the sender connects.  Both ends prove the pairing key before a byte
 * of what follows is looked at, and a recording is of no use to anybody.  The
 * end of a connection is close_notify; anything else is an interruption.
 *
 * A session is one control connection and up to WELCOME.max_lanes lanes.  The
 * control connection sets the job up and commits it.  Lanes carry hashes and
 * content; each is independent, is used by one thread at either end, and
 * speaks of any disk.  A lane joins its session by the token of WELCOME.
 *
 * When the control connection ends, the session and its lanes end.  A new
 * session on a job takes it over from an older one, which ends: what is left
 * of a sender that has lost its line does not keep it out.  If that one is alive
 * after all it is told (TAKEN_OVER), and must not come again: JOB names the run, all
 * sessions that one sender tries for one transfer, and the receiver refuses runs
 * that a newer one has followed.
 *
 *
 * 2. MESSAGES
 *
 * A connection carries messages: a header (struct wire_header) and a body of
 * body_bytes bytes.  Numbers are little endian, structures are packed, unused
 * fields are zero, and the receiver of a message checks that they are.  Every
 * type has a smallest and a largest body (wire_types[] in codec.c), and a
 * largest body is never more than WIRE_MAX_BODY_BYTES; a header that says
 * otherwise ends the connection before anything is allocated for it.
 *
 * Control connection:
 *
 *	sender                           receiver
 *	HELLO (control)          →
 *	                         ←       WELCOME (token, max_lanes, window_bytes)
 *	JOB (name, disks)        →
 *	                         ←       READY (hash key, what it has of each disk)
 *	MACHINE                  →
 *	ALIVE …                  →
 *	                         ←       ALIVE …
 *	COMMIT (roots)           →
 *	                         ←       ALIVE … (while it verifies)
 *	                         ←       COMMITTED (root)
 *	close_notify
 *
 * (twice from COMMIT on where the first one only holds: 6.)
 *
 * Lane:
 *
 *	HELLO (lane, token)      →
 *	                         ←       WELCOME
 *	QUERY                    →
 *	                         ←       HASHES
 *	DATA, ZERO, SYNC …       →
 *	                         ←       DURABLE …
 *	close_notify
 *
 * QUERY, DATA, ZERO and SYNC come in any order; several QUERYs may be under way
 * on a lane, and are answered in their order.  DURABLE may come between QUERY and
 * HASHES.  COMMIT comes when every DATA and ZERO of every lane has been
 * acknowledged, and ends what lanes may do.  MACHINE, which may be left out, tells
 * what the disks are part of; the last one counts.  REFUSED is for either end, at any time,
 * instead of any message: it says why in words for people, and what they can do,
 * and close_notify follows.
 *
 * Time: the sender sends ALIVE on the control connection at least every
 * WIRE_ALIVE_SECONDS, the receiver answers each.  Who hears nothing there for
 * WIRE_SILENCE_SECONDS has lost the other.  Lanes may be silent for ever.
 *
 *
 * 3. DISKS, BLOCKS, PAGES
 *
 * A disk is a number of bytes, a multiple of its logical sector.  It is cut into
 * blocks of JOB's block_bytes, a power of two from WIRE_MIN_BLOCK_BYTES to
 * WIRE_MAX_BLOCK_BYTES, the last of which may be shorter.  A page is
 * WIRE_PAGE_BLOCKS blocks, the last of which may be fewer.
 *
 * The hash of a block is
 *
 *	0 (16 zero bytes)                                if all of it is zeros
 *	BLAKE3(hash key, content of the block)[0…15]     else
 *
 * and that of a page
 *
 *	0                                                if those of its blocks are
 *	BLAKE3(hash key, hashes of its blocks)[0…15]     else
 *
 * The hash key (READY) is random and the receiver's; it stays with the job, so
 * that hashes can be compared from run to run, and nobody who merely chooses
 * what is on a disk can make two contents meet.
 *
 * The receiver may not know what a block of its copy is: its hash is then
 * WIRE_IN_DOUBT (16 bytes of 0xff), and so is that of a page with such a block.
 * Content is never equal to what is in doubt.
 *
 * The root of a disk is the sum, modulo 2^256 and little endian, of
 *
 *	BLAKE3(hash key, disk le32, page number le64, hash of the page)[0…31]
 *
 * over its pages whose hash is not 0.  A sum, so that it can be kept up while
 * lanes work in any order, and an empty page costs nothing.  The root of a job is
 *
 *	BLAKE3(hash key, for each disk: size in bytes le64, root)[0…31].
 *
 *
 * 4. COMPARING
 *
 * READY says which disks are fresh: all of their copy is zeros, so there is
 * nothing to ask.  Of the others the sender asks by QUERY for the hashes of
 * pages where it finds data, and in pages that differ, for those of blocks.  At
 * 64 KiB a block an unchanged disk costs 0.0015 % of its size, one with 1 %
 * of its blocks changed here and there 0.005 %.
 *
 *
 * 5. CONTENT, CREDIT, DURABILITY
 *
 * DATA carries the content of up to WIRE_MAX_DATA_BLOCKS blocks that follow
 * one another, with the hash of each; what it holds before compression is at
 * most WIRE_MAX_DATA_BYTES.  The receiver takes it only if, decompressed, it has
 * exactly the right size and every block its hash; else it refuses the session, as
 * it does with whatever breaks a rule of this file.  A block of zeros may be in a
 * DATA, with the hash 0.  ZERO makes any range zeros.
 *
 * Credit: a lane may have sent at most WELCOME.window_bytes that are not
 * acknowledged, counting for each DATA what it holds before compression and
 * for each ZERO WIRE_ZERO_COST_BYTES.  window_bytes times max_lanes is at most
 * WIRE_MAX_WINDOW_BYTES: so much, and no more, may have to be sent again after
 * an interruption.
 *
 * DURABLE(n): the first n DATA and ZERO of this lane will be there after a power
 * cut, and the manifest will know them.  The receiver sends it, unasked, before the
 * lane can run out of credit: whenever half of the window has come it makes
 * that half durable while it takes in the other.  SYNC asks for all at once.
 *
 * A sender may bring the same block as often as it likes before COMMIT: so disks in
 * use are brought over in passes, each of what has changed since the one before.
 * Before a block travels again all that went before is to be acknowledged.  At the
 * end of a pass, and at no other time, the sender says SYNC on every lane, once: so
 * a receiver, which counts them, can tell that it has all of one, and nothing of the
 * next.  All lanes take part in all passes; the first may be over on some lanes
 * before others are there.
 *
 * DATA and ZERO of what the copy has already change nothing: a complete job stays
 * complete.  With the first one that does change something the job is incomplete, and
 * its copies say so themselves, until the next commit.
 *
 * No two lanes may have the same block in what is not acknowledged.  If they
 * do, the receiver's copy of it is one or the other, and its hash says which.
 *
 *
 * 6. COMMIT
 *
 * COMMIT carries the root of every disk as the sender has read it.  The receiver
 * computes them from its manifest, with WIRE_COMMIT_VERIFY after it has read
 * the whole copy again, and answers COMMITTED with the root of the job if all are
 * equal, REFUSED with the disks that are not, else.  Only then is a job complete.
 *
 * Who sends the disks of a server that works must not let it go on once its copy
 * is complete: both would run.  But an answer can get lost, and time can run out
 * while it is awaited.  So it commits twice:
 *
 *	COMMIT (HOLD, roots)     →
 *	                         ←       COMMITTED (root): all is durable, and compared
 *	(from here on the server is not let go on any more, whatever happens)
 *	COMMIT (roots)           →
 *	                         ←       COMMITTED (root): the job is complete
 *
 * With WIRE_COMMIT_HOLD the receiver does all that COMMIT does, and remembers,
 * durably, that the job is held, with this root; but it is not complete, and its
 * copies say so themselves, even if it was before.  A COMMIT of the same roots without
 * the flag, on this connection or in any later session, completes it without
 * looking at anything again.  The first DATA or ZERO that changes something ends the
 * hold.  So does REFUSED of the sender, which so tells that the server goes on; if that
 * is lost, nothing but a stale hold is left of it.
 *
 * After a hold the connection carries nothing but ALIVE and one COMMIT without the
 * flag.  A sender that has decided and lost its line comes again with the same run:
 * HELLO, JOB (data_bytes 0: nothing is to come), COMMIT.
 *
 *
 * 7. ANNOUNCEMENTS
 *
 * A machine that has been started to be captured tells so before there is a job,
 * and how it fares after that: on a control connection of its own, on which
 * ANNOUNCE comes in the place of JOB.
 *
 *	sender                           receiver
 *	HELLO (control)          →
 *	                         ←       WELCOME
 *	ANNOUNCE                 →
 *	                         ←       ALIVE
 *	ANNOUNCE, ALIVE …        →
 *	                         ←       ALIVE … (one for each)
 *	BUNDLE (size)            →
 *	                         ←       ALIVE (there is room)
 *	PART …                   →
 *	                         ←       ALIVE (all of it is durable)
 *	close_notify
 *
 * ANNOUNCE tells a machine's id, what it is, and its phase; a further one, of the
 * same id, tells what has changed.  What it says is shown to people, and trusted
 * in nothing: texts are short and printable, and none becomes the name of a file.
 * The machine is there as long as any connection with its id lives; the last
 * ANNOUNCE counts.  Phase WIRE_PHASE_SAME is for who does not know it: a
 * program that only brings a bundle.
 *
 * BUNDLE, which may be left out, brings a file that helps whoever is to find out
 * what is wrong with a machine: a tar archive compressed by zstd, in so many PART
 * as it takes.  The receiver looks for room before it asks for it, never opens it,
 * and keeps the last two of each machine.
 *
 * A receiver may refuse who announces itself more often than once a second,
 * sixteen times at once aside.  It knows a bounded number of machines; of those
 * that are gone the one longest unheard of is forgotten first.  Sessions and
 * announcements do not know of each other, but for the name, which by custom is
 * that of the machine's job.
 *
 *
 * 8. VERSIONS
 *
 * HELLO offers a range of versions, WELCOME names the one that is spoken.  The
 * layout of HELLO, WELCOME and REFUSED never changes.  Version 2 adds ANNOUNCE,
 * BUNDLE and PART to version 1, version 3 adds WIRE_COMMIT_HOLD, and nothing else:
 * who brings a job offers all.  Where version 1 is spoken a machine that would
 * announce itself says close_notify, and does without; where an older one than 3
 * is, a sender that has to hold refuses before it sends JOB, and a receiver
 * refuses the flag.
 */
#ifndef P2V_SYNC_WIRE_H
#define P2V_SYNC_WIRE_H

#include <stdint.h>

#include "p2v/base/le.h"

#define WIRE_VERSION 3
#define WIRE_OLDEST_VERSION 1 /* that is spoken still */
#define WIRE_ANNOUNCE_VERSION 2 /* the first with announcements */
#define WIRE_HOLD_VERSION 3 /* the first with WIRE_COMMIT_HOLD */
#define WIRE_MAGIC "p2v-sync" /* 8 bytes, at the start of HELLO */
#define WIRE_PORT 4902

#define WIRE_TOKEN_BYTES 16
#define WIRE_RUN_BYTES 16
#define WIRE_HASH_BYTES 16
#define WIRE_ROOT_BYTES 32
#define WIRE_HASH_KEY_BYTES 32

#define WIRE_ALIVE_SECONDS 10
#define WIRE_SILENCE_SECONDS 60

#define WIRE_MIN_BLOCK_BYTES (64u << 10)
#define WIRE_MAX_BLOCK_BYTES (1u << 20)
#define WIRE_PAGE_BLOCKS 16u
#define WIRE_MAX_DATA_BLOCKS 16u
#define WIRE_MAX_DATA_BYTES (1u << 20)
#define WIRE_ZERO_COST_BYTES (64u << 10)
#define WIRE_MAX_WINDOW_BYTES (64u << 20) /* of all lanes together */
#define WIRE_MAX_LANES 32u
#define WIRE_MAX_HASHES 4096u /* in one HASHES */

#define WIRE_MAX_DISKS 256u
#define WIRE_MAX_DISK_BYTES (64ull << 40) /* what a VHDX can be */
#define WIRE_MAX_NAME_BYTES 64u /* of a job */
#define WIRE_MAX_ID_BYTES 128u /* of a disk */
#define WIRE_MAX_TEXT_BYTES 1024u /* of each of the two in REFUSED */

#define WIRE_MAX_MACHINE_BYTES (512u << 10)

#define WIRE_MACHINE_ID_BYTES 16
#define WIRE_MAX_ANNOUNCE_TEXT_BYTES 1024u /* of each; see struct wire_announce */
#define WIRE_MAX_BUNDLE_BYTES (64u << 20)
#define WIRE_MAX_PART_BYTES (256u << 10)

#define WIRE_MAX_BODY_BYTES (WIRE_MAX_DATA_BYTES + (4u << 10))

enum wire_type {
	WIRE_HELLO = 1,
	WIRE_WELCOME = 2,
	WIRE_REFUSED = 3,
	WIRE_JOB = 4,
	WIRE_READY = 5,
	WIRE_ALIVE = 6,
	WIRE_COMMIT = 7,
	WIRE_COMMITTED = 8,
	WIRE_QUERY = 9,
	WIRE_HASHES = 10,
	WIRE_DATA = 11,
	WIRE_ZERO = 12,
	WIRE_SYNC = 13,
	WIRE_DURABLE = 14,
	WIRE_MACHINE = 15,
	WIRE_ANNOUNCE = 16,
	WIRE_BUNDLE = 17,
	WIRE_PART = 18,
};

struct wire_header {
	le32 body_bytes;
	uint8_t type; /* enum wire_type */
	uint8_t zero[3];
};

enum wire_purpose { WIRE_CONTROL = 1, WIRE_LANE = 2 };

struct wire_hello {
	char magic[8];
	le16 min_version;
	le16 max_version;
	uint8_t purpose; /* enum wire_purpose */
	uint8_t zero[3];
	uint8_t token[WIRE_TOKEN_BYTES]; /* of the session that a lane joins; else zero */
};

struct wire_welcome {
	le16 version;
	le16 max_lanes;
	le32 window_bytes; /* credit of each lane */
	uint8_t token[WIRE_TOKEN_BYTES]; /* of this session; zero on a lane */
};

enum wire_reason {
	WIRE_FAILED = 1, /* something at this end failed, or the other end broke a rule of this file: trying
			  * again may help */
	WIRE_NO_SESSION = 2, /* a lane for a session that is not, or has enough: so may this */
	WIRE_NOT_ALLOWED = 3, /* will not help: version, space, limits, other disks under the job's name */
	WIRE_TAKEN_OVER = 4, /* a newer session has this job now */
};

struct wire_refused {
	le16 reason; /* enum wire_reason */
	le16 text_bytes;
	char text[]; /* printable UTF-8, no control characters; then, up to the end, what to do, of the same
		      */
};

/* The job's name is a file's name: WIRE_MAX_NAME_BYTES of A-Z a-z 0-9 . _ -, not a dot first. */
struct wire_job {
	le16 name_bytes;
	le16 disk_count;
	le32 zero;
	uint8_t run[WIRE_RUN_BYTES]; /* random, the same whenever one sender tries again */
	/* name; then, for each disk, a struct wire_disk and its id. */
};

/* The id tells the disks of a machine from each other from run to run (serial number, WWN, name of an image):
 * 1…WIRE_MAX_ID_BYTES of printable ASCII, unique in the job. */
struct wire_disk {
	le64 size_bytes; /* 1 sector…WIRE_MAX_DISK_BYTES */
	le64 data_bytes; /* at most so much of it is not zeros, as far as the sender knows yet */
	le32 block_bytes;
	le16 logical_sector_bytes; /* 512 or 4096 */
	le16 physical_sector_bytes; /* 512 or 4096, not less than logical */
	le16 id_bytes;
	uint8_t zero[6];
};

#define WIRE_DISK_FRESH 1u /* the copy is all zeros */
#define WIRE_DISK_FLAGS WIRE_DISK_FRESH

struct wire_ready {
	uint8_t hash_key[WIRE_HASH_KEY_BYTES];
	uint8_t disk_flags[]; /* one each */
};

#define WIRE_COMMIT_VERIFY 1u
#define WIRE_COMMIT_HOLD 2u
#define WIRE_COMMIT_FLAGS (WIRE_COMMIT_VERIFY | WIRE_COMMIT_HOLD)

struct wire_commit {
	le32 flags;
	le32 zero;
	uint8_t roots[][WIRE_ROOT_BYTES]; /* one a disk */
};

struct wire_committed {
	uint8_t root[WIRE_ROOT_BYTES];
};

enum wire_level { WIRE_BLOCKS = 0, WIRE_PAGES = 1 };

struct wire_query {
	le32 disk;
	le16 level; /* enum wire_level */
	le16 count; /* 1…WIRE_MAX_HASHES */
	le64 first; /* block or page */
};

/* Answers QUERY with the same fields. */
struct wire_hashes {
	struct wire_query of;
	uint8_t hashes[][WIRE_HASH_BYTES];
};

enum wire_encoding { WIRE_RAW = 0, WIRE_ZSTD = 1 };

/* ZSTD is one frame that tells its content size. */
struct wire_data {
	le32 disk;
	le16 encoding; /* enum wire_encoding */
	le16 block_count; /* 1…WIRE_MAX_DATA_BLOCKS */
	le64 first_block;
	/* block_count hashes of WIRE_HASH_BYTES; the content up to the end of the body. */
};

struct wire_zero {
	le32 disk;
	le32 zero;
	le64 first_block;
	le64 block_count; /* 1… */
};

struct wire_durable {
	le64 count;
};

enum wire_phase {
	WIRE_PHASE_SAME = 0, /* as it was told last; of a machine that is new, booted */
	WIRE_PHASE_BOOTED = 1,
	WIRE_PHASE_WAITING = 2, /* for its user */
	WIRE_PHASE_SENDING = 3,
	WIRE_PHASE_DONE = 4,
	WIRE_PHASE_FAILED = 5,
	WIRE_PHASES,
};

/* Each of printable ASCII, in this order; all but the name may be empty.  The name is that of a job. */
enum wire_announce_text {
	WIRE_TEXT_NAME, /* WIRE_MAX_NAME_BYTES */
	WIRE_TEXT_VENDOR, /* of the hardware; 128 bytes, as the next two */
	WIRE_TEXT_MODEL,
	WIRE_TEXT_SERIAL,
	WIRE_TEXT_ADDRESSES, /* with the length of the prefix, a blank between them; 1024 bytes */
	WIRE_TEXT_REASON, /* of the phase, a line; 256 bytes */
	WIRE_ANNOUNCE_TEXTS,
};

struct wire_announce {
	uint8_t id[WIRE_MACHINE_ID_BYTES]; /* of the machine, the same from start to start; not zero */
	le32 up_seconds; /* since it was started */
	uint8_t phase; /* enum wire_phase */
	uint8_t zero[3];
	le16 text_bytes[WIRE_ANNOUNCE_TEXTS];
	/* The texts. */
};

struct wire_bundle {
	le32 size_bytes; /* 1…WIRE_MAX_BUNDLE_BYTES */
	le32 zero;
};

/* The body of PART is 1…WIRE_MAX_PART_BYTES of the bundle, from where the last one ended.
 *
 * The body of MACHINE is machine.json (p2v-machine.json(5)) with the disks of the job alone, in its order;
 * 1…WIRE_MAX_MACHINE_BYTES.  ALIVE and SYNC have no body. */

_Static_assert(sizeof(struct wire_header) == 8, "as specified");
_Static_assert(sizeof(struct wire_hello) == 32, "as specified");
_Static_assert(sizeof(struct wire_welcome) == 24, "as specified");
_Static_assert(sizeof(struct wire_refused) == 4, "as specified");
_Static_assert(sizeof(struct wire_job) == 24, "as specified");
_Static_assert(sizeof(struct wire_disk) == 32, "as specified");
_Static_assert(sizeof(struct wire_query) == 16, "as specified");
_Static_assert(sizeof(struct wire_data) == 16, "as specified");
_Static_assert(sizeof(struct wire_zero) == 24, "as specified");
_Static_assert(sizeof(struct wire_announce) == 36, "as specified");
_Static_assert(sizeof(struct wire_bundle) == 8, "as specified");

#endif
