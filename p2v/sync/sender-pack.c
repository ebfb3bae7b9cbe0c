/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compression pays if compressing and sending less takes less time than sending
 * all of it.  Both times are measured as the work goes on; while raw content is
 * the better choice, every so often one DATA is compressed to see whether it
 * still is.
 */
#include <stdlib.h>

#include "p2v/base/run.h"
#include "p2v/sync/sender-impl.h"

#define LEVEL 1
#define PROBE_EVERY 16
#define WEIGHT 0.2 /* of the newest measurement */

struct err *packer_init(struct packer *packer)
{
	packer->zstd = ZSTD_createCCtx();
	packer->packed = malloc(ZSTD_compressBound(WIRE_MAX_DATA_BYTES));
	return packer->zstd && packer->packed ? NULL : err_nomem();
}

void packer_deinit(struct packer *packer)
{
	ZSTD_freeCCtx(packer->zstd);
	free(packer->packed);
}

static void learn(double *average, double value)
{
	*average = *average ? *average + WEIGHT * (value - *average) : value;
}

static bool pays(const struct packer *packer)
{
	/* Nothing is known of the line at the start. */
	return !packer->send_ns || packer->pack_ns + packer->ratio * packer->send_ns < packer->send_ns;
}

enum wire_encoding packer_pack(struct packer *packer, const void *data, size_t bytes,
			       const uint8_t **ret_payload, size_t *ret_bytes)
{
	uint64_t start_ns = run_now_ns();
	size_t packed_bytes;

	*ret_payload = data;
	*ret_bytes = bytes;
	if (packer->until_probe) {
		packer->until_probe--;
		return WIRE_RAW;
	}
	packed_bytes = ZSTD_compressCCtx(packer->zstd, packer->packed,
					 ZSTD_compressBound(WIRE_MAX_DATA_BYTES), data, bytes, LEVEL);
	if (ZSTD_isError(packed_bytes))
		return WIRE_RAW;
	learn(&packer->pack_ns, (double)(run_now_ns() - start_ns) / bytes);
	learn(&packer->ratio, packed_bytes < bytes ? (double)packed_bytes / bytes : 1);
	if (!pays(packer))
		packer->until_probe = PROBE_EVERY;
	if (packed_bytes >= bytes)
		return WIRE_RAW;
	*ret_payload = packer->packed;
	*ret_bytes = packed_bytes;
	return WIRE_ZSTD;
}

void packer_sent(struct packer *packer, size_t bytes, uint64_t took_ns)
{
	learn(&packer->send_ns, (double)took_ns / bytes);
}
