/*
 * ring.c - the shared ring; see ring.h and doc/spec/log.md.
 *
 *  G1. The producer writes head and closed, the consumer tail and failed;
 *      each keeps its own copy of what it wrote and never reads it back.
 *  G2. tail <= head <= tail + size, all multiples of 8.  The consumer checks
 *      it on every look; the producer's copy of tail only moves forward.
 *  G3. Nobody sleeps without having said so in shared memory first and looked
 *      again; every sleep is bounded all the same.
 *  G4. The data are mapped twice, one behind the other: a record that goes over
 *      the ring's end is in one piece all the same.
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

#define RING_MAGIC "TTDRING"

struct ring {
	int fd;
	char *file;            /* its name, when we made one */
	uint8_t *base, *data;
	size_t map;
	uint64_t size, mask;
	uint64_t head, tail;   /* ours, and the last seen of the other side's */
	uint64_t read;         /* consumer: taken, but not released */
	uint8_t session[LOG_SESSION];
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

/* G4.  MAP_FAILED, or where the header is. */
static void *map_twice(int fd, size_t size)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_FIXED;
	size_t all = RING_HEADER + 2 * size;
	uint8_t *p = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int error;

	if (p == MAP_FAILED)
		return MAP_FAILED;
	if (mmap(p, RING_HEADER + size, prot, flags, fd, 0) != MAP_FAILED &&
		mmap(p + RING_HEADER + size, size, prot, flags, fd, RING_HEADER) != MAP_FAILED)
		return p;
	error = errno;
	munmap(p, all);
	errno = error;
	return MAP_FAILED;
}

static struct ring *map_ring(int fd, size_t size, struct err *e)
{
	struct ring *r = calloc(1, sizeof *r);

	if (r == NULL) {
		err_set(e, ST_HOST, "out of memory for the event ring");
		return NULL;
	}
	r->size = size;
	r->mask = size - 1;
	r->map = RING_HEADER + 2 * size;
	r->base = map_twice(fd, size);
	if (r->base == MAP_FAILED) {
		err_set(e, ST_HOST, "cannot map the event ring: %s", strerror(errno));
		free(r);
		return NULL;
	}
	r->data = r->base + RING_HEADER;
	r->fd = fd;
	return r;
}

static bool size_ok(uint64_t size)
{
	return size >= RING_SIZE_MIN && size <= RING_SIZE_MAX && (size & (size - 1)) == 0;
}

/* Takes fd over.  Its bytes are zero. */
static struct ring *new_ring(int fd, size_t size, const uint8_t session[LOG_SESSION],
	struct err *e)
{
	struct ring *r = map_ring(fd, size, e);

	if (r == NULL) {
		close(fd);
		return NULL;
	}
	memcpy(r->session, session, LOG_SESSION);
	memcpy(r->base + RING_SESSION_AT, session, LOG_SESSION);
	put32(r->base + RING_VERSION_AT, RING_VERSION);
	put64(r->base + RING_SIZE_AT, size);
	memcpy(r->base + RING_MAGIC_AT, RING_MAGIC, 8);
	return r;
}

static struct ring *wrong_size(size_t size, struct err *e)
{
	err_set(e, ST_USAGE, "a ring of %zu bytes: give a power of two from 128 KiB to 64 MiB", size);
	return NULL;
}

struct ring *ring_create(size_t size, const uint8_t session[LOG_SESSION], struct err *e)
{
	int fd;

