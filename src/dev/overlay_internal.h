/*
 * overlay_internal.h - inside of an overlay.
 *
 *  O1. A block is written in place only when it was allocated in the current
 *      epoch: then neither the journal's last batch nor a snapshot refers to it.
 *  O2. `content` is what doc/spec/overlay.md says of the map, at any time.
 *  O3. A block on `freed` is in use by the last batch but not by the map; it
 *      goes to `spare` with the next batch, or is given up while `keep` is set.
 */
#ifndef TTD_DEV_OVERLAY_INTERNAL_H
#define TTD_DEV_OVERLAY_INTERNAL_H

#include "dev/overlay.h"

enum { JOURNAL_ENTRIES = 167, ENTRY_SIZE = 24, JOURNAL_HEAD = 40, DIGEST_AT = 4088 };

#define BLOCK_ZERO UINT64_C(0)       /* the cluster is all zeros */
#define BLOCK_BACK (UINT64_C(1) << 62) /* in the other file: overlay_back() */

struct slot {
	uint64_t key; /* cluster + 1; 0: free */
	uint64_t block, digest;
	uint64_t epoch; /* in which the block was allocated */
};

struct map {
	struct slot *slot;
	size_t cap, used; /* cap: a power of two, or 0 */
};

struct u64_list {
	uint64_t *p;
	size_t n, cap;
};

struct overlay {
	struct overlay_info info;
	char *path;      /* NULL: nameless */
	int fd, back_fd; /* -1: none */
	int shared_fd;   /* has the blocks below shared_end: overlay_forked(); -1: none */
	uint64_t shared_end;
	bool sync, keep, read_only;
	struct map map;
	uint64_t id, back_id; /* of the files, in saved maps */
	uint64_t epoch, end; /* end: blocks from here are unused */
	uint64_t content;
	struct u64_list dirty; /* clusters whose slots changed in this epoch (with a journal) */
	struct u64_list freed, spare;
	uint64_t journal_next, journal_seq;
	struct u64_list order; /* clusters in ascending order; of overlay_next() */
	bool ordered;
};

/* overlay_map.c */
struct slot *map_find(const struct map *m, uint64_t cluster);
struct slot *map_add(struct map *m, uint64_t cluster); /* NULL: no memory */
void map_free(struct map *m);
int list_add(struct u64_list *l, uint64_t v);
void list_free(struct u64_list *l);
int map_keys(const struct map *m, struct u64_list *out); /* ascending */

/* overlay.c */
uint64_t content_of(uint64_t cluster, uint64_t digest);
int write_all(int fd, uint64_t block, const void *p, size_t bytes);
int read_all(int fd, uint64_t block, void *p, size_t bytes);

/* overlay_journal.c */
int journal_create(struct overlay *o, struct ttd_error *e);
int journal_commit(struct overlay *o); /* errno or 0 */
int journal_read(struct overlay *o, struct ttd_error *e);

#endif
