/*
 * fuzz_xlsave.c - images of xl save: the bytes are a file.  What is taken can be read page by
 * page, and what it says is within bounds.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xlsave/xlsave.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void look(const struct xlsave *s)
{
	uint8_t page[XLSAVE_PAGE];
	struct ttd_error e = TTD_ERROR_INIT;

	if (s->pages > XLSAVE_PAGES_MAX || s->nleaf > XLSAVE_LEAVES || s->nmsr > XLSAVE_MSRS ||
		s->np2m != (s->pages - 1) / XLSAVE_P2M_PER_PAGE + 1)
		abort();
	for (uint64_t pfn = 0; pfn < s->pages && pfn < 4096; pfn++)
		if (xlsave_page(s, pfn, page, &e) != 0 || xlsave_level(s, pfn) > 4)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct ttd_error e = TTD_ERROR_INIT;
	struct xlsave s;
	char path[40];
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (xlsave_open(&s, path, (n & 1) != 0, &e) == 0) {
		if ((n & 1) == 0)
			look(&s);
	} else if (strchr(e.text, '\n') != NULL || e.text[0] == '\0') {
		abort();
	}
	xlsave_close(&s);
	close(fd);
	return 0;
}