	if (!size_ok(size))
		return wrong_size(size, e);
	fd = memfd_create("ttd-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	/* Nobody can make it shorter under the other one's feet. */
	if (fd >= 0 && ftruncate(fd, (off_t)(RING_HEADER + size)) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return new_ring(fd, size, session, e);
	err_set(e, ST_HOST, "cannot make the event ring: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* The lock says that its process lives.  Room is reserved: a store must not fail later. */
struct ring *ring_create_file(size_t size, const uint8_t session[LOG_SESSION], const char *path,
	struct err *e)
{
	struct ring *r = NULL;
	int fd;

	if (!size_ok(size))
		return wrong_size(size, e);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		err_set(e, ST_HOST, "cannot make the event ring %s: %s", path, strerror(errno));
		return NULL;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fallocate(fd, 0, 0, (off_t)(RING_HEADER + size)) == 0) {
		r = new_ring(fd, size, session, e);
	} else {
		err_set(e, ST_HOST, "cannot make the event ring %s: %s", path, strerror(errno));
		close(fd);
	}
	if (r != NULL)
		r->file = strdup(path);
	if (r == NULL || r->file == NULL)
		unlink(path);
	return r;
}

/* Maps what fd is, a dup of it. */
static struct ring *attach(int fd, struct err *e)
{
	uint8_t head[RING_HEADER];
	struct ring *r = NULL;
	struct stat st;
	uint64_t size;

	if (fstat(fd, &st) != 0 || pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
		memcmp(head + RING_MAGIC_AT, RING_MAGIC, 8) != 0) {
		err_set(e, ST_HOST, "not an event ring");
		return NULL;
	}
	size = get64(head + RING_SIZE_AT);
	if (get32(head + RING_VERSION_AT) != RING_VERSION || !size_ok(size) ||
		(uint64_t)st.st_size != RING_HEADER + size) {
		err_set(e, ST_HOST, "an event ring of another version, or damaged");
		return NULL;
	}
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		err_set(e, ST_HOST, "event ring: %s", strerror(errno));
	else
		r = map_ring(fd, size, e);
	if (r == NULL) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	memcpy(r->session, head + RING_SESSION_AT, LOG_SESSION);
	return r;
}

struct ring *ring_attach(int fd, struct err *e)
{
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals >= 0 && (seals & F_SEAL_SHRINK))
		return attach(fd, e);
	err_set(e, ST_HOST, "not an event ring: its size is not sealed");
	return NULL;
}

struct ring *ring_attach_own(const struct ring *r, struct err *e)
{
	return attach(r->fd, e);
}

/* Not a link, and nobody else's: its owner could make it shorter. */
struct ring *ring_find(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct ring *r = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		err_set(e, ST_HOST, "event ring %s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		err_set(e, ST_HOST, "event ring %s: not a file of ours", path);
	else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		err_set(e, ST_HOST, "event ring %s: its process lives", path);
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
		unlink(r->file);
	free(r->file);
	munmap(r->base, r->map);
	close(r->fd);
	free(r);
}

int ring_fd(const struct ring *r) { return r->fd; }
const uint8_t *ring_session(const struct ring *r) { return r->session; }

/* ---- records ---- */

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
	b[7] = 0;
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

/* `b` is our own copy (G5).  Whether it is a record is log_put()'s to say. */
static bool read_record(const uint8_t b[RING_RECORD], uint32_t n, const uint8_t *data,
	struct log_record *rec)
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
	if (rec->len > EVENT_LONG_MAX || record_size(rec->len) != n)
		return false;
	if (rec->len > EVENT_DATA_MAX)
		rec->bytes = data;
	else
		memcpy(rec->data, data, rec->len);
	return true;
}

/* ---- producer ---- */

bool ring_put(struct ring *r, const struct log_record *rec)
{
	uint32_t n = record_size(rec->len);
	uint64_t before = r->head - r->tail;
	uint8_t *p = r->data + (r->head & r->mask);

	if (before + n > r->size) {
		uint64_t tail = load64(r, RING_TAIL_AT);

		if (tail - r->tail <= before) /* G2 */
			r->tail = tail;
		before = r->head - r->tail;
		if (before + n > r->size)
			return false;
	}
	write_head(p, rec, n);
	memcpy(p + RING_RECORD, log_record_bytes(rec), rec->len);
	memset(p + RING_RECORD + rec->len, 0, n - RING_RECORD - rec->len);
	r->head += n;
	__atomic_store_n(word64(r, RING_HEAD_AT), r->head, __ATOMIC_RELEASE);
	/* A sleeping consumer is woken at a quarter of the ring, once. */
	if ((r->head ^ (r->head - n)) & (r->size / 4) && load32(r, RING_ASLEEP_AT))
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

void ring_close(struct ring *r)
{
	store32(r, RING_CLOSED_AT, 1);
	wake(r, RING_BELL_AT);
}

/* ---- consumer ---- */

static int look(struct ring *r, struct err *e)
{
	uint64_t head = load64(r, RING_HEAD_AT);

	if (head - r->tail > r->size || head - r->tail < r->read - r->tail || (head & 7) != 0)
		return err_set(e, ST_HOST, "the event ring is damaged: its head went wild");
	r->head = head;
	return 0;
}

int ring_start(struct ring *r, uint64_t stream, struct err *e)
{
	uint64_t tail = load64(r, RING_TAIL_AT), head = load64(r, RING_HEAD_AT);

	if (stream < tail || stream > head || head - stream > r->size || (stream & 7) != 0)
		return err_set(e, ST_HOST, "the event ring does not go on where the log ends");
	r->head = head;
	r->read = stream;
	r->tail = tail;
	ring_release(r, stream);
	return 0;
}

int ring_take(struct ring *r, struct log_record *out, uint64_t *stream, struct err *e)
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
		return err_set(e, ST_HOST, "the event ring is damaged: a record of %u bytes", n);
	if (!read_record(b, n, p + RING_RECORD, out))
		return err_set(e, ST_HOST, "the event ring is damaged: a record makes no sense");
	r->read += n;
	*stream = r->read;
	return 1;
}

void ring_release(struct ring *r, uint64_t stream)
{
	r->tail = stream;
	__atomic_store_n(word64(r, RING_TAIL_AT), stream, __ATOMIC_SEQ_CST);
	if (load32(r, RING_WAITING_AT))
		wake(r, RING_ROOM_AT);
}

bool ring_pressed(const struct ring *r)
{
	return r->read - r->tail >= r->size / 2 ||
		(r->read != r->tail && load32(r, RING_WAITING_AT));
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
		load64(r, RING_HEAD_AT) - r->read < r->size / 4)
		nap(r, RING_BELL_AT, seen, ms);
	store32(r, RING_ASLEEP_AT, 0);
}

void ring_fail(struct ring *r, int error)
{
	store32(r, RING_FAILED_AT, (uint32_t)error);
	wake(r, RING_ROOM_AT);
}
