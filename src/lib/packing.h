/*
 * packing.h - inside of ttd_pack_write().
 */
#ifndef TTD_LIB_PACKING_H
#define TTD_LIB_PACKING_H

#include <ttd/ttd.h>

#include "lib/recorded.h"
#include "trace/pack.h"

/* Adds what the guest read of its disks' bases; *bytes grows by how much that is. */
int packing_disks(const struct ttd_pack *opt, const struct recorded *rec, struct pack_writer *out,
	uint64_t *bytes, struct ttd_error *e);

#endif
