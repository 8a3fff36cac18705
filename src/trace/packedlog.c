/*
 * packedlog.c - see packedlog.h.
 */
#include "trace/packedlog.h"

#include <stdio.h>
#include <string.h>

static int read_log(void *ctx, uint64_t offset, void *p, size_t n)
{
	const struct packed_log *l = ctx;
	struct ttd_error none;

	return pack_read(l->pack, l->file, offset, p, n, &none);
}

int packed_log_open(struct packed_log *l, const char *file, struct ttd_error *e)
{
	struct log_bytes b = {.ctx = l, .read = read_log};
	unsigned n;

	memset(l, 0, sizeof *l);
	l->pack = pack_open(file, e);
	if (l->pack == NULL)
		return -1;
	for (n = pack_count(l->pack); l->file < n; l->file++)
		if (pack_file(l->pack, l->file)->kind == PACK_LOG)
			break;
	if (l->file == n) {
		err_set(e, TTD_DAMAGED, "%.300s holds no log", file);
		packed_log_close(l);
		return -1;
	}
	b.size = pack_file(l->pack, l->file)->size;
	snprintf(l->name, sizeof l->name, "%s:%s", file, pack_file(l->pack, l->file)->name);
	l->log = log_open_bytes(l->name, &b, e);
	if (l->log != NULL)
		return 0;
	packed_log_close(l);
	return -1;
}

void packed_log_close(struct packed_log *l)
{
	log_reader_close(l->log);
	pack_close(l->pack);
	l->log = NULL;
	l->pack = NULL;
}
