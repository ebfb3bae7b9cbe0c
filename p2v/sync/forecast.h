/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long a server would stand still if it were frozen now: learned from the passes so far. */
#ifndef P2V_SYNC_FORECAST_H
#define P2V_SYNC_FORECAST_H

#include <stdbool.h>
#include <stdint.h>

#define FORECAST_RESTS 3

/* Zero-initialised knows nothing. */
struct forecast {
	double bytes_per_second; /* 0: not known */
	double pass_seconds; /* that a pass takes however little there is to do; 0: not known */
	double freeze_seconds; /* 0: not known */
	uint64_t rests[FORECAST_RESTS]; /* before the latest passes, the newest first */
	unsigned rest_count;
};

/* A pass has brought over so much. */
void forecast_learn_pass(struct forecast *forecast, uint64_t bytes, double seconds);
/* Freezing and draining took so long. */
void forecast_learn_freeze(struct forecast *forecast, double seconds);
/* So much was left before a pass. */
void forecast_learn_rest(struct forecast *forecast, uint64_t bytes);

/* Infinite while nothing is known. */
double forecast_downtime(const struct forecast *forecast, uint64_t rest_bytes);
/* False if the rest has shrunk by less than a tenth in two passes. */
bool forecast_is_converging(const struct forecast *forecast);

#endif
