/*
 * kallsyms_model.h - a kernel's table of symbols, made by hand: SYMS names, the
 * first PERCPU of which are offsets into the per-cpu area.
 */
#ifndef TTD_TEST_KALLSYMS_MODEL_H
#define TTD_TEST_KALLSYMS_MODEL_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "util/bytes.h"

enum { SYMS = 1500, PERCPU = 10, FIRST = 0x1000 };
#define BASE UINT64_C(0xffffffff81000000)

static void align(struct wbuf *w, size_t n)
{
	while (w->len % n != 0)
		wbuf_u8(w, 0);
}

static uint64_t addr_of(unsigned i)
{
	return i < PERCPU ? i * 64 : BASE + (i - PERCPU) * 0x40;
}

static void name_of(unsigned i, char *name)
{
	sprintf(name, "%c%s_%u", i % 3 ? 't' : 'D', i % 7 ? "do_sys_thing" : "x", i);
}

/* "do_" and "sys_" are tokens 1 and 2; all other characters stand for themselves. */
static void put_name(struct wbuf *w, const char *name)
{
	uint8_t out[64];
	size_t n = 0;

	while (*name != '\0') {
		if (strncmp(name, "do_", 3) == 0) {
			out[n++] = 1;
			name += 3;
		} else if (strncmp(name, "sys_", 4) == 0) {
			out[n++] = 2;
			name += 4;
		} else {
			out[n++] = (uint8_t)*name++;
		}
	}
	wbuf_u8(w, (uint8_t)n);
	wbuf_put(w, out, n);
}

static void put_offsets(struct wbuf *w)
{
	align(w, 8);
	for (unsigned i = 0; i < SYMS; i++)
		wbuf_u32(w, i < PERCPU ? (uint32_t)addr_of(i)
			: (uint32_t)(BASE - 1 - addr_of(i)));
	align(w, 8);
	wbuf_u64(w, BASE);
}

/* The tables as Linux 6.1 lays them out, or as 6.4 does. */
static void kallsyms_model(struct wbuf *w, bool late)
{
	static const char *const extra[] = { "unused", "do_", "sys_" };
	uint32_t marker[SYMS / 256 + 1];
	uint16_t index[256];
	size_t names, table;
	char name[64];

	for (unsigned i = 0; i < FIRST; i++)
		wbuf_u8(w, (uint8_t)(i * 37));
	if (!late)
		put_offsets(w);
	align(w, 8);
	wbuf_u32(w, SYMS);
	align(w, 8);
	names = w->len;
	for (unsigned i = 0; i < SYMS; i++) {
		if (i % 256 == 0)
			marker[i / 256] = (uint32_t)(w->len - names);
		name_of(i, name);
		put_name(w, name);
	}
	align(w, 8);
	for (unsigned i = 0; i < SYMS / 256 + 1; i++)
		wbuf_u32(w, marker[i]);
	align(w, 8);
	table = w->len;
	for (unsigned i = 0; i < 256; i++) {
		char self[2] = { (char)i, 0 };
		const char *token = i < 3 ? extra[i] : i < ' ' || i > '~' ? "?" : self;

		index[i] = (uint16_t)(w->len - table);
		wbuf_put(w, token, strlen(token) + 1);
	}
	align(w, 8);
	for (unsigned i = 0; i < 256; i++)
		wbuf_u16(w, index[i]);
	if (late)
		put_offsets(w);
	for (unsigned i = 0; i < 100; i++)
		wbuf_u8(w, 0x5a);
}

#endif
