/*
 * log.h - the event log on disk: records, writer, reader.
 *
 * The format is doc/spec/log.md.  A writer collects records in a chunk and
 * appends it with log_commit(); what was committed survives the process.  A
 * reader goes through the records in order, or starts near a position, with
 * one chunk in memory.
 */
#ifndef TTD_EVENT_LOG_H
#define TTD_EVENT_LOG_H

#include <stddef.h>
#include <string.h>

#include "event/source.h"
#include "util/err.h"

enum { LOG_VERSION = 2, LOG_SESSION = 16, LOG_NAME_MAX = 64, LOG_TEXT_MAX = 4096 };

/* The numbers are the format's. */
enum log_type {
	LOG_INPUT = 1, /* an event that a source handed out */
	LOG_MARK,      /* the run got here */
	LOG_DIGEST,    /* memory and state */
	LOG_EXCEPTION,
	LOG_HYPERCALL,
	LOG_UPCALL,
	LOG_FRAME,     /* the guest sent it */
	LOG_PAGES,     /* details of the digest that follows: detail.h */
	LOG_REGISTERS,
	LOG_TYPES,
	LOG_FINAL = 255, /* in a ring only: the END chunk's contents */
};

enum log_flag {
	LOG_IDLE = 1,      /* input: from idle() */
	LOG_ERROR = 1,     /* exception: has an error code */
	LOG_CR2 = 2,       /* exception: value is cr2 */
	LOG_MULTICALL = 4, /* hypercall: inside a multicall */
};

struct log_record {
	uint8_t type, flags;
	uint8_t check;    /* exception, hypercall, upcall, frame: of the registers */
	uint32_t code;    /* enum event_type, vector, hypercall number, interface */
	uint32_t error;   /* exception; frame: its length */
	struct source_pos pos; /* rcx and tsc: input, mark and digest only */
	uint64_t value;   /* of an input; cr2; memory digest; frame digest */
	uint64_t value2;  /* state digest */
	uint32_t len;
	/*
	 * NULL: the bytes are in data.  What a reader gives stays until the next record
	 * is asked for; what a ring gives, until it is released.
	 */
	const uint8_t *bytes;
	bool stays;       /* the bytes outlive the commit of the record: log_put() need not copy */
	uint8_t data[EVENT_DATA_MAX];
};

/* Without data: there are records by the hundred thousand a second, and hardly any has some. */
static inline void log_record_clear(struct log_record *r)
{
	memset(r, 0, offsetof(struct log_record, data));
}

/* The record of a witness: what a recording writes and a replay compares it with. */
static inline void log_record_witness(struct log_record *r, const struct source_pos *now,
	const struct witness *w)
{
	log_record_clear(r);
	r->type = w->type;
	r->flags = w->flags;
	r->check = w->check;
	r->code = w->code;
	r->error = w->error;
	r->pos = *now;
	r->value = w->value;
	r->value2 = w->value2;
}

static inline const uint8_t *log_record_bytes(const struct log_record *r)
{
	return r->bytes != NULL ? r->bytes : r->data;
}

/* One to keep: of its bytes only those that fit into it. */
struct log_record log_record_brief(const struct log_record *r);

static inline bool log_has_door(unsigned type)
{
	return type == LOG_INPUT || type == LOG_MARK || type == LOG_DIGEST;
}

/* Belongs to the digest behind it; a replay need not have the same. */
static inline bool log_is_detail(unsigned type)
{
	return type == LOG_PAGES || type == LOG_REGISTERS;
}

/* How many of count[LOG_TYPES] are witnesses. */
static inline uint64_t log_witnesses(const uint64_t *count)
{
	return count[LOG_MARK] + count[LOG_EXCEPTION] + count[LOG_HYPERCALL] + count[LOG_UPCALL] +
		count[LOG_FRAME];
}

/* Same type, position, payload: what a replay compares. */
bool log_record_equal(const struct log_record *a, const struct log_record *b);

struct log_file {
	char path[LOG_TEXT_MAX];
	uint64_t size;
	uint8_t digest[16]; /* XXH3-128, canonical */
};

/* A disk of the guest, as it was shown to it, and where its base was. */
enum { LOG_DISKS = 16, LOG_DISK_NAME = 16 };
struct log_disk {
	char name[LOG_DISK_NAME], target[LOG_TEXT_MAX];
	uint64_t size;      /* bytes of the base */
	uint64_t mtime;     /* its last change, ns since 1970; 0: not known */
	uint32_t sector, physical;
	bool read_only, cdrom, discard;
};

/* Configuration of the run: what a replay needs to build the same guest. */
struct log_meta {
	char name[LOG_NAME_MAX + 1], version[64], vendor[16];
	uint32_t engine, abi, cpu;
	struct log_file kernel, ramdisk; /* ramdisk.path empty: none */
	uint32_t ndisks;
	struct log_disk disk[LOG_DISKS];
	char cmdline[LOG_TEXT_MAX], config[LOG_TEXT_MAX], vifs[LOG_TEXT_MAX];
	uint64_t memory_mb, clock, tsc_mul;
	uint64_t witnesses; /* bit N: records of type N are logged */
	uint64_t interval;  /* instructions between digests; 0: none */
	uint64_t stop_icount; /* 0: none */
	bool is_replay;
	uint8_t replayed[LOG_SESSION];
};

