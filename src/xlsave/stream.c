/*
 * stream.c - the three layers of an image: xl's header, libxl's records, libxc's header.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/checked.h"
#include "util/fullio.h"
#include "util/regular.h"
#include "xlsave/internal.h"

enum {
	XL_HEADER = 48, XL_JSON = 1, XL_STREAM_V2 = 2, ORDER = 0x01020304,
	CONFIG_MAX = 1 << 20,
	LIBXL_HEADER = 16, LIBXL_END = 0, LIBXL_LIBXC = 1, LIBXL_CHECKPOINT = 4, LIBXL_STATE = 5,
	LIBXC_HEADER = 24, LIBXC_DOMAIN = 16, LIBXC_IDENT = 0x58454e46,
	X86_PV = 1, X86_HVM = 2,
};
static const char xl_magic[32] = "Xen saved domain, xl format\n \0 \r";
static const char libxl_magic[8] = "LibxlFmt";
static const char legacy_magic[8] = "LinuxGue"; /* stream of Xen before 4.6 */

int xlsave_bad(const struct xlsave *s, struct ttd_error *e, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return err_set(e, TTD_HOST, "image %s: %s at offset %#llx: %s", s->path, s->record,
		(unsigned long long)s->record_at, why);
}

int xlsave_read(const struct xlsave *s, uint64_t at, void *p, size_t n, struct ttd_error *e)
{
	int error;

	if (!range_ok(at, n, s->size))
		return xlsave_bad(s, e, "the file ends within it, after %llu bytes",
			(unsigned long long)s->size);
	error = pread_full(s->fd, p, n, at);
	return error == 0 ? 0 : xlsave_bad(s, e, "%s", strerror(error));
}

static void begin(struct xlsave *s, const char *what, uint64_t at)
{
	s->record = what;
	s->record_at = at;
}

/* ---- xl ---- */

