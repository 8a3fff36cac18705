/*
 * packing.h - inside of ttd_pack_write().
 */
#ifndef TTD_LIB_PACKING_H
#define TTD_LIB_PACKING_H

#include <ttd/ttd.h>

#include "event/log.h"
#include "lib/pack.h"

/* What a packed base is called, behind the disk's name; a replay looks for it there. */
#define PACK_BASE_SUFFIX ".base"

/* Adds what the guest read of its disks' bases; *bytes grows by how much that is. */
int packing_disks(const struct ttd_pack *opt, const struct log_meta *m, struct pack_writer *out,
	uint64_t *bytes, struct err *e);

#endif
