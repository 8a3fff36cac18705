/*
 * restored.h - what a saved guest's image says about the machine that it needs.
 */
#ifndef TTD_LIB_RESTORED_H
#define TTD_LIB_RESTORED_H

#include <ttd/ttd.h>

#include "event/log.h"

/* Fills in what cfg->kernel, the image, decides: its memory.  -1: *e. */
int restored_config(struct ttd_config *cfg, struct ttd_error *e);
/* "Xen 4.17", of the host that wrote it. */
int restored_text(const char *image, char text[LOG_RESTORED], struct ttd_error *e);
/* cpu/isa.h; -1 also when its CPU cannot be run here. */
int restored_isa(const char *image, uint64_t *isa, struct ttd_error *e);

#endif
