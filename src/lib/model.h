/*
 * model.h - which CPU a guest is shown.
 */
#ifndef TTD_LIB_MODEL_H
#define TTD_LIB_MODEL_H

#include <ttd/ttd.h>

#include "cpu/cpu.h"

struct log_meta;

struct model {
	uint64_t isa;            /* cpu/isa.h */
	uint8_t seed[CPU_SEED];  /* what rdrand and rdseed answer from */
};

/* For a new guest; cfg->cpu: "v2", "v3", "max" or NULL.  Of a restored one its image decides. */
int model_config(struct model *m, const struct ttd_config *cfg, struct ttd_error *e);
/* The recorded one.  -1: this host cannot run it, or it is none. */
int model_recorded(struct model *m, const struct log_meta *meta, struct ttd_error *e);
void model_to_meta(const struct model *m, struct log_meta *meta);
/* "v3", or "max (v3 sha_ni gfni)". */
void model_text(uint64_t isa, char *text, size_t n);

#endif
