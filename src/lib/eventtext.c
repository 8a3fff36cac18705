/*
 * eventtext.c - one line for one event.
 *
 * Two dumps are compared with vimdiff or diff, so the line depends on nothing
 * but the event, and what tells two runs apart soonest stands first.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/detail.h"
#include "lib/symbols.h"
#include "util/json.h"
#include "util/text.h"

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

/* Quoted as in C and in JSON; bytes from 0x80 up stand for themselves, as Latin-1. */
static void put_string(struct line *l, const unsigned char *p, size_t n)
{
	struct json j = {.text = l->text, .size = l->n - 1, .at = l->at};

	if (l->at >= l->n)
		return;
	json_latin1(&j, NULL, p, n);
	l->at = j.at;
	l->text[l->at] = '\0';
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

static void put_detail(struct line *l, const struct ttd_event *ev)
{
	if (ev->type == TTD_EVENT_PAGES) {
		put(l, ", pages:");
		put_pages(l, ev);
		return;
	}
	for (unsigned i = 0; ev->len == DETAIL_REGISTERS && i < DETAIL_FIELDS; i++)
		put(l, ", %s:0x%" PRIx64, detail_fields[i].name,
			detail_value(ev->data, &detail_fields[i]));
}

static void json_detail(struct json *j, const struct ttd_event *ev)
{
	if (ev->type == TTD_EVENT_PAGES) {
		struct line pages = {.text = malloc(TTD_TEXT_MAX), .n = TTD_TEXT_MAX};

		if (pages.text == NULL)
			return;
		pages.text[0] = '\0';
		put_pages(&pages, ev);
		json_text(j, "pages", pages.text);
		free(pages.text);
		return;
	}
	if (ev->len != DETAIL_REGISTERS)
		return;
	json_open(j, "registers", '{');
	for (unsigned i = 0; i < DETAIL_FIELDS; i++)
		json_hex(j, detail_fields[i].name, detail_value(ev->data, &detail_fields[i]));
	json_close(j, '}');
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
	if (ev->has & TTD_HAS_EXITS)
		put(l, ", exits:%u, digest:%08" PRIx64, ev->error, ev->value);
	if (ev->has & TTD_HAS_DATA) {
		if (ev->len > sizeof ev->data)
			put(l, ", length:%zu", ev->len);
		put(l, ", data:");
		put_string(l, ev->data, shown(ev));
	}
	if (ev->has & TTD_HAS_DETAIL)
		put_detail(l, ev);
}

static void plain(struct line *l, const struct ttd_event *ev, const struct ttd_symbols *s,
	unsigned how)
{
	char at[600], shown_at[TEXT_ROOM(sizeof at)];

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
		put(l, ", at:%s", text_shown(shown_at, sizeof shown_at, at));
	}
}

/* Of what only some events have. */
static void json_rest(struct json *j, const struct ttd_event *ev)
{
	if (ev->has & TTD_HAS_DOOR) {
		json_hex(j, "rcx", ev->rcx);
		json_unsigned(j, "tsc", ev->tsc);
	}
	if (ev->has & TTD_HAS_VALUE)
		json_unsigned(j, "value", ev->value);
	if (ev->has & TTD_HAS_DIGEST) {
		json_digest(j, "memory", ev->memory);
		json_digest(j, "state", ev->state);
	}
	if (ev->has & (TTD_HAS_FRAME | TTD_HAS_EXITS)) {
		char digest[20];

		snprintf(digest, sizeof digest, "%08" PRIx64, ev->value);
		json_unsigned(j, ev->has & TTD_HAS_FRAME ? "length" : "exits", ev->error);
		json_text(j, "digest", digest);
	}
	if (ev->has & TTD_HAS_DATA) {
		if (ev->len > sizeof ev->data)
			json_unsigned(j, "length", ev->len);
		json_latin1(j, "data", ev->data, shown(ev));
	}
	if (ev->has & TTD_HAS_DETAIL)
		json_detail(j, ev);
}

/* Numbers above 2^53 would be rounded by many readers: addresses and digests are texts. */
static void json(struct json *j, const struct ttd_event *ev, const struct ttd_symbols *s)
{
	char at[600];

	json_open(j, NULL, '{');
	json_text(j, "type", ttd_event_type_name(ev->type));
	json_text(j, "event", ev->name);
	json_unsigned(j, "number", ev->number);
	json_text(j, "info", ev->info);
	json_unsigned(j, "code", ev->code);
	json_unsigned(j, "icount", ev->icount);
	json_unsigned(j, "brctr", ev->brctr);
	if (ev->has & TTD_HAS_IP) {
		symbols_text(s, ev->rip, at, sizeof at);
		json_hex(j, "ip", ev->rip);
		json_text(j, "at", at);
	}
	if (ev->has & TTD_HAS_CHECK)
		json_unsigned(j, "check", ev->check);
	if (ev->has & TTD_HAS_ERROR)
		json_unsigned(j, "error", ev->error);
	if (ev->has & TTD_HAS_CR2)
		json_hex(j, "cr2", ev->value);
	if (ev->has & TTD_HAS_MULTICALL)
		json_bool(j, "multicall", true);
	if (ev->has & TTD_HAS_IDLE)
		json_bool(j, "idle", true);
	json_rest(j, ev);
	json_close(j, '}');
}

void ttd_event_text(const struct ttd_event *ev, const struct ttd_symbols *s, unsigned how,
	char text[TTD_TEXT_MAX])
{
	struct line l = { .text = text, .n = TTD_TEXT_MAX };
	struct json j = { .text = text, .size = TTD_TEXT_MAX - 1 };

	text[0] = '\0';
	if (how & TTD_TEXT_JSON) {
		json(&j, ev, s);
		text[j.at] = '\0';
	} else {
		plain(&l, ev, s, how);
	}
}
