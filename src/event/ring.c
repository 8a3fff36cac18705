/*
 * ring.c - the shared ring; see ring.h and doc/spec/log.md.
 *
 *  G1. The producer writes head and closed, the consumer tail and failed;
 *      each keeps its own copy of what it wrote and never reads it back.
 *  G2. tail <= head <= tail + size, all multiples of 8.  The consumer checks
 *      it on every look; the producer's copy of tail only moves forward.
 *  G3. Nobody sleeps without having said so in shared memory first and looked
 *      again; every sleep is bounded all the same.
 *  G4. The data are mapped twice, one after the other: a record that goes over
 *      the ring's end is in one piece all the same.  So is the bulk after them.
 *  G5. What the consumer checks it has copied before.  Long data it hands out
 *      where they are, of a length that it has checked: whoever changes them
 *      meanwhile spoils his own log's contents and nothing else.
 */
#include "event/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/names.h"

#define RING_MAGIC "TTDRING"

struct ring {
	int fd;
	char *file;            /* its name, when we made one */
	uint8_t *base, *data;
	size_t map;
	uint64_t size, mask;
	uint64_t head, tail;   /* ours, and the last seen of the other side's */
	uint64_t read;         /* consumer: taken, but not released */
	struct bulk bulk;
	uint64_t bulk_tail, bulk_read; /* consumer's, as tail and read */
	uint8_t run_id[RUN_ID];
};

static uint64_t *word64(const struct ring *r, unsigned at)
{
	return (void *)(r->base + at);
}

static uint32_t *word32(const struct ring *r, unsigned at)
{
	return (void *)(r->base + at);
}

static uint64_t load64(const struct ring *r, unsigned at)
{
	return __atomic_load_n(word64(r, at), __ATOMIC_ACQUIRE);
}

static uint32_t load32(const struct ring *r, unsigned at)
{
	return __atomic_load_n(word32(r, at), __ATOMIC_SEQ_CST);
}

static void store32(struct ring *r, unsigned at, uint32_t v)
{
	__atomic_store_n(word32(r, at), v, __ATOMIC_SEQ_CST);
}

