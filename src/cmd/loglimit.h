/*
 * loglimit.h - how long a log may become, as the user writes it.
 */
#ifndef TTD_CMD_LOGLIMIT_H
#define TTD_CMD_LOGLIMIT_H

#include <ttd/ttd.h>

#include <string.h>

#include "util/parse.h"

#define LOG_LIMIT_HOW "give a size of at least 64K, such as 500M or 20G, or off"

/* 0, or -1. */
static inline int parse_log_limit(const char *text, uint64_t *limit)
{
	if (strcmp(text, "off") == 0) {
		*limit = TTD_LOG_UNLIMITED;
		return 0;
	}
	return parse_size(text, 64 << 10, INT64_MAX, limit);
}

#endif
