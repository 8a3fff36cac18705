/*
 * perturb.h - a source that spoils a replay on purpose, for tests of what
 * notices it.
 */
#ifndef TTD_LIB_PERTURB_H
#define TTD_LIB_PERTURB_H

#include "event/source.h"
#include "mem/mem.h"
#include "util/err.h"

struct perturb_spec {
	bool any_file;      /* kernel and ramdisk need not be the recorded ones */
	uint64_t skip;      /* the N-th input (from 1) does not reach the guest; 0: none */
	bool poke;          /* at `icount`, byte `off` of frame `mfn` becomes `byte` */
	uint64_t icount, mfn, off, byte;
};

/* "poke=ICOUNT:MFN:OFFSET:BYTE,skip=N,any-file"; NULL is nothing of it. */
int perturb_parse(const char *text, struct perturb_spec *p, struct ttd_error *e);

/* Takes over `inner`, also when it fails. */
struct source *perturb_create(struct source *inner, const struct perturb_spec *p,
	struct ttd_error *e);
/* Whose memory it is; before the machine runs. */
void perturb_attach(struct source *s, struct mem *m);

#endif