static void wake(struct ring *r, unsigned at)
{
	__atomic_add_fetch(word32(r, at), 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word32(r, at), FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void nap(struct ring *r, unsigned at, uint32_t seen, unsigned ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	syscall(SYS_futex, word32(r, at), FUTEX_WAIT, seen, &ts, NULL, 0);
}

/* G4.  n bytes of the file from `off` on, twice, at p. */
static bool map_twice(int fd, uint8_t *p, size_t n, size_t off)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_FIXED;

	return n == 0 || (mmap(p, n, prot, flags, fd, (off_t)off) != MAP_FAILED &&
		mmap(p + n, n, prot, flags, fd, (off_t)off) != MAP_FAILED);
}

/* Header, data twice, bulk twice. */
static bool map_parts(struct ring *r, int fd, struct ring_size size)
{
	r->map = RING_HEADER + 2 * (size.records + size.bulk);
	r->base = mmap(NULL, r->map, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->base == MAP_FAILED)
		return false;
	r->data = r->base + RING_HEADER;
	r->bulk.base = r->data + 2 * size.records;
	return mmap(r->base, RING_HEADER, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) !=
		MAP_FAILED &&
		map_twice(fd, r->data, size.records, RING_HEADER) &&
		map_twice(fd, r->bulk.base, size.bulk, RING_HEADER + size.records);
}

static struct ring *map_ring(int fd, struct ring_size size, struct ttd_error *e)
{
	struct ring *r = calloc(1, sizeof *r);

	if (r == NULL) {
		err_set(e, TTD_HOST, "out of memory for the event ring");
		return NULL;
	}
	if (!map_parts(r, fd, size)) {
		err_set(e, TTD_HOST, "cannot map the event ring: %s", strerror(errno));
		if (r->base != MAP_FAILED)
			munmap(r->base, r->map);
		free(r);
		return NULL;
	}
	r->size = size.records;
	r->mask = r->size - 1;
	r->bulk.size = size.bulk;
	r->bulk.released = word64(r, RING_BULK_TAIL_AT);
	r->fd = fd;
	return r;
}

static bool part_ok(uint64_t size)
{
	return size >= RING_SIZE_MIN && size <= RING_SIZE_MAX && (size & (size - 1)) == 0;
}

static bool size_ok(struct ring_size size)
{
	return part_ok(size.records) && (size.bulk == 0 || part_ok(size.bulk));
}

static off_t file_size(struct ring_size size)
{
	return (off_t)(RING_HEADER + size.records + size.bulk);
}

/* Takes fd over.  Its bytes are zero. */
static struct ring *new_ring(int fd, struct ring_size size, const uint8_t run_id[RUN_ID],
	struct ttd_error *e)
{
	struct ring *r = map_ring(fd, size, e);

	if (r == NULL) {
		close(fd);
		return NULL;
	}
	memcpy(r->run_id, run_id, RUN_ID);
	memcpy(r->base + RING_RUN_ID_AT, run_id, RUN_ID);
	put32(r->base + RING_VERSION_AT, RING_VERSION);
	put64(r->base + RING_SIZE_AT, size.records);
	put64(r->base + RING_BULK_SIZE_AT, size.bulk);
	memcpy(r->base + RING_MAGIC_AT, RING_MAGIC, 8);
	return r;
}

static struct ring *wrong_size(struct ring_size size, struct ttd_error *e)
{
	err_set(e, TTD_USAGE, "a ring of %zu and %zu bytes: give powers of two from 128 KiB to "
		"64 MiB", size.records, size.bulk);
	return NULL;
}

struct ring *ring_create(struct ring_size size, const uint8_t run_id[RUN_ID],
	struct ttd_error *e)
{
	int fd;

	if (!size_ok(size))
		return wrong_size(size, e);
	fd = memfd_create("ttd-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	/* Nobody can make it shorter under the other one's feet. */
	if (fd >= 0 && ftruncate(fd, file_size(size)) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return new_ring(fd, size, run_id, e);
	err_set(e, TTD_HOST, "cannot make the event ring: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* The lock says that its process lives.  Room is reserved: a store must not fail later. */
struct ring *ring_create_file(struct ring_size size, const uint8_t run_id[RUN_ID],
	const char *path, struct ttd_error *e)
{
	struct ring *r = NULL;
	int fd;

	if (!size_ok(size))
		return wrong_size(size, e);
	fd = names_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
	if (fd < 0) {
		err_set(e, TTD_HOST, "cannot make the event ring %s: %s", path, strerror(errno));
		return NULL;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fallocate(fd, 0, 0, file_size(size)) == 0) {
		r = new_ring(fd, size, run_id, e);
	} else {
		err_set(e, TTD_HOST, "cannot make the event ring %s: %s", path, strerror(errno));
		close(fd);
	}
	if (r != NULL)
		r->file = strdup(path);
	if (r == NULL || r->file == NULL)
		names_remove(path);
	return r;
}

/* Maps what fd is, a dup of it. */
static struct ring *attach(int fd, struct ttd_error *e)
{
	uint8_t head[RING_HEADER];
	struct ring *r = NULL;
	struct stat st;
	struct ring_size size;

	if (fstat(fd, &st) != 0 || pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
		memcmp(head + RING_MAGIC_AT, RING_MAGIC, 8) != 0) {
		err_set(e, TTD_HOST, "not an event ring");
		return NULL;
	}
	size = (struct ring_size){ get64(head + RING_SIZE_AT), get64(head + RING_BULK_SIZE_AT) };
	if (get32(head + RING_VERSION_AT) != RING_VERSION || !size_ok(size) ||
		st.st_size != file_size(size)) {
		err_set(e, TTD_HOST, "an event ring of another version, or damaged");
		return NULL;
	}
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		err_set(e, TTD_HOST, "event ring: %s", strerror(errno));
	else
		r = map_ring(fd, size, e);
	if (r == NULL) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	memcpy(r->run_id, head + RING_RUN_ID_AT, RUN_ID);
	return r;
}

struct ring *ring_attach(int fd, struct ttd_error *e)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals >= 0 && (seals & F_SEAL_SHRINK))
		return attach(fd, e);
	err_set(e, TTD_HOST, "not an event ring: its size is not sealed");
	return NULL;
}

struct ring *ring_attach_own(const struct ring *r, struct ttd_error *e)
{
	return attach(r->fd, e);
}

/* Not a link, and nobody else's: its owner could make it shorter. */
struct ring *ring_find(const char *path, struct ttd_error *e)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct ring *r = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		err_set(e, TTD_HOST, "event ring %s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		err_set(e, TTD_HOST, "event ring %s: not a file of ours", path);
	else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		err_set(e, TTD_HOST, "event ring %s: its process lives", path);
	else
		r = attach(fd, e);
	if (fd >= 0)
		close(fd); /* the lock is the dup's now */
	return r;
}

void ring_free(struct ring *r)
{
	if (r == NULL)
		return;
	if (r->file != NULL)
		names_remove(r->file);
	free(r->file);
	munmap(r->base, r->map);
	close(r->fd);
	free(r);
}

const char *ring_file(const struct ring *r) { return r->file; }
void ring_set_log(struct ring *r, uint64_t dev, uint64_t ino)
{
	put64(r->base + RING_LOG_AT, dev);
	put64(r->base + RING_LOG_AT + 8, ino);
}

bool ring_is_of(const struct ring *r, uint64_t dev, uint64_t ino)
{
	return get64(r->base + RING_LOG_AT) == dev && get64(r->base + RING_LOG_AT + 8) == ino;
}

int ring_fd(const struct ring *r) { return r->fd; }
const uint8_t *ring_run_id(const struct ring *r) { return r->run_id; }
struct bulk *ring_bulk(struct ring *r) { return &r->bulk; }

/* ---- records ---- */

enum { WHERE = 7, INLINE = 0, IN_BULK = 1 }; /* whose offset is all that follows the record */

static uint32_t record_size(uint32_t len)
{
	return RING_RECORD + ((len + 7) & ~7u);
}

static void write_head(uint8_t b[RING_RECORD], const struct log_record *rec, uint32_t n)
{
	put32(b, n);
	b[4] = rec->type;
	b[5] = rec->flags;
	b[6] = rec->check;
	b[WHERE] = INLINE;
	put32(b + 8, rec->code);
	put32(b + 12, rec->error);
	put32(b + 16, rec->len);
	put32(b + 20, 0);
	put64(b + 24, rec->pos.icount);
	put64(b + 32, rec->pos.brctr);
	put64(b + 40, rec->pos.rip);
	put64(b + 48, rec->pos.rcx);
	put64(b + 56, rec->pos.tsc);
	put64(b + 64, rec->value);
	put64(b + 72, rec->value2);
}

/* Everything but the data. */
static void read_head(const uint8_t b[RING_RECORD], struct log_record *rec)
{
	log_record_clear(rec);
	rec->type = b[4];
	rec->flags = b[5];
	rec->check = b[6];
	rec->code = get32(b + 8);
	rec->error = get32(b + 12);
	rec->len = get32(b + 16);
	rec->pos = (struct source_pos){ .icount = get64(b + 24), .brctr = get64(b + 32),
		.rip = get64(b + 40), .rcx = get64(b + 48), .tsc = get64(b + 56) };
	rec->value = get64(b + 64);
	rec->value2 = get64(b + 72);
}

static bool read_inline(const uint8_t *data, uint32_t n, struct log_record *rec)
{
	if (record_size(rec->len) != n)
		return false;
	if (rec->len <= EVENT_DATA_MAX) {
		memcpy(rec->data, data, rec->len);
		return true;
	}
	rec->bytes = data;
	rec->stays = true;
	return true;
}

/* What is in the bulk follows the last that was read there, and all of it fits in there. */
static bool read_bulk(struct ring *r, uint64_t at, uint32_t n, struct log_record *rec)
{
	uint64_t end = at + bulk_room(rec->len);

	if (record_size(sizeof at) != n || rec->len <= EVENT_DATA_MAX || at % BULK_ALIGN != 0 ||
		at < r->bulk_read || end < at || end - r->bulk_tail > r->bulk.size)
		return false;
	rec->bytes = r->bulk.base + (at & (r->bulk.size - 1));
	rec->stays = true;
	r->bulk_read = end;
	return true;
}

/* `b` is our own copy (G5).  Whether it is a record is log_put()'s to say. */
static bool read_record(struct ring *r, const uint8_t b[RING_RECORD], uint32_t n,
	const uint8_t *data, struct log_record *rec)
{
	read_head(b, rec);
	if (rec->len > EVENT_LONG_MAX)
		return false;
	return b[WHERE] == INLINE ? read_inline(data, n, rec)
		: b[WHERE] == IN_BULK && read_bulk(r, get64(data), n, rec);
}

/* ---- producer ---- */

static bool room_for(struct ring *r, uint32_t n)
{
	uint64_t used = r->head - r->tail, tail;

	if (used + n <= r->size)
		return true;
	tail = load64(r, RING_TAIL_AT);
	if (tail - r->tail <= used) /* G2 */
		r->tail = tail;
	return r->head - r->tail + n <= r->size;
}

static bool crosses_quarter(uint64_t from, uint64_t to, uint64_t size)
{
	return ((from ^ to) & (size / 4)) != 0;
}

/* Its data are in the bulk; true when the consumer should look after them. */
static bool put_bulk(struct ring *r, uint8_t *p, const struct log_record *rec)
{
	uint64_t before = r->bulk.logged, at = bulk_offset(&r->bulk, rec->bytes, before);

	p[WHERE] = IN_BULK;
	put64(p + RING_RECORD, at);
	r->bulk.logged = at + bulk_room(rec->len);
	__atomic_store_n(word64(r, RING_BULK_HEAD_AT), r->bulk.logged, __ATOMIC_RELEASE);
	return crosses_quarter(before, r->bulk.logged, r->bulk.size);
}

bool ring_put(struct ring *r, const struct log_record *rec)
{
	bool in_bulk = rec->bytes != NULL && bulk_holds(&r->bulk, rec->bytes), urgent;
	uint32_t len = in_bulk ? sizeof(uint64_t) : rec->len, n = record_size(len);
	uint8_t *p = r->data + (r->head & r->mask);

	if (!room_for(r, n))
		return false;
	write_head(p, rec, n);
	urgent = crosses_quarter(r->head, r->head + n, r->size);
	if (in_bulk)
		urgent |= put_bulk(r, p, rec);
	else
		memcpy(p + RING_RECORD, log_record_bytes(rec), len);
	memset(p + RING_RECORD + len, 0, n - RING_RECORD - len);
	r->head += n;
	__atomic_store_n(word64(r, RING_HEAD_AT), r->head, __ATOMIC_RELEASE);
	/* A sleeping consumer is woken at a quarter of the ring or of the bulk, once. */
	if (urgent && load32(r, RING_ASLEEP_AT))
		wake(r, RING_BELL_AT);
	return true;
}

void ring_wait_room(struct ring *r, unsigned ms)
{
	uint32_t seen = load32(r, RING_ROOM_AT);

	if (load32(r, RING_ASLEEP_AT))
		wake(r, RING_BELL_AT);
	store32(r, RING_WAITING_AT, 1);
	if (load64(r, RING_TAIL_AT) == r->tail)
		nap(r, RING_ROOM_AT, seen, ms);
	store32(r, RING_WAITING_AT, 0);
}

int ring_failed(const struct ring *r)
{
	return (int)load32(r, RING_FAILED_AT);
}

unsigned ring_limited(const struct ring *r)
{
	return __atomic_load_n(word32(r, RING_LIMIT_AT), __ATOMIC_RELAXED);
}

void ring_close(struct ring *r)
{
	store32(r, RING_CLOSED_AT, 1);
	wake(r, RING_BELL_AT);
}

/* ---- consumer ---- */

static int look(struct ring *r, struct ttd_error *e)
{
	uint64_t head = load64(r, RING_HEAD_AT);

	if (head - r->tail > r->size || head - r->tail < r->read - r->tail || (head & 7) != 0)
		return err_set(e, TTD_HOST, "the event ring is damaged: its head went wild");
	r->head = head;
	return 0;
}

int ring_start(struct ring *r, uint64_t stream, struct ttd_error *e)
{
	uint64_t tail = load64(r, RING_TAIL_AT), head = load64(r, RING_HEAD_AT);

	if (stream < tail || stream > head || head - stream > r->size || (stream & 7) != 0)
		return err_set(e, TTD_HOST, "the event ring does not go on where the log ends");
	r->head = head;
	r->read = stream;
	r->tail = tail;
	r->bulk_tail = r->bulk_read = load64(r, RING_BULK_TAIL_AT);
	ring_release(r, stream);
	return 0;
}

int ring_take(struct ring *r, struct log_record *out, uint64_t *stream, struct ttd_error *e)
{
	const uint8_t *p = r->data + (r->read & r->mask);
	uint8_t b[RING_RECORD];
	uint32_t n;

	if (r->read == r->head && look(r, e) != 0)
		return -1;
	if (r->read == r->head)
		return 0;
	memcpy(b, p, sizeof b);
	n = get32(b);
	if (n < RING_RECORD || n > RING_RECORD_MAX || (n & 7) != 0 || n > r->head - r->read)
		return err_set(e, TTD_HOST, "the event ring is damaged: a record of %u bytes", n);
	if (!read_record(r, b, n, p + RING_RECORD, out))
		return err_set(e, TTD_HOST, "the event ring is damaged: a record makes no sense");
	r->read += n;
	*stream = r->read;
	return 1;
}

void ring_release(struct ring *r, uint64_t stream)
{
	r->bulk_tail = r->bulk_read;
	__atomic_store_n(word64(r, RING_BULK_TAIL_AT), r->bulk_tail, __ATOMIC_RELEASE);
	r->tail = stream;
	__atomic_store_n(word64(r, RING_TAIL_AT), stream, __ATOMIC_SEQ_CST);
	if (load32(r, RING_WAITING_AT))
		wake(r, RING_ROOM_AT);
}

bool ring_pressed(const struct ring *r)
{
	uint64_t taken = r->read - r->tail, bulk = r->bulk_read - r->bulk_tail;

	/* Where the producer waits, soon; but a chunk of a record or two helps nobody. */
	return taken >= r->size / 2 || (r->bulk.size != 0 && bulk >= r->bulk.size / 2) ||
		(ring_full(r) && (taken >= r->size / 8 || (r->bulk.size != 0 && bulk >= r->bulk.size / 8)));
}

uint64_t ring_released(const struct ring *r)
{
	return load64(r, RING_TAIL_AT);
}

bool ring_urgent(const struct ring *r)
{
	return load32(r, RING_CLOSED_AT) != 0 ||
		load64(r, RING_HEAD_AT) - load64(r, RING_TAIL_AT) > r->size / 2 ||
		load64(r, RING_BULK_HEAD_AT) - load64(r, RING_BULK_TAIL_AT) > r->bulk.size / 2;
}

bool ring_full(const struct ring *r)
{
	return load32(r, RING_WAITING_AT) != 0;
}

bool ring_closed(const struct ring *r)
{
	return load32(r, RING_CLOSED_AT) != 0 && load64(r, RING_HEAD_AT) == r->read;
}

void ring_sleep(struct ring *r, unsigned ms)
{
	uint32_t seen = load32(r, RING_BELL_AT);

	store32(r, RING_ASLEEP_AT, 1);
	if (load32(r, RING_CLOSED_AT) == 0 &&
		load64(r, RING_HEAD_AT) - r->read < r->size / 4 &&
		load64(r, RING_BULK_HEAD_AT) - r->bulk_read <= r->bulk.size / 4)
		nap(r, RING_BELL_AT, seen, ms);
	store32(r, RING_ASLEEP_AT, 0);
}

void ring_fail(struct ring *r, int error)
{
	store32(r, RING_FAILED_AT, (uint32_t)error);
	wake(r, RING_ROOM_AT);
}

void ring_limit(struct ring *r, unsigned why)
{
	store32(r, RING_LIMIT_AT, why);
}