static int take_config(struct xlsave *s, uint64_t at, uint32_t size, struct ttd_error *e)
{
	uint8_t len[4];
	uint32_t n;

	if (xlsave_read(s, at, len, sizeof len, e) != 0)
		return -1;
	n = get32(len);
	if (n > size - 4 || n > CONFIG_MAX)
		return xlsave_bad(s, e, "a configuration of %u bytes in %u", n, size);
	s->config = calloc(1, (size_t)n + 1);
	if (s->config == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	s->config_len = n;
	return xlsave_read(s, at + 4, s->config, n, e);
}

/* *at: where libxl's stream begins. */
static int xl_header(struct xlsave *s, uint64_t *at, struct ttd_error *e)
{
	uint8_t h[XL_HEADER];
	uint32_t flags, size;

	begin(s, "xl's header", 0);
	if (xlsave_read(s, 0, h, sizeof h, e) != 0)
		return -1;
	if (memcmp(h, xl_magic, sizeof xl_magic) != 0) {
		*at = 0;
		return memcmp(h, libxl_magic, sizeof libxl_magic) == 0 ? 0
			: xlsave_bad(s, e, "this is no file of xl save");
	}
	if (get32(h + 32) != ORDER)
		return xlsave_bad(s, e, "byte order %#x: it is of another kind of host", get32(h + 32));
	flags = get32(h + 36);
	size = get32(h + 44);
	if (flags & ~(uint32_t)(XL_JSON | XL_STREAM_V2))
		return xlsave_bad(s, e, "unknown mandatory flags %#x",
			flags & ~(uint32_t)(XL_JSON | XL_STREAM_V2));
	if (!(flags & XL_STREAM_V2))
		return xlsave_bad(s, e, "the format of Xen before 4.6, which is not supported");
	if (!range_ok(XL_HEADER, size, s->size))
		return xlsave_bad(s, e, "%u bytes of optional data do not fit into the file", size);
	*at = XL_HEADER + (uint64_t)size;
	return size >= 4 ? take_config(s, XL_HEADER, size, e) : 0;
}

/* ---- libxc's header ---- */

static int libxc_header(struct xlsave *s, uint64_t *at, struct ttd_error *e)
{
	uint8_t h[LIBXC_HEADER + LIBXC_DOMAIN], *d = h + LIBXC_HEADER;
	uint32_t type;

	begin(s, "libxc's header", *at);
	if (xlsave_read(s, *at, h, sizeof h, e) != 0)
		return -1;
	if (get64(h) != UINT64_MAX || be32toh(get32(h + 8)) != LIBXC_IDENT)
		return xlsave_bad(s, e, "no stream of libxc");
	s->version = be32toh(get32(h + 12));
	if (s->version != 2 && s->version != 3)
		return xlsave_bad(s, e, "version %u; 2 and 3 are supported", s->version);
	if (h[17] & 1)
		return xlsave_bad(s, e, "it is big endian");
	type = get32(d);
	if (type != X86_PV)
		return xlsave_bad(s, e, "a guest of type %u%s; only PV guests run here", type,
			type == X86_HVM ? " (HVM or PVH)" : "");
	if (get16(d + 4) != 12)
		return xlsave_bad(s, e, "pages of 2^%u bytes", get16(d + 4));
	s->xen_major = get32(d + 8);
	s->xen_minor = get32(d + 12);
	*at += sizeof h;
	return 0;
}

/* ---- libxl ---- */

static int libxl_record(struct xlsave *s, uint64_t at, uint32_t type, uint32_t len,
	struct ttd_error *e)
{
	begin(s, "libxl's record", at);
	if (type == LIBXL_CHECKPOINT || type == LIBXL_STATE)
		return xlsave_bad(s, e, "type %u: a stream of Remus or COLO is not supported", type);
	if (type == 2 || type == 3)
		return xlsave_bad(s, e, "type %u is of an emulator, which a PV guest has not", type);
	if (!(type >> 31))
		return xlsave_bad(s, e, "unknown type %#x, which cannot be left out", type);
	return range_ok(at + 8, len, s->size) ? 0 : xlsave_bad(s, e,
		"%u bytes do not fit into the file", len);
}

/* 1: as far as was wanted. */
static int libxl_stream(struct xlsave *s, uint64_t at, bool head, struct ttd_error *e)
{
	uint8_t h[LIBXL_HEADER];
	bool seen = false;
	int rc;

	begin(s, "libxl's header", at);
	if (xlsave_read(s, at, h, sizeof h, e) != 0)
		return -1;
	if (memcmp(h, libxl_magic, sizeof libxl_magic) != 0)
		return xlsave_bad(s, e, memcmp(h, legacy_magic, sizeof legacy_magic) == 0
			? "the format of Xen before 4.6, which is not supported" : "no stream of libxl");
	if (be32toh(get32(h + 8)) != 2 || be32toh(get32(h + 12)) & 1)
		return xlsave_bad(s, e, "version %u, options %#x; version 2, little endian, is supported",
			be32toh(get32(h + 8)), be32toh(get32(h + 12)));
	for (at += sizeof h;;) {
		uint8_t r[8];
		uint32_t type, len;

		begin(s, "libxl's record", at);
		if (xlsave_read(s, at, r, sizeof r, e) != 0)
			return -1;
		type = get32(r);
		len = get32(r + 4);
		if (type == LIBXL_END)
			return seen ? 0 : xlsave_bad(s, e, "the stream ends without a guest");
		if (type != LIBXL_LIBXC && libxl_record(s, at, type, len, e) != 0)
			return -1;
		if (type == LIBXL_LIBXC && (seen || len != 0))
			return xlsave_bad(s, e, seen ? "a second guest" : "LIBXC_CONTEXT is not empty");
		at += 8 + (((uint64_t)len + 7) & ~UINT64_C(7));
		if (type != LIBXL_LIBXC)
			continue;
		seen = true;
		rc = libxc_header(s, &at, e);
		if (rc == 0)
			rc = xlsave_records(s, &at, head, e);
		if (rc != 0)
			return rc;
	}
}

/* ---- all of it ---- */

int xlsave_open(struct xlsave *s, const char *path, bool head, struct ttd_error *e)
{
	uint64_t at = 0;

	memset(s, 0, sizeof *s);
	s->fd = -1;
	s->path = strdup(path);
	if (s->path == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	s->fd = regular_open(path, REGULAR_FOLLOW, &s->size);
	if (s->fd < 0)
		return err_set(e, TTD_HOST, "image %s: %s", path,
			errno == ENODEV ? "is not a regular file" : strerror(errno));
	return xl_header(s, &at, e) == 0 && libxl_stream(s, at, head, e) >= 0 ? 0 : -1;
}

void xlsave_close(struct xlsave *s)
{
	if (s->path != NULL && s->fd >= 0)
		close(s->fd);
	free(s->path);
	free(s->config);
	free(s->page);
	free(s->p2m);
	memset(s, 0, sizeof *s);
	s->fd = -1;
}