struct log_end {
	uint32_t why; /* enum domain_end; this layer does not know it */
	uint64_t icount, brctr, memory, state;
	uint64_t rip; /* 0: not known */
	uint64_t disks; /* digest of what the guest wrote; 0: it has no disks */
	char text[EVENT_DATA_MAX];
	uint64_t count[LOG_TYPES]; /* records by type */
};

/* ---- writing ---- */

struct log_writer;

struct log_create {
	const struct log_meta *meta;
	uint8_t session[LOG_SESSION]; /* all zero: a random one */
	bool force;   /* overwrite an existing file */
	bool sync;    /* fdatasync() every commit */
};

struct log_writer *log_create(const char *path, const struct log_create *p, struct err *e);

/*
 * Takes a log over whose writer died: checks that it is this session's, cuts
 * a torn tail off, and gives the stream offset to go on from.
 */
struct log_writer *log_append_open(const char *path, const uint8_t session[LOG_SESSION],
	bool sync, uint64_t *stream, struct err *e);

const uint8_t *log_writer_session(const struct log_writer *w);

/* Adds a record to the chunk being collected.  -1: no memory, or nonsense. */
int log_put(struct log_writer *w, const struct log_record *r, struct err *e);

/* Bytes collected and not committed. */
size_t log_pending(const struct log_writer *w);

/*
 * Appends the chunk; `stream` is the ring's offset behind its last record.
 * On failure (a full disk) the file is cut back to what was committed, the
 * chunk is kept, and a later call may succeed.
 */
int log_commit(struct log_writer *w, uint64_t stream, struct err *e);

/* Commits, then writes END (with the records' counts filled in) and INDEX. */
int log_finish(struct log_writer *w, const struct log_end *end, uint64_t stream, struct err *e);

void log_writer_close(struct log_writer *w); /* drops what was not committed */

struct log_writer_stats {
	uint64_t chunks, records, raw_bytes, file_bytes;
};
/* Records put so far; witnesses are all but inputs and digests. */
void log_writer_counts(const struct log_writer *w, uint64_t *inputs, uint64_t *witnesses,
	uint64_t *digests);
void log_writer_stats(const struct log_writer *w, struct log_writer_stats *s);

/* ---- reading ---- */

struct log_reader;

struct log_damage {
	uint64_t offset;     /* where in the file */
	char what[120];
	struct source_pos from, to; /* lost: icount and brctr are set */
	bool to_end;         /* nothing valid follows */
};

/* Damage in the header or META is an error (ST_DAMAGED) here. */
struct log_reader *log_open(const char *path, struct err *e);
void log_reader_close(struct log_reader *r);

unsigned log_version(const struct log_reader *r);
const uint8_t *log_session(const struct log_reader *r);
uint64_t log_created(const struct log_reader *r); /* ns since 1970 */
const struct log_meta *log_meta(const struct log_reader *r);
uint64_t log_size(const struct log_reader *r); /* bytes of the file */

/* What stands at its end; found by the index or by hopping through headers. */
struct log_tail {
	bool complete;       /* there is an END */
	struct log_end end;  /* when complete */
	uint64_t icount, brctr; /* of the last committed record */
	uint64_t chunks;     /* DATA chunks; 0 when the index was used */
	uint64_t torn;       /* bytes of an unfinished chunk behind it */
};
int log_tail(struct log_reader *r, struct log_tail *t, struct err *e);
/* Is there an END in that session's log? */
bool log_finished(const char *path, const uint8_t session[LOG_SESSION]);

/*
 * The next record.  1: *out; 0: no more (log_at_end() tells why); -1: damage,
 * *e says where and what is lost (ST_DAMAGED), and log_damage() has it in
 * numbers.  The call after -1 continues behind the damage.
 */
int log_next(struct log_reader *r, struct log_record *out, struct err *e);
const struct log_damage *log_damage(const struct log_reader *r);
/* After log_next() gave 0: the END, or NULL when the log was cut short. */
const struct log_end *log_at_end(const struct log_reader *r);
/* The chunk of the last record: where in the file, and its number. */
uint64_t log_chunk_offset(const struct log_reader *r);
uint64_t log_chunk_seq(const struct log_reader *r);
/* The whole chunks read so far end here; the next one's number and stream offset. */
uint64_t log_committed(const struct log_reader *r, uint64_t *seq, uint64_t *stream);

/*
 * The next log_next() gives the first record at or behind this count; that is
 * so too when -1 and ST_DAMAGED tell of damage that was passed.
 */
int log_seek_icount(struct log_reader *r, uint64_t icount, struct err *e);
/* The same, but behind the first n records at exactly this icount.  -1 too when there are fewer. */
int log_seek_place(struct log_reader *r, uint64_t icount, uint32_t n, struct err *e);
int log_seek_brctr(struct log_reader *r, uint64_t brctr, struct err *e);

#endif
