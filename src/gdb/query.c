/*
 * query.c - the q, Q and v packets that ask and set, not move.
 */
#include "gdb/internal.h"

#include <string.h>

#include "gdb/regs.h"

static void q_supported(struct gdb_client *s, struct args a)
{
	s->reason = strstr(a.p, "swbreak+") != NULL && strstr(a.p, "hwbreak+") != NULL;
	say(s, "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;ReverseStep+;"
		"ReverseContinue+;swbreak+;hwbreak+;vContSupported+;error-message+", PACKET_MAX);
}

static void q_no_acks(struct gdb_client *s, struct args a)
{
	(void)a;
	s->acks = false;
	say(s, "OK");
}

/* Part [off, off + len) of a text: m, and l for the last. */
static void part(struct gdb_client *s, const struct wbuf *text, struct args a)
{
	uint64_t off, len;

	if (!args_number(&a, &off) || !args_skip(&a, ',') || !args_number(&a, &len) ||
	    a.p != a.end || off > text->len) {
		say_code(s, CODE_BAD);
		return;
	}
	if (len > PACKET_MAX / 2)
		len = PACKET_MAX / 2; /* escapes may double it */
	if (len > text->len - off)
		len = text->len - off;
	say(s, off + len == text->len ? "l" : "m");
	wbuf_put(&s->out, text->p + off, (size_t)len);
}

static void q_features(struct gdb_client *s, struct args a)
{
	struct wbuf xml = {0};

	regs_xml(&xml);
	if (xml.bad)
		say_code(s, CODE_NO_ROOM);
	else
		part(s, &xml, a);
	wbuf_free(&xml);
}

static void q_thread(struct gdb_client *s, struct args a)
{
	(void)a;
	say(s, "QC1");
}

static void q_threads(struct gdb_client *s, struct args a)
{
	(void)a;
	say(s, "m1");
}

static void q_no_more_threads(struct gdb_client *s, struct args a)
{
	(void)a;
	say(s, "l");
}

static void q_thread_info(struct gdb_client *s, struct args a)
{
	char text[200] = "";

	if (!args_thread(&a) || a.p != a.end) {
		say_code(s, CODE_BAD);
		return;
	}
	s->target.ops->thread(s->target.ctx, text, sizeof text);
	hex_put(&s->out, text, strlen(text));
}

static void q_attached(struct gdb_client *s, struct args a)
{
	(void)a;
	say(s, "1");
}

static void q_ok(struct gdb_client *s, struct args a)
{
	(void)a;
	say(s, "OK");
}

/* What a monitor command prints: console output before the answer proper. */
static void print(void *ctx, const char *text)
{
	struct gdb_client *s = ctx;
	size_t left = strlen(text);

	while (left > 0 && s->end == GDB_GOES_ON) {
		size_t n = left < PACKET_MAX / 4 ? left : PACKET_MAX / 4;

		s->out.len = 0;
		say(s, "O");
		hex_put(&s->out, text, n);
		answer(s);
		text += n;
		left -= n;
	}
}

static void q_monitor(struct gdb_client *s, struct args a)
{
	size_t n = (size_t)(a.end - a.p) / 2;
	char line[1024];

	if (n >= sizeof line || hex_bytes(a.p, line, n) != 0 || memchr(line, '\0', n) != NULL) {
		say_code(s, CODE_BAD);
		return;
	}
	line[n] = '\0';
	if (s->io.interrupts != NULL)
		s->io.interrupts(s->io.ctx, true);
	s->target.ops->monitor(s->target.ctx, line, print, s);
	if (s->io.interrupts != NULL)
		s->io.interrupts(s->io.ctx, false);
	s->out.len = 0;
	say(s, "OK");
}

const struct handler queries[] = {
	{ "qSupported", q_supported, false }, { "QStartNoAckMode", q_no_acks, true },
	{ "qXfer:features:read:target.xml:", q_features, false },
	{ "qC", q_thread, true }, { "qfThreadInfo", q_threads, true },
	{ "qsThreadInfo", q_no_more_threads, true },
	{ "qThreadExtraInfo,", q_thread_info, false }, { "qAttached", q_attached, false },
	{ "qSymbol:", q_ok, false }, { "qRcmd,", q_monitor, false },
	{ NULL, NULL, false }
};
