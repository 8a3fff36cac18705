/*
 * test_gdb.c - the remote serial protocol, over a target made of tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gdb/packet.h"
#include "gdb/regs.h"
#include "gdb/client.h"

#define MEMORY UINT64_C(0xffff888000001000)
enum { MEMORY_SIZE = 0x4000 };

struct fake {
	struct gdb_regs regs;
	uint8_t memory[MEMORY_SIZE];
	bool writable;
	unsigned points[GDB_POINTS], interruptible, detached;
	enum gdb_move moved;
	uint64_t from, to;
	struct gdb_stop stop;
	char line[256];
	struct wbuf sent;
	struct gdb_client *s;
};

static void get_regs(void *ctx, struct gdb_regs *r)
{
	*r = ((struct fake *)ctx)->regs;
}

static int set_regs(void *ctx, const struct gdb_regs *r, struct ttd_error *e)
{
	struct fake *f = ctx;

	if (!f->writable)
		return err_set(e, TTD_USAGE, "a recording");
	f->regs = *r;
	return 0;
}

static size_t get_memory(void *ctx, uint64_t va, void *p, size_t n)
{
	struct fake *f = ctx;

	if (va - MEMORY >= MEMORY_SIZE)
		return 0;
	if (n > MEMORY_SIZE - (va - MEMORY))
		n = MEMORY_SIZE - (va - MEMORY);
	memcpy(p, f->memory + (va - MEMORY), n);
	return n;
}

static int set_memory(void *ctx, uint64_t va, const void *p, size_t n, struct ttd_error *e)
{
	struct fake *f = ctx;

	if (!f->writable || va - MEMORY >= MEMORY_SIZE || n > MEMORY_SIZE - (va - MEMORY))
		return err_set(e, TTD_USAGE, "a recording");
	memcpy(f->memory + (va - MEMORY), p, n);
	return 0;
}

static int insert(void *ctx, enum gdb_point type, uint64_t addr, uint64_t len)
{
	(void)len;
	((struct fake *)ctx)->points[type]++;
	return addr == 0xbad ? -1 : 0;
}

static void remove_point(void *ctx, enum gdb_point type, uint64_t addr, uint64_t len)
{
	(void)addr;
	(void)len;
	((struct fake *)ctx)->points[type]--;
}

static void move(void *ctx, enum gdb_move how, uint64_t from, uint64_t to, struct gdb_stop *out)
{
	struct fake *f = ctx;

	f->moved = how;
	f->from = from;
	f->to = to;
	*out = f->stop;
}

static void interrupt(void *ctx)
{
	(void)ctx;
}

static void monitor(void *ctx, char *line, gdb_print *print, void *print_ctx)
{
	struct fake *f = ctx;

	snprintf(f->line, sizeof f->line, "%s", line);
	print(print_ctx, "hello\n");
}

static void thread(void *ctx, char *text, size_t n)
{
	(void)ctx;
	snprintf(text, n, "init");
}

static void detached(void *ctx)
{
	((struct fake *)ctx)->detached++;
}

static const struct gdb_target_ops ops = {
	.regs = get_regs, .set_regs = set_regs, .read = get_memory, .write = set_memory,
	.insert = insert, .remove = remove_point, .move = move, .interrupt = interrupt,
	.monitor = monitor, .thread = thread, .detached = detached,
};

static int sent(void *ctx, const void *p, size_t n)
{
	wbuf_put(&((struct fake *)ctx)->sent, p, n);
	return 0;
}

static void interrupts(void *ctx, bool on)
{
	((struct fake *)ctx)->interruptible += on;
}

static int setup(void **state)
{
	struct fake *f = calloc(1, sizeof *f);
	const struct gdb_target t = { &ops, f };
	const struct gdb_io io = { sent, interrupts, f };

	for (unsigned i = 0; i < 16; i++)
		f->regs.gpr[i] = 0x0101010101010101u * i;
	for (unsigned i = 0; i < MEMORY_SIZE; i++)
		f->memory[i] = (uint8_t)i;
	f->s = gdb_client_create(&t, &io);
	assert_non_null(f->s);
	assert_int_equal(gdb_client_feed(f->s, "$QStartNoAckMode#b0+", 20), GDB_GOES_ON);
	f->sent.len = 0;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;

	gdb_client_destroy(f->s);
	assert_int_equal(f->detached, 1);
	wbuf_free(&f->sent);
	free(f);
	return 0;
}

/* Sends a packet; the data of the last packet that comes back. */
static const char *ask_n(struct fake *f, const void *text, size_t n, enum gdb_end end)
{
	static char answer[PACKET_MAX * 2];
	struct wbuf w = {0};
	char *p, *last;
	unsigned sum = 0;

	wbuf_u8(&w, '$');
	wbuf_put(&w, text, n);
	for (size_t i = 1; i < w.len; i++)
		sum += w.p[i];
	wbuf_u8(&w, '#');
	snprintf(answer, sizeof answer, "%02x", sum & 0xff);
	wbuf_put(&w, answer, 2);
	f->sent.len = 0;
	/* In two parts: they may come in any. */
	assert_int_equal(gdb_client_feed(f->s, w.p, 2), GDB_GOES_ON);
	assert_int_equal(gdb_client_feed(f->s, w.p + 2, w.len - 2), end);
	wbuf_free(&w);
	wbuf_u8(&f->sent, 0);
	assert_true(f->sent.len < sizeof answer);
	last = p = (char *)f->sent.p;
	while ((p = strchr(p, '$')) != NULL)
		last = ++p;
	snprintf(answer, sizeof answer, "%s", last);
	p = strrchr(answer, '#');
	if (p != NULL)
		*p = '\0';
	return answer;
}

