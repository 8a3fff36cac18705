/*
 * blk_name.c - names of disks and the numbers that stand for them in xenstore
 * (xen's docs/man/xen-vbd-interface.7): xvd, sd and hd letters, dNpM, numbers.
 */
#include "dev/blk.h"

#include <ctype.h>
#include <string.h>

#include "util/parse.h"

enum { EXTENDED = 1 << 28 };

struct kind {
	const char *prefix;
	uint32_t major[2];
	uint8_t shift;      /* of a disk's number in the minor one */
	uint32_t per_major, partitions;
	bool extends;       /* further disks have the extended form */
};

static const struct kind kinds[] = {
	{"xvd", {202, 0}, 4, 16, 15, true},
	{"sd", {8, 0}, 4, 16, 15, false},
	{"hd", {3, 22}, 6, 2, 63, false},
};

static int number_of(const struct kind *k, uint32_t disk, uint64_t part, uint32_t *number)
{
	uint32_t index = disk / k->per_major;

	if (index < 2 && k->major[index] != 0 && part <= k->partitions) {
		*number = k->major[index] << 8 | (disk % k->per_major) << k->shift | (uint32_t)part;
		return 0;
	}
	if (!k->extends || part > 255 || disk >= 1 << 20)
		return -1;
	*number = EXTENDED | disk << 8 | (uint32_t)part;
	return 0;
}

/* "a" is 0, "z" 25, "aa" 26. */
static const char *letters(const char *s, uint32_t *disk)
{
	uint32_t n = 0;
	const char *p = s;

	for (; *p >= 'a' && *p <= 'z' && p - s < 4; p++)
		n = n * 26 + (uint32_t)(*p - 'a') + 1;
	if (p == s)
		return NULL;
	*disk = n - 1;
	return p;
}

static int partition(const char *s, uint64_t *part)
{
	*part = 0;
	return *s == '\0' ? 0 : *s >= '1' && *s <= '9' ? parse_u64(s, 1, 255, part) : -1;
}

/* "d3" or "d3p1". */
static int plain_form(const char *name, uint32_t *number)
{
	char digits[8];
	size_t n = strspn(name + 1, "0123456789");
	uint64_t disk, part = 0;

	if (n == 0 || n >= sizeof digits)
		return -1;
	memcpy(digits, name + 1, n);
	digits[n] = '\0';
	name += 1 + n;
	if (parse_u64(digits, 0, (1 << 20) - 1, &disk) != 0)
		return -1;
	if (*name != '\0' && (*name != 'p' || parse_u64(name + 1, 0, 255, &part) != 0))
		return -1;
	return number_of(&kinds[0], (uint32_t)disk, part, number);
}

int blk_number(const char *name, uint32_t *number)
{
	uint64_t n, part;
	uint32_t disk;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t len = strlen(kinds[i].prefix);
		const char *rest;

		if (strncmp(name, kinds[i].prefix, len) != 0)
			continue;
		rest = letters(name + len, &disk);
		return rest != NULL && partition(rest, &part) == 0
			? number_of(&kinds[i], disk, part, number) : -1;
	}
	if (name[0] == 'd' && isdigit((unsigned char)name[1]))
		return plain_form(name, number);
	if (!isdigit((unsigned char)name[0]) || parse_u64(name, 1, (1 << 29) - 1, &n) != 0)
		return -1;
	*number = (uint32_t)n;
	return 0;
}
