/*
 * reader.h - confining a process that executes no guest but reads what may be a stranger's.
 */
#ifndef TTD_SANDBOX_READER_H
#define TTD_SANDBOX_READER_H

#include "sandbox/rights.h"

/* What it still needs; NULLs among the paths are none. */
struct reader {
	const char *const *inputs, *const *outputs; /* to read; to make or to write anew */
	const char *const *traces; /* files and folders of traces */
	unsigned ninputs, noutputs, ntraces;
	const char *into;          /* a folder that packs are unpacked in, made if need be; NULL */
};

/* For the whole process and for good.  -1: the kernel cannot, or refuses. */
int sandbox_reader(const struct reader *r, struct ttd_error *e);

#endif