static const char *ask(struct fake *f, const char *text)
{
	return ask_n(f, text, strlen(text), GDB_GOES_ON);
}

static void registers(void **state)
{
	struct fake *f = *state;
	char all[4096];

	assert_string_equal(ask(f, "p3"), "0202020202020202"); /* rdx */
	assert_string_equal(ask(f, "p1"), "0303030303030303"); /* rbx */
	assert_string_equal(ask(f, "pffff"), "E01");
	assert_string_equal(ask(f, "p"), "E01");
	assert_string_equal(ask(f, "p3x"), "E01");
	assert_int_equal(strlen(ask(f, "g")) % 2, 0);
	assert_string_equal(ask(f, "P3=0000000000000000"), "E.a recording");
	f->writable = true;
	assert_string_equal(ask(f, "P3=1234"), "E01");
	assert_string_equal(ask(f, "P3=00112233445566778"), "E01");
	assert_string_equal(ask(f, "P3=0011223344556677"), "OK");
	assert_int_equal(f->regs.gpr[2], UINT64_C(0x7766554433221100));
	snprintf(all, sizeof all, "G%s", ask(f, "g"));
	f->regs.gpr[2] = 0;
	assert_string_equal(ask(f, all), "OK");
	assert_int_equal(f->regs.gpr[2], UINT64_C(0x7766554433221100));
	all[strlen(all) - 2] = '\0';
	assert_string_equal(ask(f, all), "E01");
}

static void memory(void **state)
{
	struct fake *f = *state;

	assert_string_equal(ask(f, "mffff888000001001,3"), "010203");
	assert_string_equal(ask(f, "mffff888000004ffe,10"), "feff"); /* as much as there is */
	assert_string_equal(ask(f, "m0,4"), "E0e");
	assert_string_equal(ask(f, "mffff888000001001,"), "E01");
	assert_string_equal(ask(f, "mfffffffffffffffff,1"), "E01");
	assert_in_range(strlen(ask(f, "mffff888000001000,ffffffffffff")), 1000, PACKET_MAX);
	assert_string_equal(ask(f, "Mffff888000001001,1:ff"), "E.a recording");
	f->writable = true;
	assert_string_equal(ask(f, "Mffff888000001001,2:ff"), "E01");
	assert_string_equal(ask(f, "Mffff888000001001,2:ffee"), "OK");
	assert_int_equal(f->memory[2], 0xee);
	assert_string_equal(ask_n(f, "Xffff888000001001,2:}\x03z", 23, GDB_GOES_ON), "OK");
	assert_int_equal(f->memory[1], '#');
	assert_string_equal(ask(f, "Xffff888000001001,3:zz"), "E01");
	assert_string_equal(ask(f, "Mffff888000001001,fffffffffffffff:00"), "E01");
}

