/*
 * bus.c - the little that all backends share.
 */
#include "dev/bus.h"

#include <inttypes.h>
#include <stdio.h>

#include "util/parse.h"

int dev_read_number(struct dev *dev, enum dev_side side, const char *key, uint64_t max,
	uint64_t *value)
{
	char text[24];

	if (dev->bus->ops->read(dev, side, key, text, sizeof text) < 0)
		return -1;
	if (text[0] == '0' && text[1] != '\0')
		return -1; /* parse_u64() would take 0x */
	return parse_u64(text, 0, max, value);
}

int dev_write_number(struct dev *dev, enum dev_side side, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, value);
	return dev->bus->ops->write(dev, side, key, text);
}
