/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A pass takes a time that does not depend on how much there is to do (asking
 * who has changed what, round trips, making it durable), and one that does.
 * Large passes teach the rate, small ones the rest.
 */
#include "p2v/sync/forecast.h"

#include <math.h>

#define LARGE_BYTES (16u << 20) /* so much says something of the rate */
#define WEIGHT 0.4 /* of the newest measurement */
#define FREEZE_SECONDS 0.5 /* as long as nothing is known */

static void learn(double *average, double value)
{
	*average = *average > 0 ? *average + WEIGHT * (value - *average) : value;
}

void forecast_learn_pass(struct forecast *forecast, uint64_t bytes, double seconds)
{
	double rest_seconds = seconds - forecast->pass_seconds;

	if (bytes < LARGE_BYTES) {
		learn(&forecast->pass_seconds, seconds);
		return;
	}
	/* What is known of the rest may be of a slower moment. */
	if (rest_seconds < seconds / 2)
		rest_seconds = seconds / 2;
	learn(&forecast->bytes_per_second, bytes / fmax(rest_seconds, 1e-6));
}

void forecast_learn_freeze(struct forecast *forecast, double seconds)
{
	learn(&forecast->freeze_seconds, seconds);
}

void forecast_learn_rest(struct forecast *forecast, uint64_t bytes)
{
	for (unsigned i = FORECAST_RESTS; --i;)
		forecast->rests[i] = forecast->rests[i - 1];
	forecast->rests[0] = bytes;
	if (forecast->rest_count < FORECAST_RESTS)
		forecast->rest_count++;
}

double forecast_downtime(const struct forecast *forecast, uint64_t rest_bytes)
{
	double freeze = forecast->freeze_seconds > 0 ? forecast->freeze_seconds : FREEZE_SECONDS;

	if (forecast->bytes_per_second > 0)
		return rest_bytes / forecast->bytes_per_second + forecast->pass_seconds + freeze;
	/* Only small passes so far: as quick as one of them if no larger. */
	if (forecast->pass_seconds > 0 && rest_bytes < LARGE_BYTES)
		return forecast->pass_seconds + freeze;
	return INFINITY;
}

bool forecast_is_converging(const struct forecast *forecast)
{
	if (forecast->rest_count < FORECAST_RESTS)
		return true;
	return forecast->rests[0] <= forecast->rests[FORECAST_RESTS - 1] * 0.9;
}
