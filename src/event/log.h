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

enum { LOG_VERSION = 3, LOG_EXITS_SINCE = 3 /* LOG_EXITS */ };
enum { RUN_ID = 16, LOG_SEAL = 32, LOG_SEED = 16, LOG_NAME_MAX = 64, LOG_RESTORED = 64, LOG_TEXT_MAX = 4096 };

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
	LOG_EXITS,     /* several witnesses: error is how many, value their digest; at the last one */
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
	uint32_t error;   /* exception; frame: its length; exits: how many */
	struct source_pos pos; /* rcx and tsc: input, mark and digest only */
	uint64_t value;   /* of an input; cr2; memory digest; digest of a frame, of exits */
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
/* Those of the fold, which is not empty. */
static inline void log_record_exits(struct log_record *r, const struct fold *f)
{
	log_record_clear(r);
	r->type = LOG_EXITS;
	r->error = (uint32_t)f->n;
	r->value = fold_digest(f);
	r->pos = (struct source_pos){ .icount = f->icount, .brctr = f->brctr, .rip = f->rip };
}

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

/* Belongs to the digest after it; a replay need not have the same. */
static inline bool log_is_detail(unsigned type)
{
	return type == LOG_PAGES || type == LOG_REGISTERS;
}

/* One witness, with the registers. */
static inline bool log_has_check(unsigned type)
{
	return type >= LOG_EXCEPTION && type <= LOG_FRAME;
}

/* How many of count[LOG_TYPES] are witnesses. */
static inline uint64_t log_witnesses(const uint64_t *count)
{
	return count[LOG_MARK] + count[LOG_EXCEPTION] + count[LOG_HYPERCALL] + count[LOG_UPCALL] +
		count[LOG_FRAME] + count[LOG_EXITS];
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
	uint64_t maxmem_mb; /* 0: memory_mb */
	uint64_t strict_mmu; /* 0 or 1 */
	uint64_t isa;       /* what the guest's CPU has beyond x86-64-v2: cpu/isa.h */
	uint8_t seed[LOG_SEED]; /* of its rdrand and rdseed */
	char restored[LOG_RESTORED]; /* `kernel` is a saved guest, and of which host; empty: it boots */
	uint64_t witnesses; /* bit N: records of type N are logged */
	uint64_t interval;  /* instructions between digests; 0: none */
	uint64_t stop_icount; /* 0: none */
	bool is_replay;
	uint8_t replayed[RUN_ID];
	uint8_t seal[LOG_SEAL]; /* tells whether this user made it (trace/origin.h); zeros: none */
};

/* What is wrong with it, as "the name has a '/' in it"; NULL: nothing.  No log is written or
 * opened whose configuration is wrong. */
const char *log_meta_wrong(const struct log_meta *m);

/* All of it but the seal, the same bytes for the same configuration. */
struct wbuf;
void log_meta_bytes(struct wbuf *w, const struct log_meta *m);

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
	uint8_t run_id[RUN_ID]; /* all zero: a random one */
	bool force;   /* overwrite an existing file */
	bool sync;    /* fdatasync() every commit */
	uint64_t limit; /* as for log_set_limit() */
};

/* Why a recording should come to its end before anything fails. */
enum log_limit {
	LOG_NO_LIMIT = 0,
	LOG_BIG,  /* the log has as many bytes as it may */
	LOG_ROOM, /* there is little room left where it is */
	LOG_GONE, /* it was removed, or something else has its name */
};
#define LOG_UNLIMITED UINT64_MAX

struct log_writer *log_create(const char *path, const struct log_create *p, struct ttd_error *e);

/*
 * Takes a log over whose writer died: checks that it is this run's, cuts
 * a torn tail off, and gives the stream offset to go on from.
 */
struct log_writer *log_append_open(const char *path, const uint8_t run_id[RUN_ID],
	bool sync, uint64_t *stream, struct ttd_error *e);

const uint8_t *log_writer_run_id(const struct log_writer *w);

