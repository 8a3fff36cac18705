/*
 * fuzz_gdb.c - whatever a client sends, the target is asked only for what makes
 * sense, and every answer is a well-formed packet.
 *
 * The input is lines; each is framed with a right sum, but one that begins with
 * 0xff is sent as it is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gdb/packet.h"
#include "gdb/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void regs(void *ctx, struct gdb_regs *r)
{
	(void)ctx;
	memset(r, 0x5a, sizeof *r);
}

static int set_regs(void *ctx, const struct gdb_regs *r, struct ttd_error *e)
{
	(void)ctx;
	return r->rip == 1 ? err_set(e, TTD_USAGE, "no") : 0;
}

static size_t get_memory(void *ctx, uint64_t va, void *p, size_t n)
{
	(void)ctx;
	n = va < n ? (size_t)va : n;
	memset(p, 0x23, n);
	return n;
}

static int set_memory(void *ctx, uint64_t va, const void *p, size_t n, struct ttd_error *e)
{
	volatile uint8_t sum = 0;

	(void)ctx;
	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)p)[i]);
	return va == 0 ? err_set(e, TTD_USAGE, "no") : 0;
}

static void check_point(enum gdb_point type, uint64_t addr, uint64_t len)
{
	if (type >= GDB_POINTS || len == 0 || addr + (len - 1) < addr)
		abort();
}

static int insert(void *ctx, enum gdb_point type, uint64_t addr, uint64_t len)
{
	(void)ctx;
	check_point(type, addr, len);
	return addr % 7 == 0 ? -1 : 0;
}

static void remove_point(void *ctx, enum gdb_point type, uint64_t addr, uint64_t len)
{
	(void)ctx;
	check_point(type, addr, len);
}

static void move(void *ctx, enum gdb_move how, uint64_t from, uint64_t to, struct gdb_stop *out)
{
	unsigned *moves = ctx;

	if (how > GDB_CONTINUE_BACK || (how != GDB_RANGE && (from | to) != 0))
		abort();
	out->why = (enum gdb_why)(++*moves % 6);
	out->point = (enum gdb_point)(*moves % GDB_POINTS);
	memcpy(out->text, "$#}", 4);
}

static void interrupt(void *ctx)
{
	(void)ctx;
}

static void monitor(void *ctx, char *line, gdb_print *print, void *print_ctx)
{
	(void)ctx;
	print(print_ctx, line);
}

static void thread(void *ctx, char *text, size_t n)
{
	(void)ctx;
	memset(text, 'x', n - 1);
	text[n - 1] = '\0';
}

static void detached(void *ctx)
{
	(void)ctx;
}

static const struct gdb_target_ops ops = {
	.regs = regs, .set_regs = set_regs, .read = get_memory, .write = set_memory,
	.insert = insert, .remove = remove_point, .move = move, .interrupt = interrupt,
	.monitor = monitor, .thread = thread, .detached = detached,
};

/* What is sent must be acks and packets that our own reader takes. */
static int check(void *ctx, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	struct packet *in = ctx;

	for (size_t i = 0; i < n; i++) {
		if (in->state == 0 && p[i] != '+' && p[i] != '-' && p[i] != '$')
			abort();
		if (packet_byte(in, p[i]) == PACKET_BAD || in->too_long)
			abort();
	}
	return 0;
}

static enum gdb_end line(struct gdb_client *s, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	enum gdb_end end;
	uint8_t sum = 0;
	char tail[3];

	if (n > 0 && p[0] == 0xff)
		return gdb_client_feed(s, p + 1, n - 1);
	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + p[i]);
	tail[0] = '#';
	tail[1] = digits[sum >> 4];
	tail[2] = digits[sum & 15];
	end = gdb_client_feed(s, "$", 1);
	if (end == GDB_GOES_ON)
		end = gdb_client_feed(s, p, n);
	return end == GDB_GOES_ON ? gdb_client_feed(s, tail, 3) : end;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct packet in;
	unsigned moves = 0;
	const struct gdb_target t = { &ops, &moves };
	const struct gdb_io io = { check, NULL, &in };
	struct gdb_client *s;
	enum gdb_end end = GDB_GOES_ON;

	memset(&in, 0, sizeof in);
	s = gdb_client_create(&t, &io);
	if (s == NULL)
		return 0;
	while (n > 0 && end == GDB_GOES_ON) {
		const uint8_t *nl = memchr(p, '\n', n);
		size_t k = nl == NULL ? n : (size_t)(nl - p);

		end = line(s, p, k);
		n -= nl == NULL ? k : k + 1;
		p += nl == NULL ? k : k + 1;
	}
	gdb_client_destroy(s);
	return 0;
}
