/*
 * fields.c - what a command prints of a structure; see fields.h.
 */
#include "cmd/ttd/fields.h"

#include <inttypes.h>
#include <string.h>

#include "util/text.h"

void fields_text(struct fields *f, const char *name, const char *s)
{
	if (f->json) {
		json_text(&f->j, name, s);
		return;
	}
	fprintf(f->j.to, "%-*s ", f->width, name);
	text_print(f->j.to, s, strlen(s));
	putc('\n', f->j.to);
}

void fields_number(struct fields *f, const char *name, uint64_t n)
{
	if (f->json)
		json_unsigned(&f->j, name, n);
	else
		fprintf(f->j.to, "%-*s %" PRIu64 "\n", f->width, name, n);
}

static void hex(struct fields *f, const char *name, const char *prefix, int digits, uint64_t n)
{
	char text[19];

	snprintf(text, sizeof text, "%s%0*" PRIx64, prefix, digits, n);
	fields_text(f, name, text);
}

static void number(struct fields *f, const char *name, int64_t n)
{
	if (f->json)
		json_number(&f->j, name, n);
	else
		fprintf(f->j.to, "%-*s %" PRId64 "\n", f->width, name, n);
}

static void show(struct fields *f, const struct field *row, const void *p)
{
	uint64_t n = row->kind == FIELD_TEXT ? *(const char *)p != '\0'
		: row->kind == FIELD_INT || row->kind == FIELD_BOOL ? *(const int *)p != 0
		: row->kind == FIELD_U32 ? *(const uint32_t *)p : *(const uint64_t *)p;

	if (row->optional && n == 0)
		return;
	switch (row->kind) {
	case FIELD_TEXT: fields_text(f, row->name, p); break;
	case FIELD_INT: number(f, row->name, *(const int *)p); break;
	case FIELD_U32:
	case FIELD_U64: fields_number(f, row->name, n); break;
	case FIELD_HEX: hex(f, row->name, "0x", 1, n); break;
	case FIELD_DIGEST: hex(f, row->name, "", 16, n); break;
	case FIELD_BOOL:
		if (f->json)
			json_bool(&f->j, row->name, n != 0);
		else
			fields_number(f, row->name, n);
		break;
	}
}

void fields_show(struct fields *f, const struct field *rows, size_t n, const void *structure)
{
	for (size_t i = 0; i < n; i++)
		show(f, &rows[i], (const char *)structure + rows[i].offset);
}