/*
 * How many bytes it may have; 0: any number, as long as room for others is left where it is
 * (log_reserve()), which else counts too; LOG_UNLIMITED: until it cannot be written.
 */
void log_set_limit(struct log_writer *w, uint64_t bytes);
/* Looks now and then, when it is called often.  Says each reason but once. */
enum log_limit log_look(struct log_writer *w);
/* What the user is told. */
const char *log_limit_text(enum log_limit why);

/* Adds a record to the chunk being collected.  -1: no memory, or nonsense. */
int log_put(struct log_writer *w, const struct log_record *r, struct ttd_error *e);

/* Bytes collected and not committed. */
size_t log_pending(const struct log_writer *w);

/*
 * Appends the chunk; `stream` is the ring's offset after its last record.
 * On failure (a full disk) the file is cut back to what was committed, the
 * chunk is kept, and a later call may succeed.
 */
int log_commit(struct log_writer *w, uint64_t stream, struct ttd_error *e);

/* Commits, then writes END (with the records' counts filled in) and INDEX. */
int log_finish(struct log_writer *w, const struct log_end *end, uint64_t stream,
	struct ttd_error *e);

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

/* Damage in the header or META is an error (TTD_DAMAGED) here. */
struct log_reader *log_open(const char *path, struct ttd_error *e);
void log_reader_close(struct log_reader *r);

/* A log that is no file of its own, in a packed trace say.  `name` is for messages. */
struct log_bytes {
	void *ctx;
	uint64_t size;
	int (*read)(void *ctx, uint64_t offset, void *p, size_t n); /* all of it, or -1 */
};
struct log_reader *log_open_bytes(const char *name, const struct log_bytes *b,
	struct ttd_error *e);

unsigned log_version(const struct log_reader *r);
const uint8_t *log_run_id(const struct log_reader *r);
uint64_t log_created(const struct log_reader *r); /* ns since 1970 */
const struct log_meta *log_meta(const struct log_reader *r);
uint64_t log_size(const struct log_reader *r); /* bytes of the file */

/* What stands at its end; found by the index or by hopping through headers. */
struct log_tail {
	bool complete;       /* there is an END */
	struct log_end end;  /* when complete */
	uint64_t icount, brctr; /* of the last committed record */
	uint64_t chunks;     /* DATA chunks; 0 when the index was used */
	uint64_t torn;       /* bytes of an unfinished chunk after it */
};
int log_tail(struct log_reader *r, struct log_tail *t, struct ttd_error *e);
/* Is there an END in that run's log? */
bool log_finished(const char *path, const uint8_t run_id[RUN_ID]);

/*
 * The next record.  1: *out; 0: no more (log_at_end() tells why); -1: damage,
 * *e says where and what is lost (TTD_DAMAGED), and log_damage() has it in
 * numbers.  The call after -1 continues after the damage.
 */
int log_next(struct log_reader *r, struct log_record *out, struct ttd_error *e);
const struct log_damage *log_damage(const struct log_reader *r);
/* After log_next() gave 0: the END, or NULL when the log was cut short. */
const struct log_end *log_at_end(const struct log_reader *r);
/* The chunk of the last record: where in the file, and its number. */
uint64_t log_chunk_offset(const struct log_reader *r);
uint64_t log_chunk_seq(const struct log_reader *r);
/* The whole chunks read so far end here; the next one's number and stream offset. */
uint64_t log_committed(const struct log_reader *r, uint64_t *seq, uint64_t *stream);

/*
 * The next log_next() gives the first record at or after this count; that is
 * so too when -1 and TTD_DAMAGED tell of damage that was passed.
 */
int log_seek_icount(struct log_reader *r, uint64_t icount, struct ttd_error *e);
/* The same, but after the first n records at exactly this icount.  -1 too when there are fewer. */
int log_seek_record(struct log_reader *r, uint64_t icount, uint32_t n, struct ttd_error *e);
int log_seek_brctr(struct log_reader *r, uint64_t brctr, struct ttd_error *e);

#endif
