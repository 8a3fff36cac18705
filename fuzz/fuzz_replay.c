/*
 * fuzz_replay.c - a log that is well made and says something else: the hostile guest's
 * golden tour, with records changed, left out, doubled and put in as the input says, is
 * replayed from its start to where it leaves the recording.
 *
 * Input: times { u16 which record; u8 what; u8 value }, and bytes for inputs that are put in.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/cpu.h"
#include "event/log.h"
#include "lib/vm.h"
#include "util/bytes.h"
#include "xen/domain.h"
#include "fuzz/folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { RECORDS = 400 /* of its beginning */, CHANGES = 64 };

static struct log_record rec[RECORDS];
static size_t nrec;
static struct log_meta meta;
static char dir[] = "/tmp/ttd-fuzz-replay.XXXXXX", path[60];

static void start(void)
{
	struct ttd_error e = TTD_ERROR_INIT;
	struct log_reader *r = log_open("test/golden/v2-e3a3-tour/ttd.log.tour", &e);

	if (r == NULL) {
		fprintf(stderr, "fuzz_replay: %s\n", e.text);
		exit(1);
	}
	fuzz_folder(dir);
	snprintf(path, sizeof path, "%s/ttd.log.tour", dir);
	/* All names for logs of replays are taken: writing one, and why it differs, is slow. */
	for (int i = 0; i < 100; i++) {
		char own[80];
		FILE *f;

		snprintf(own, sizeof own, "%s.replay.%d", path, i);
		f = fopen(own, "w");
		if (f != NULL)
			fclose(f);
	}
	meta = *log_meta(r);
	meta.engine = ENGINE_VERSION;
	meta.abi = ABI_VERSION;
	while (nrec < RECORDS && log_next(r, &rec[nrec], &e) == 1) {
		rec[nrec].bytes = NULL; /* none of its bytes are long */
		nrec++;
	}
	log_reader_close(r);
}

static void change(struct log_record *r, uint8_t what, uint8_t value)
{
	switch (what % 12) {
	case 0: r->value += (int8_t)value; break;
	case 1: r->value = UINT64_C(1) << (value & 63); break;
	case 2: r->code = value; break;
	case 3: r->pos.tsc += (uint64_t)(int64_t)(int8_t)value << 20; break;
	case 4: r->pos.icount += value; break;
	case 5: r->pos.rip ^= UINT64_C(1) << (value & 63); break;
	case 6: r->flags ^= (uint8_t)(1 << (value & 7)); break;
	case 7: r->data[value % sizeof r->data] ^= what; break;
	case 8: r->len = value; break;
	case 9: r->pos.brctr += (uint64_t)(int64_t)(int8_t)value; break;
	case 10: r->value2 ^= value; break;
	default: r->error = value; break;
	}
}

/* An event of a kind and with bytes as the input has them, where the record before it is. */
static void put_in(struct log_record *r, uint8_t kind, struct rbuf *in)
{
	size_t n = rbuf_u8(in);

	r->type = LOG_INPUT;
	r->code = kind % 10;
	r->value = rbuf_u8(in);
	r->flags = 0;
	if (n > in->len - in->pos)
		n = in->len - in->pos;
	r->len = (uint32_t)(n < sizeof r->data ? n : sizeof r->data);
	memset(r->data, 0, sizeof r->data);
	rbuf_get(in, r->data, r->len);
}

static void write_log(const uint8_t *p, size_t n)
{
	struct log_create c = {.meta = &meta, .force = true};
	struct ttd_error e = TTD_ERROR_INIT;
	struct log_writer *w = log_create(path, &c, &e);
	size_t changes = n / 4 < CHANGES ? n / 4 : CHANGES, at = 0;
	struct rbuf in = {.p = p + 4 * changes, .len = n - 4 * changes};

	if (w == NULL)
		abort();
	for (size_t i = 0; i < nrec; i++) {
		struct log_record r = rec[i], more = rec[i];
		bool left_out = false, extra = false;

		/* Their places go up, so that one pass finds them. */
		while (at < changes && get16(p + 4 * at) % nrec <= i) {
			uint8_t what = p[4 * at + 2], value = p[4 * at + 3];

			if (what >= 0xf0)
				left_out = true;
			else if (what >= 0xc0) {
				put_in(&more, value, &in);
				extra = true;
			} else if (what >= 0xb0)
				extra = true; /* the same again */
			else
				change(&r, what, value);
			at++;
		}
		/* What no log can hold is not put into one. */
		if (!left_out)
			log_put(w, &r, &e);
		if (extra)
			log_put(w, &more, &e);
	}
	log_commit(w, nrec, &e);
	log_writer_close(w);
}

static void forget(void *ctx, const char *what, const char *text)
{
	(void)ctx;
	(void)what;
	(void)text;
}

static void console(void *ctx, const void *p, size_t n)
{
	(void)ctx;
	(void)p;
	(void)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct ttd_replay rep = TTD_REPLAY_INIT;
	struct ttd_error te = TTD_ERROR_INIT;
	struct ttd_result res;
	struct ttd_vm *vm;

	if (nrec == 0)
		start();
	write_log(p, n);
	rep.trace = path;
	rep.files.kernel = "test/golden/tour";
	rep.console_out = console;
	vm = ttd_vm_create_replay(&rep, &te);
	if (vm != NULL) {
		ttd_vm_run(vm);
		ttd_vm_finish(vm, &res);
		if (res.outcome == TTD_REPLAY_DIVERGED && n % 64 == 1)
			ttd_vm_divergence(vm, forget, NULL);
	}
	ttd_vm_destroy(vm);
	return 0;
}