static void moves(void **state)
{
	struct fake *f = *state;

	assert_string_equal(ask(f, "?"), "T05thread:1;");
	assert_string_equal(ask(f, "vCont?"), "vCont;c;C;s;S;r");
	f->stop = (struct gdb_stop){ .why = GDB_AT_POINT, .point = GDB_SW_BREAK };
	assert_string_equal(ask(f, "vCont;c"), "T05thread:1;"); /* it does not know swbreak */
	ask(f, "qSupported:multiprocess+;swbreak+;hwbreak+");
	assert_string_equal(ask(f, "vCont;c:1"), "T05thread:1;swbreak:;");
	assert_int_equal(f->moved, GDB_CONTINUE);
	f->stop.point = GDB_HW_BREAK;
	assert_string_equal(ask(f, "bc"), "T05thread:1;hwbreak:;");
	assert_int_equal(f->moved, GDB_CONTINUE_BACK);
	f->stop = (struct gdb_stop){ .why = GDB_AT_POINT, .point = GDB_AWATCH, .addr = 0xffff8880 };
	assert_string_equal(ask(f, "vCont;s:1;c"), "T05thread:1;awatch:ffff8880;");
	assert_int_equal(f->moved, GDB_STEP);
	f->stop = (struct gdb_stop){ .why = GDB_AT_BEGIN };
	assert_string_equal(ask(f, "bs"), "T05thread:1;replaylog:begin;");
	f->stop.why = GDB_AT_END;
	assert_string_equal(ask(f, "vCont;r100,1f0:1"), "T05thread:1;replaylog:end;");
	assert_int_equal(f->moved, GDB_RANGE);
	assert_int_equal(f->to, 0x1f0);
	f->stop.why = GDB_INTERRUPTED;
	assert_string_equal(ask(f, "C05"), "T02thread:1;");
	f->stop.why = GDB_EXITED;
	assert_string_equal(ask(f, "s"), "W00");
	assert_string_equal(ask(f, "s1000"), "E01");
	assert_string_equal(ask(f, "vCont;t"), "E01");
	assert_string_equal(ask(f, "vCont;"), "E01");
	assert_string_equal(ask(f, "vCont;r1"), "E01");
	assert_int_equal(f->interruptible, 6);
}

static void points(void **state)
{
	struct fake *f = *state;

	assert_string_equal(ask(f, "Z0,ffffffff81000000,1"), "OK");
	assert_string_equal(ask(f, "Z4,ffffffff81000000,8"), "OK");
	assert_int_equal(f->points[GDB_AWATCH], 1);
	assert_string_equal(ask(f, "z4,ffffffff81000000,8"), "OK");
	assert_int_equal(f->points[GDB_AWATCH], 0);
	assert_string_equal(ask(f, "Z1,bad,1"), "E0c");
	assert_string_equal(ask(f, "Z5,0,1"), "E01");
	assert_string_equal(ask(f, "Z2,0,0"), "E01");
	assert_string_equal(ask(f, "Z2,ffffffffffffffff,2"), "E01");
	assert_string_equal(ask(f, "Z0,1"), "E01");
}

static void queries(void **state)
{
	struct fake *f = *state;
	struct wbuf xml = {0};
	const char *part;
	char packet[80];

	assert_non_null(strstr(ask(f, "qSupported:"), "ReverseContinue+"));
	assert_string_equal(ask(f, "qC"), "QC1");
	assert_string_equal(ask(f, "qCRC:0,1"), "");
	assert_string_equal(ask(f, "qThreadExtraInfo,1"), "696e6974");
	assert_string_equal(ask(f, "vMustReplyEmpty"), "");
	assert_string_equal(ask(f, "qXfer:features:read:other.xml:0,10"), "");
	assert_string_equal(ask(f, "qXfer:features:read:target.xml:fffff,10"), "E01");
	do {
		snprintf(packet, sizeof packet, "qXfer:features:read:target.xml:%zx,123", xml.len);
		part = ask(f, packet);
		for (const char *p = part + 1; *p != '\0'; p++)
			wbuf_u8(&xml, (uint8_t)(*p == '}' ? *++p ^ 0x20 : *p));
	} while (part[0] == 'm');
	wbuf_u8(&xml, 0);
	assert_non_null(strstr((char *)xml.p, "org.gnu.gdb.i386.core"));
	assert_non_null(strstr((char *)xml.p, "</target>"));
	wbuf_free(&xml);
	assert_string_equal(ask(f, "qRcmd,7768656e"), "OK");
	assert_string_equal(f->line, "when");
	assert_non_null(strstr((char *)f->sent.p, "O68656c6c6f0a"));
	assert_string_equal(ask(f, "qRcmd,776"), "E01");
	assert_string_equal(ask(f, "qRcmd,00"), "E01");
}

