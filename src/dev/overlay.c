/*
 * overlay.c - reading and writing clusters, and where their blocks are.
 */
#include "dev/overlay_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "util/fullio.h"
#include "util/names.h"
#include "util/regular.h"
#include "util/xxh.h"
#include "util/zero.h"

static uint64_t cluster_digest(uint64_t cluster, const void *p)
{
	return XXH3_64bits_withSeed(p, OVERLAY_CLUSTER, cluster);
}

uint64_t content_of(uint64_t cluster, uint64_t digest)
{
	return (digest ^ cluster * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
}

int write_all(int fd, uint64_t block, const void *p, size_t bytes)
{
	return pwrite_full(fd, p, bytes, block * OVERLAY_CLUSTER);
}

int read_all(int fd, uint64_t block, void *p, size_t bytes)
{
	uint8_t *b = p;
	off_t off = (off_t)(block * OVERLAY_CLUSTER);

	while (bytes > 0) {
		ssize_t n = pread(fd, b, bytes, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EBADMSG;
		b += n;
		off += n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* ---- life ---- */

static uint64_t id_of(const struct overlay_info *info)
{
	return XXH3_64bits_withSeed(info->disk, sizeof info->disk,
		XXH3_64bits(info->run_id, sizeof info->run_id));
}

static struct overlay *new_overlay(const char *path, struct ttd_error *e)
{
	struct overlay *o = calloc(1, sizeof *o);

	if (o != NULL) {
		o->fd = o->back_fd = o->shared_fd = -1;
		o->epoch = 1;
		if (path == NULL || (o->path = strdup(path)) != NULL)
			return o;
		free(o);
	}
	err_set(e, TTD_HOST, "out of memory for an overlay");
	return NULL;
}

void overlay_close(struct overlay *o)
{
	if (o == NULL)
		return;
	if (o->fd >= 0)
		close(o->fd);
	if (o->back_fd >= 0)
		close(o->back_fd);
	if (o->shared_fd >= 0)
		close(o->shared_fd);
	map_free(&o->map);
	list_free(&o->dirty);
	list_free(&o->freed);
	list_free(&o->spare);
	list_free(&o->order);
	free(o->path);
	free(o);
}

const char *overlay_folder(const char *dir)
{
	if (dir == NULL)
		dir = getenv("TMPDIR");
	return dir != NULL && *dir != '\0' ? dir : "/var/tmp";
}

/* A file without a name: gone when this process is, whatever ends it. */
static int open_nameless(struct overlay *o, const char *dir, struct ttd_error *e)
{
	char path[PATH_MAX];

	dir = overlay_folder(dir);
	o->fd = names_open(dir, O_RDWR | O_TMPFILE);
	if (o->fd >= 0)
		return 0;
	/* A filesystem that cannot do that. */
	if (snprintf(path, sizeof path, "%s/ttd-overlay.XXXXXX", dir) >= (int)sizeof path ||
		(o->fd = mkostemp(path, O_CLOEXEC)) < 0)
		return err_set(e, TTD_HOST, "disk %s: no temporary file in %s: %s; set TMPDIR",
			o->info.disk, dir, strerror(errno));
	unlink(path);
	return 0;
}

static int lock_file(int fd, short type)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &l) == 0 || (errno != EAGAIN && errno != EACCES) ? 0 : -1;
}

static int open_named(struct overlay *o, bool force, struct ttd_error *e)
{
	o->fd = regular_create(o->path, force);
	if (o->fd < 0)
		return err_set(e, TTD_HOST, "disk %s: cannot create %s: %s", o->info.disk, o->path,
			strerror(errno));
	if (lock_file(o->fd, F_WRLCK) != 0)
		return err_set(e, TTD_HOST, "disk %s: %s is in use", o->info.disk, o->path);
	if (ftruncate(o->fd, 0) != 0)
		return err_set(e, TTD_HOST, "disk %s: cannot write %s: %s", o->info.disk, o->path,
			strerror(errno));
	return journal_create(o, e);
}

struct overlay *overlay_create(const char *path, const char *dir, const struct overlay_info *info,
	bool sync, bool force, struct ttd_error *e)
{
	struct overlay *o = new_overlay(path, e);

	if (o == NULL)
		return NULL;
	o->info = *info;
	o->sync = sync;
	if (path != NULL)
		o->id = id_of(info);
	else if (getrandom(&o->id, sizeof o->id, 0) != sizeof o->id)
		o->id = (uint64_t)(uintptr_t)o;
	o->end = 1; /* BLOCK_ZERO is none */
	if ((path != NULL ? open_named(o, force, e) : open_nameless(o, dir, e)) == 0)
		return o;
	overlay_close(o);
	return NULL;
}

struct overlay *overlay_open(const char *path, struct ttd_error *e)
{
	struct overlay *o = new_overlay(path, e);

	if (o == NULL)
		return NULL;
	o->read_only = true;
	o->fd = regular_open(path, REGULAR_NOFOLLOW, NULL);
	if (o->fd < 0)
		err_set(e, TTD_HOST, "%s: %s", path, strerror(errno));
	else if (lock_file(o->fd, F_RDLCK) != 0)
		err_set(e, TTD_HOST, "%s is in use: its recording still runs", path);
	else if (journal_read(o, e) == 0)
		return o;
	overlay_close(o);
	return NULL;
}

const struct overlay_info *overlay_info(const struct overlay *o)
{
	return &o->info;
}

uint64_t overlay_clusters(const struct overlay *o)
{
	return o->map.used;
}

uint64_t overlay_content(const struct overlay *o)
{
	return o->content;
}

bool overlay_has(const struct overlay *o, uint64_t cluster)
{
	return map_find(&o->map, cluster) != NULL;
}

uint64_t overlay_next(struct overlay *o, uint64_t cluster)
{
	size_t lo = 0, hi;

	if (!o->ordered && map_keys(&o->map, &o->order) != 0)
		return UINT64_MAX;
	o->ordered = true;
	for (hi = o->order.n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;

		if (o->order.p[mid] < cluster)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < o->order.n ? o->order.p[lo] : UINT64_MAX;
}

/* ---- clusters ---- */

static int read_run(struct overlay *o, uint64_t block, size_t n, uint8_t *p)
{
	if (block == BLOCK_ZERO) {
		memset(p, 0, n * OVERLAY_CLUSTER);
		return 0;
	}
	if (block & BLOCK_BACK)
		return read_all(o->back_fd, block & ~BLOCK_BACK, p, n * OVERLAY_CLUSTER);
	/* No run goes over the end of what is shared: one block there is never used. */
	return read_all(block < o->shared_end ? o->shared_fd : o->fd, block, p, n * OVERLAY_CLUSTER);
}

int overlay_read(struct overlay *o, uint64_t cluster, size_t n, void *p)
{
	uint8_t *b = p;

	while (n > 0) {
		const struct slot *s = map_find(&o->map, cluster), *t;
		uint64_t first = s->block;
		size_t run = 1;
		int rc;

		while (run < n && (t = map_find(&o->map, cluster + run)) != NULL &&
			t->block == (first == BLOCK_ZERO ? BLOCK_ZERO : first + run))
			run++;
		rc = read_run(o, first, run, b);
		for (size_t i = 0; rc == 0 && i < run; i++)
			if (first != BLOCK_ZERO &&
				cluster_digest(cluster + i, b + i * OVERLAY_CLUSTER) !=
				map_find(&o->map, cluster + i)->digest)
				rc = EBADMSG;
		if (rc != 0)
			return rc;
		cluster += run;
		b += run * OVERLAY_CLUSTER;
		n -= run;
	}
	return 0;
}

static uint64_t allocate(struct overlay *o)
{
	return o->spare.n > 0 ? o->spare.p[--o->spare.n] : o->end++;
}

/* The slot, whose block may be written now (O1), or is to be BLOCK_ZERO. */
static struct slot *change(struct overlay *o, uint64_t cluster, bool zero)
{
	struct slot *s = map_add(&o->map, cluster);
	bool fresh;

	if (s == NULL)
		return NULL;
	if (s->epoch == 0) /* new */
		o->ordered = false;
	else
		o->content -= content_of(cluster, s->digest);
	fresh = s->epoch == o->epoch;
	if (!fresh && o->path != NULL && list_add(&o->dirty, cluster) != 0)
		return NULL;
	if (s->block != BLOCK_ZERO && (zero || !fresh)) {
		/* One of this epoch can be used at once, one of before with the next batch. */
		struct u64_list *to = fresh ? &o->spare : &o->freed;

		if (!(s->block & BLOCK_BACK) && (fresh || !o->keep) && list_add(to, s->block) != 0)
			return NULL;
		s->block = BLOCK_ZERO;
	}
	if (!zero && s->block == BLOCK_ZERO)
		s->block = allocate(o);
	s->epoch = o->epoch;
	return s;
}

int overlay_write(struct overlay *o, uint64_t cluster, size_t n, const void *p)
{
	const uint8_t *b = p;
	size_t from = 0, i;
	uint64_t first = BLOCK_ZERO;
	int rc = 0;

	if (o->read_only)
		return EROFS;
	for (i = 0; i < n; i++) {
		const uint8_t *c = b + i * OVERLAY_CLUSTER;
		struct slot *s = change(o, cluster + i, is_zero(c, OVERLAY_CLUSTER));

		if (s == NULL)
			return ENOMEM;
		s->digest = cluster_digest(cluster + i, c);
		o->content += content_of(cluster + i, s->digest);
		if (first != BLOCK_ZERO && s->block == first + (i - from))
			continue;
		if (first != BLOCK_ZERO)
			rc = write_all(o->fd, first, b + from * OVERLAY_CLUSTER,
				(i - from) * OVERLAY_CLUSTER);
		if (rc != 0)
			return rc;
		first = s->block;
		from = i;
	}
	if (first != BLOCK_ZERO)
		rc = write_all(o->fd, first, b + from * OVERLAY_CLUSTER,
			(i - from) * OVERLAY_CLUSTER);
	return rc;
}

int overlay_zero(struct overlay *o, uint64_t cluster, uint64_t n)
{
	if (o->read_only)
		return EROFS;
	for (; n > 0; n--, cluster++) {
		struct slot *s = change(o, cluster, true);

		if (s == NULL)
			return ENOMEM;
		s->digest = cluster_digest(cluster, zero_page);
		o->content += content_of(cluster, s->digest);
	}
	return 0;
}

int overlay_commit(struct overlay *o)
{
	return o->path != NULL ? journal_commit(o) : 0;
}

/* ---- snapshots ---- */

int overlay_freeze(struct overlay *o)
{
	int rc = overlay_commit(o);

	if (rc != 0)
		return rc;
	o->epoch++;
	o->keep = true;
	o->freed.n = o->spare.n = 0;
	return 0;
}

void overlay_save(const struct overlay *o, struct wbuf *w)
{
	struct u64_list keys = {0};

	if (map_keys(&o->map, &keys) != 0)
		w->bad = true;
	wbuf_u64(w, o->id);
	wbuf_u64(w, o->end);
	wbuf_u64(w, keys.n);
	for (size_t i = 0; i < keys.n; i++) {
		const struct slot *s = map_find(&o->map, keys.p[i]);

		wbuf_u64(w, keys.p[i]);
		wbuf_u64(w, s->block);
		wbuf_u64(w, s->digest);
	}
	list_free(&keys);
}

/* back: BLOCK_BACK when all blocks are in the other file, else 0. */
static int load_map(struct overlay *o, struct map *m, uint64_t *content, uint64_t end,
	uint64_t back, struct rbuf *r)
{
	uint64_t n = rbuf_u64(r);
	uint64_t clusters = (o->info.size + OVERLAY_CLUSTER - 1) / OVERLAY_CLUSTER;

	if (r->bad || n > (r->len - r->pos) / ENTRY_SIZE)
		return -1;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t cluster = rbuf_u64(r), block = rbuf_u64(r), digest = rbuf_u64(r);
		struct slot *s;

		if (cluster >= clusters || map_find(m, cluster) != NULL ||
			(!(block & BLOCK_BACK) && block >= end) || (block >> 63) != 0 ||
			((block & BLOCK_BACK) && (back != 0 || o->back_fd < 0)))
			return -1;
		s = map_add(m, cluster);
		if (s == NULL)
			return -1;
		s->block = block != BLOCK_ZERO ? block | back : BLOCK_ZERO;
		s->digest = digest;
		s->epoch = o->epoch;
		*content += content_of(cluster, digest);
	}
	return 0;
}

int overlay_load(struct overlay *o, struct rbuf *r)
{
	uint64_t id = rbuf_u64(r), end = rbuf_u64(r), content = 0;
	uint64_t back = id != o->id && o->back_fd >= 0 && id == o->back_id ? BLOCK_BACK : 0;
	struct map m = {0};

	if (r->bad || (id != o->id && back == 0) || end >= BLOCK_BACK ||
		load_map(o, &m, &content, end, back, r) != 0) {
		map_free(&m);
		return -1;
	}
	map_free(&o->map);
	o->map = m;
	o->content = content;
	o->ordered = false;
	if (back == 0 && o->end < end)
		o->end = end;
	o->dirty.n = 0;
	return overlay_freeze(o) == 0 ? 0 : -1;
}

int overlay_back(struct overlay *o, const char *path, struct ttd_error *e)
{
	int fd = regular_open(path, REGULAR_NOFOLLOW, NULL);

	if (fd < 0)
		return err_set(e, TTD_HOST, "%s: %s", path, strerror(errno));
	if (o->back_fd >= 0)
		close(o->back_fd);
	o->back_fd = fd;
	o->back_id = id_of(&o->info);
	return 0;
}

int overlay_forked(struct overlay *o)
{
	int fd, rc;

	if (o->path != NULL || o->shared_fd >= 0)
		return EBUSY;
	rc = overlay_freeze(o);
	fd = rc == 0 ? memfd_create("ttd-overlay", MFD_CLOEXEC) : -1;
	if (fd < 0)
		return rc != 0 ? rc : errno;
	o->shared_fd = o->fd;
	o->fd = fd;
	o->shared_end = o->end = o->end + 1;
	return 0;
}
