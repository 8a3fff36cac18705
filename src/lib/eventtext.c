/*
 * eventtext.c - one line for one event.
 *
 * Two dumps are compared with vimdiff or diff, so the line depends on nothing
 * but the event, and what tells two runs apart soonest stands first.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "event/detail.h"
#include "lib/symbols.h"

enum { LONG_SHOWN = 64 };

struct line {
	char *text;
	size_t n, at;
};

__attribute__((format(printf, 2, 3)))
static void put(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int k;

	if (l->at >= l->n)
		return;
	va_start(ap, fmt);
	k = vsnprintf(l->text + l->at, l->n - l->at, fmt, ap);
	va_end(ap);
	if (k > 0)
		l->at += (size_t)k;
}

/* Valid in C and in JSON; bytes from 0x80 up stand for themselves, as Latin-1. */
static void put_string(struct line *l, const unsigned char *p, size_t n)
{
	put(l, "\"");
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '"' || p[i] == '\\')
			put(l, "\\%c", p[i]);
		else if (p[i] == '\n' || p[i] == '\r' || p[i] == '\t')
			put(l, "\\%c", p[i] == '\n' ? 'n' : p[i] == '\r' ? 'r' : 't');
		else if (p[i] < ' ' || p[i] >= 0x7f)
			put(l, "\\u%04x", p[i]);
		else
			put(l, "%c", p[i]);
	}
	put(l, "\"");
}

/* Of long ones the beginning: a frame's headers. */
static size_t shown(const struct ttd_event *ev)
{
	return ev->len > sizeof ev->data ? LONG_SHOWN : ev->len;
}

/* "0x18123=3fa1", or with how many frames: "0x18120+8=3fa1". */
static void put_pages(struct line *l, const struct ttd_event *ev)
{
	struct detail_page p[DETAIL_RECORD];
	uint8_t shift;
	uint32_t n;

	detail_decode(ev->data, ev->len, &shift, p, &n);
	for (uint32_t i = 0; i < n; i++) {
		put(l, "%s0x%" PRIx64, i != 0 ? " " : "", p[i].group << shift);
		if (shift != 0)
			put(l, "+%" PRIu64, UINT64_C(1) << shift);
		put(l, "=%04x", p[i].check);
	}
}

static void put_detail(struct line *l, const struct ttd_event *ev, bool as_json)
{
	if (ev->type == TTD_EVENT_PAGES) {
		put(l, as_json ? ",\"pages\":\"" : ", pages:");
		put_pages(l, ev);
		put(l, as_json ? "\"" : "");
		return;
	}
	if (ev->len != DETAIL_REGISTERS)
		return;
	put(l, as_json ? ",\"registers\":{" : "");
	for (unsigned i = 0; i < DETAIL_FIELDS; i++) {
		const struct detail_field *f = &detail_fields[i];

		if (as_json)
			put(l, "%s\"%s\":\"0x%" PRIx64 "\"", i != 0 ? "," : "", f->name,
				detail_value(ev->data, f));
		else
			put(l, ", %s:0x%" PRIx64, f->name, detail_value(ev->data, f));
	}
	put(l, as_json ? "}" : "");
}

static void details(struct line *l, const struct ttd_event *ev)
{
	if (ev->has & TTD_HAS_CHECK)
		put(l, ", check:0x%02x", ev->check);
	if (ev->has & TTD_HAS_ERROR)
		put(l, ", error:0x%x", ev->error);
	if (ev->has & TTD_HAS_CR2)
		put(l, ", cr2:0x%" PRIx64, ev->value);
	if (ev->has & TTD_HAS_MULTICALL)
		put(l, ", multicall");
	if (ev->has & TTD_HAS_IDLE)
		put(l, ", idle");
	if (ev->has & TTD_HAS_DOOR)
		put(l, ", rcx:0x%" PRIx64 ", tsc:%" PRIu64, ev->rcx, ev->tsc);
	if (ev->has & TTD_HAS_VALUE)
		put(l, ", value:%" PRIu64, ev->value);
	if (ev->has & TTD_HAS_DIGEST)
		put(l, ", memory:%016" PRIx64 ", state:%016" PRIx64, ev->memory, ev->state);
	if (ev->has & TTD_HAS_FRAME)
		put(l, ", length:%u, digest:%08" PRIx64, ev->error, ev->value);
	if (ev->has & TTD_HAS_DATA) {
		if (ev->len > sizeof ev->data)
			put(l, ", length:%zu", ev->len);
		put(l, ", data:");
		put_string(l, ev->data, shown(ev));
	}
	if (ev->has & TTD_HAS_DETAIL)
		put_detail(l, ev, false);
}

