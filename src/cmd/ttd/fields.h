/*
 * fields.h - what a command prints of a structure: "name value" lines, or an object of
 * JSON, both from one table of its fields.
 */
#ifndef TTD_CMD_TTD_FIELDS_H
#define TTD_CMD_TTD_FIELDS_H

#include "util/json.h"

struct fields {
	struct json j; /* j.to is where the lines go, too */
	bool json;
	int width;     /* of the names in lines */
};

enum field_kind {
	FIELD_TEXT,   /* char[], which may be a stranger's */
	FIELD_INT,    /* int */
	FIELD_U32,
	FIELD_U64,
	FIELD_HEX,    /* uint64_t as 0x1f; a text in JSON, as many readers round large numbers */
	FIELD_DIGEST, /* the same with all of its 16 digits */
	FIELD_BOOL,   /* int that is true or false in JSON */
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
	bool optional; /* not shown when it is empty or 0 */
};

#define FIELD(type, kind, name) {#name, FIELD_##kind, offsetof(struct type, name), false}
#define FIELD_AS(type, kind, name, field) {name, FIELD_##kind, offsetof(struct type, field), false}
#define FIELD_IF(type, kind, name, field) {name, FIELD_##kind, offsetof(struct type, field), true}
#define FIELDS(rows) (rows), sizeof rows / sizeof *(rows) /* two arguments */

void fields_show(struct fields *f, const struct field *rows, size_t n, const void *structure);

void fields_text(struct fields *f, const char *name, const char *s);
void fields_number(struct fields *f, const char *name, uint64_t n);

#endif
