/*
 * layout.c - see layout.h.
 */
#define _GNU_SOURCE
#include "util/layout.h"

#include <limits.h>
#include <stdio.h>
#include <sys/personality.h>
#include <unistd.h>

#define ASKED_ALREADY 0xffffffffu /* of personality(): tells, changes nothing */
static bool settled;
static uint64_t above_from, above_to;

#define USER_TOP (UINT64_C(1) << 47)

/* Where everything is, by /proc/self/maps. */
static bool look(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[PATH_MAX + 128];
	bool good = f != NULL;

	while (good && fgets(line, sizeof line, f) != NULL) {
		unsigned long a, b;
		char r;

		if (sscanf(line, "%lx-%lx %c", &a, &b, &r) != 3)
			good = false;
		else if (a >= USER_TOP)
			good = r != 'r'; /* the page of old system calls: not to be read */
		else if (a >= LAYOUT_TO) {
			above_from = above_from == 0 ? a : above_from;
			above_to = b;
		} else if (a < LAYOUT_FROM || b > LAYOUT_TO)
			good = false;
	}
	if (f != NULL)
		fclose(f);
	return good;
}

void layout_settle(char **argv)
{
	int now = personality(ASKED_ALREADY);
	char path[PATH_MAX];
	ssize_t n;

	if (now < 0 || (uintptr_t)&layout_settle < LAYOUT_FROM || (uintptr_t)&layout_settle >= LAYOUT_TO)
		return; /* linked in another way: a sanitizer's */
	if (now & ADDR_COMPAT_LAYOUT) {
		personality((unsigned long)now & ~(unsigned long)ADDR_COMPAT_LAYOUT); /* not for whom we start */
		settled = look();
		return;
	}
	n = readlink("/proc/self/exe", path, sizeof path - 1);
	if (n <= 0 || personality((unsigned long)now | ADDR_COMPAT_LAYOUT) < 0)
		return;
	path[n] = '\0';
	execv(path, argv);
	personality((unsigned long)now);
}

bool layout_settled(uint64_t *from, uint64_t *to)
{
	*from = above_from;
	*to = above_to;
	return settled;
}