static void plain(struct line *l, const struct ttd_event *ev, const struct ttd_symbols *s,
	unsigned how)
{
	char at[600];

	put(l, "brctr:%" PRIu64, ev->brctr);
	if (ev->has & TTD_HAS_IP)
		put(l, ", ip:0x%" PRIx64, ev->rip);
	put(l, ", icount:%" PRIu64, ev->icount);
	if (how & TTD_TEXT_NAMES)
		put(l, ", %s(%u),info:%s(%u)", ev->name, ev->number, ev->info, ev->code);
	else
		put(l, ", event:%u,info:%u", ev->number, ev->code);
	if (how & TTD_TEXT_VERBOSE)
		details(l, ev);
	if (how & TTD_TEXT_NAMES && ev->has & TTD_HAS_IP) {
		symbols_text(s, ev->rip, at, sizeof at);
		put(l, ", at:%s", at);
	}
}

/* Numbers above 2^53 would be rounded by many readers: addresses and digests are texts. */
static void json(struct line *l, const struct ttd_event *ev, const struct ttd_symbols *s)
{
	char at[600];

	put(l, "{\"type\":\"%s\",\"event\":\"%s\",\"number\":%u,\"info\":\"%s\",\"code\":%u,"
		"\"icount\":%" PRIu64 ",\"brctr\":%" PRIu64, ttd_event_type_name(ev->type), ev->name,
		ev->number, ev->info, ev->code, ev->icount, ev->brctr);
	if (ev->has & TTD_HAS_IP) {
		symbols_text(s, ev->rip, at, sizeof at);
		put(l, ",\"ip\":\"0x%" PRIx64 "\",\"at\":", ev->rip);
		put_string(l, (const unsigned char *)at, strlen(at));
	}
	if (ev->has & TTD_HAS_CHECK)
		put(l, ",\"check\":%u", ev->check);
	if (ev->has & TTD_HAS_ERROR)
		put(l, ",\"error\":%u", ev->error);
	if (ev->has & TTD_HAS_CR2)
		put(l, ",\"cr2\":\"0x%" PRIx64 "\"", ev->value);
	if (ev->has & TTD_HAS_MULTICALL)
		put(l, ",\"multicall\":true");
	if (ev->has & TTD_HAS_IDLE)
		put(l, ",\"idle\":true");
	if (ev->has & TTD_HAS_DOOR)
		put(l, ",\"rcx\":\"0x%" PRIx64 "\",\"tsc\":%" PRIu64, ev->rcx, ev->tsc);
	if (ev->has & TTD_HAS_VALUE)
		put(l, ",\"value\":%" PRIu64, ev->value);
	if (ev->has & TTD_HAS_DIGEST)
		put(l, ",\"memory\":\"%016" PRIx64 "\",\"state\":\"%016" PRIx64 "\"", ev->memory,
			ev->state);
	if (ev->has & TTD_HAS_FRAME)
		put(l, ",\"length\":%u,\"digest\":\"%08" PRIx64 "\"", ev->error, ev->value);
	if (ev->has & TTD_HAS_DATA) {
		if (ev->len > sizeof ev->data)
			put(l, ",\"length\":%zu", ev->len);
		put(l, ",\"data\":");
		put_string(l, ev->data, shown(ev));
	}
	if (ev->has & TTD_HAS_DETAIL)
		put_detail(l, ev, true);
	put(l, "}");
}

void ttd_event_text(const struct ttd_event *ev, const struct ttd_symbols *s, unsigned how,
	char text[TTD_TEXT_MAX])
{
	struct line l = { .text = text, .n = TTD_TEXT_MAX };

	text[0] = '\0';
	if (how & TTD_TEXT_JSON)
		json(&l, ev, s);
	else
		plain(&l, ev, s, how);
}