static void framing(void **state)
{
	struct fake *f = *state;
	char *big = malloc(PACKET_MAX + 100);

	memset(big, 'm', PACKET_MAX + 100);
	assert_string_equal(ask_n(f, big, PACKET_MAX + 100, GDB_GOES_ON), "");
	free(big);
	f->sent.len = 0;
	gdb_client_feed(f->s, "$g#00", 5); /* a wrong sum: not obeyed */
	gdb_client_feed(f->s, "$g#zz", 5);
	gdb_client_feed(f->s, "\x03+-}#", 5);
	assert_int_equal(f->sent.len, 0);
	gdb_client_feed(f->s, "$qRcmd$qC#b4", 12); /* the first lost its end */
	assert_int_equal(f->sent.len, 7);
	assert_string_equal(ask_n(f, "k", 1, GDB_KILLED), "");
}

static void acks(void **state)
{
	struct fake *f = *state;
	const struct gdb_target t = { &ops, f };
	const struct gdb_io io = { sent, NULL, f };
	struct gdb_client *s = gdb_client_create(&t, &io);

	assert_int_equal(gdb_client_feed(s, "$qC#00$qC#b4-+", 14), GDB_GOES_ON);
	wbuf_u8(&f->sent, 0);
	assert_string_equal((char *)f->sent.p, "-+$QC1#c5$QC1#c5");
	assert_int_equal(gdb_client_feed(s, "$D#44", 5), GDB_DETACHED);
	gdb_client_destroy(s);
	f->detached--;
}

/* Another process, another thread, and something after what ends: refused, and it goes on. */
static void strict(void **state)
{
	static const char *const bad[] = { "vKill;", "vKill;2", "vKill;a411", "vKill;1x", "D;2", "Dx",
		"T99", "T", "T0", "T1x", "Hg99", "Hg", "Hx1", "H", "Hg1x", "Hg-2", "vCont;c:99",
		"vCont;s:1;c:99", "vCont;c:", "vCont;c:-2", "vCont;c;", "vCont;c:1x", "vCont;c1",
		"qThreadExtraInfo,99", "qThreadExtraInfo,1x" };
	static const char *const unknown[] = { "kx", "?x", "gx", "bcx", "bsx", "vCont?x",
		"QStartNoAckModex", "qCx", "qfThreadInfox", "vKillx" };
	struct fake *f = *state;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (ask(f, bad[i])[0] != 'E')
			fail_msg("%s was obeyed", bad[i]);
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		if (ask(f, unknown[i])[0] != '\0')
			fail_msg("%s was obeyed", unknown[i]);
	assert_int_equal(f->interruptible, 0);
	assert_string_equal(ask(f, "T1"), "OK");
	assert_string_equal(ask(f, "Hg0"), "OK");
	assert_string_equal(ask(f, "Hc-1"), "OK");
	assert_string_equal(ask(f, "vCont;c:-1"), "T05thread:1;");
	assert_string_equal(ask_n(f, "vKill;a410", 10, GDB_KILLED), "OK");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(registers, setup, teardown),
		cmocka_unit_test_setup_teardown(memory, setup, teardown),
		cmocka_unit_test_setup_teardown(moves, setup, teardown),
		cmocka_unit_test_setup_teardown(points, setup, teardown),
		cmocka_unit_test_setup_teardown(queries, setup, teardown),
		cmocka_unit_test_setup_teardown(framing, setup, teardown),
		cmocka_unit_test_setup_teardown(acks, setup, teardown),
		cmocka_unit_test_setup_teardown(strict, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
