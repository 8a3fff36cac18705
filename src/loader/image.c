/*
 * image.c - unpack a kernel file; see image.h.
 *
 * A bzImage is a real-mode setup part of (setup_sects + 1) sectors followed by
 * the protected-mode part, which holds the compressed vmlinux at
 * payload_offset (Linux Documentation/x86/boot.rst, protocol 2.08).  The
 * kernel's build appends the uncompressed size in four bytes to every payload;
 * for gzip these are the last four of the stream itself, for all others they
 * lie after it and are cut off before decompression, because some decoders
 * take them for the start of another stream.  Either way the size must come
 * out right, which also catches damage in formats without a checksum.
 *
 * Decompression is libarchive's, one filter enabled by the magic that was
 * seen.  Its lz4 filter reads the legacy frames ("lz4 -l") that Linux builds
 * use, so liblz4 is not needed.  It does not check gzip's CRC: gzip_check()
 * does.  lzo is refused: libarchive would start an external lzop.
 */
#include "loader/image.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/bytes.h"

/* Offsets in the bzImage header (boot.rst, "The Real-Mode Kernel Header"). */
enum {
	HDR_SETUP_SECTS = 0x1f1,
	HDR_BOOT_FLAG = 0x1fe,
	HDR_MAGIC = 0x202,
	HDR_VERSION = 0x206,
	HDR_PAYLOAD_OFFSET = 0x248,
	HDR_PAYLOAD_LENGTH = 0x24c,
	HDR_END = 0x250,
	BOOT_FLAG = 0xaa55,
	SECTOR = 512,
	TRAILER = 4,
};

struct codec {
	const char *name;
	unsigned len;
	uint8_t magic[9];
	int (*enable)(struct archive *a); /* NULL: known but not supported */
	bool gzip;
};

static const struct codec codecs[] = {
	{ "gzip", 2, { 0x1f, 0x8b }, archive_read_support_filter_gzip, true },
	{ "xz", 6, { 0xfd, '7', 'z', 'X', 'Z', 0 }, archive_read_support_filter_xz, false },
	{ "zstd", 4, { 0x28, 0xb5, 0x2f, 0xfd }, archive_read_support_filter_zstd, false },
	{ "lz4", 4, { 0x02, 0x21, 0x4c, 0x18 }, archive_read_support_filter_lz4, false },
	{ "lz4", 4, { 0x04, 0x22, 0x4d, 0x18 }, archive_read_support_filter_lz4, false },
	{ "bzip2", 3, { 'B', 'Z', 'h' }, archive_read_support_filter_bzip2, false },
	{ "lzma", 3, { 0x5d, 0, 0 }, archive_read_support_filter_lzma, false },
	{ "lzo", 9, { 0x89, 'L', 'Z', 'O', 0, 0x0d, 0x0a, 0x1a, 0x0a }, NULL, false },
};

void image_free(struct image *img)
{
	free(img->p);
	img->p = NULL;
	img->len = 0;
}

int image_read(const char *what, const char *path, uint64_t max, struct image *out,
	struct ttd_error *e)
{
	struct stat st;
	size_t have = 0, size;
	int fd, rc = -1;

	out->p = NULL;
	out->len = 0;
	/* O_NONBLOCK: opening a FIFO by mistake must not hang. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, TTD_HOST, "%s %s: %s", what, path, strerror(errno));
	if (fstat(fd, &st) != 0) {
		err_set(e, TTD_HOST, "%s %s: %s", what, path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(e, TTD_HOST, "%s %s: is not a regular file", what, path);
		goto out;
	}
	if ((uint64_t)st.st_size > max) {
		err_set(e, TTD_HOST, "%s %s: %llu bytes are more than the %llu MB that can be loaded",
			what, path, (unsigned long long)st.st_size,
			(unsigned long long)(max >> 20));
		goto out;
	}
	size = (size_t)st.st_size;
	out->p = malloc(size ? size : 1);
	if (!out->p) {
		err_set(e, TTD_HOST, "%s %s: no memory for %zu bytes", what, path, size);
		goto out;
	}
	while (have < size) {
		ssize_t n = read(fd, out->p + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_set(e, TTD_HOST, "%s %s: %s", what, path,
				n < 0 ? strerror(errno) : "became shorter while it was read");
			image_free(out);
			goto out;
		}
		have += (size_t)n;
	}
	out->len = size;
	rc = 0;
out:
	close(fd);
	return rc;
}

static const struct codec *find_codec(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
		if (n >= codecs[i].len && memcmp(p, codecs[i].magic, codecs[i].len) == 0)
			return &codecs[i];
	}
	return NULL;
}

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t table[256], crc = ~0u;

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = (c >> 1) ^ (c & 1 ? 0xedb88320u : 0);
		table[i] = c;
	}
	for (size_t i = 0; i < n; i++)
		crc = (crc >> 8) ^ table[(crc ^ p[i]) & 0xff];
	return ~crc;
}

/* A gzip stream ends in CRC32 and size of the plain bytes (RFC 1952). */
static bool gzip_check(const uint8_t *p, size_t n, const struct image *plain)
{
	return n >= 18 && get32(p + n - 4) == (uint32_t)plain->len &&
	    get32(p + n - 8) == crc32_of(plain->p, plain->len);
}

/* Makes room for at least one more byte, up to max + 1 in all. */
static int grow(struct image *out, size_t *cap, uint64_t max)
{
	uint64_t want = *cap ? (uint64_t)*cap * 2 : 1 << 20;
	uint8_t *p;

	if (want > max + 1)
		want = max + 1;
	p = realloc(out->p, want);
	if (!p)
		return -1;
	out->p = p;
	*cap = want;
	return 0;
}

static const char no_memory[] = "no memory to unpack it";

/* Reads the opened archive's one member into out.  NULL, or what is wrong. */
static const char *drain(struct archive *a, uint64_t max, struct image *out)
{
	struct archive_entry *entry;
	const char *text;
	size_t cap = 0;
	ssize_t n;

	if (archive_read_next_header(a, &entry) != ARCHIVE_OK)
		goto bad;
	for (;;) {
		if (out->len == cap && grow(out, &cap, max) != 0)
			return no_memory;
		n = archive_read_data(a, out->p + out->len, cap - out->len);
		if (n == 0)
			return NULL;
		if (n < 0)
			goto bad;
		out->len += (size_t)n;
		if (out->len > max)
			return "it unpacks to more than the size limit";
	}
bad:
	if (archive_errno(a) == ENOMEM)
		return no_memory;
	text = archive_error_string(a);
	return text && *text ? text : "unexpected end of data";
}

/* p[0..n) is one compressed stream without anything after it. */
static int decompress(const char *name, const struct codec *c, const uint8_t *p, size_t n, uint64_t max,
	struct image *out, struct ttd_error *e)
{
	struct archive *a;
	const char *wrong;
	char why[160];

	if (!c->enable)
		return err_set(e, TTD_HOST, "kernel %s: %s compression is not supported; "
			"unpack it to a plain vmlinux first", name, c->name);
	a = archive_read_new();
	if (!a)
		return err_set(e, TTD_HOST, "kernel %s: %s", name, no_memory);
	if (c->enable(a) != ARCHIVE_OK) {
		if (archive_errno(a) == ENOMEM)
			err_set(e, TTD_HOST, "kernel %s: %s", name, no_memory);
		else
			err_set(e, TTD_HOST, "kernel %s: libarchive here has no %s support", name,
				c->name);
		/* ARCHIVE_WARN: this libarchive would run an external program. */
		archive_read_free(a);
		return -1;
	}
	archive_read_support_format_raw(a);
	if (archive_read_open_memory(a, p, n) != ARCHIVE_OK)
		wrong = archive_errno(a) == ENOMEM || !archive_error_string(a) ? no_memory
			: "unexpected end of data";
	else
		wrong = drain(a, max, out);
	snprintf(why, sizeof why, "%s", wrong ? wrong : "");
	why[strcspn(why, "\n")] = '\0';
	archive_read_free(a);
	if (!wrong && c->gzip && !gzip_check(p, n, out)) {
		snprintf(why, sizeof why, "wrong checksum");
		wrong = why;
	}
	if (!wrong)
		return 0;
	image_free(out);
	if (wrong == no_memory)
		return err_set(e, TTD_HOST, "kernel %s: %s", name, no_memory);
	return err_set(e, TTD_HOST, "kernel %s: its %s data is damaged: %s", name, c->name, why);
}

static int check_elf_magic(const char *name, struct image *out, struct ttd_error *e)
{
	if (out->len >= 4 && memcmp(out->p, "\177ELF", 4) == 0)
		return 0;
	image_free(out);
	return err_set(e, TTD_HOST, "kernel %s: what it unpacks to is not an ELF image", name);
}

static bool is_bzimage(const uint8_t *p, size_t n)
{
	return n >= HDR_END && get16(p + HDR_BOOT_FLAG) == BOOT_FLAG &&
	    memcmp(p + HDR_MAGIC, "HdrS", 4) == 0;
}

static int unpack_bzimage(const char *name, const uint8_t *p, size_t n, uint64_t max,
	struct image *out, struct ttd_error *e)
{
	unsigned version = get16(p + HDR_VERSION);
	unsigned sects = p[HDR_SETUP_SECTS] ? p[HDR_SETUP_SECTS] : 4; /* 0 means 4 */
	uint64_t start = (uint64_t)(sects + 1) * SECTOR + get32(p + HDR_PAYLOAD_OFFSET);
	uint64_t len = get32(p + HDR_PAYLOAD_LENGTH);
	const struct codec *c;
	uint32_t plain;

	if (version < 0x208)
		return err_set(e, TTD_HOST, "kernel %s: boot protocol %u.%02u is too old "
			"(2.08 or later is needed); give its vmlinux instead",
			name, version >> 8, version & 0xff);
	if (start >= n || len > n - start || len < 2 * TRAILER)
		return err_set(e, TTD_HOST, "kernel %s: truncated: its payload should be %llu bytes "
			"at offset %llu, the file has %zu", name, (unsigned long long)len,
			(unsigned long long)start, n);
	p += start;
	c = find_codec(p, len);
	if (!c) {
		/* CONFIG_KERNEL_UNCOMPRESSED */
		if (memcmp(p, "\177ELF", 4) == 0)
			return image_unpack(name, p, len, max, out, e);
		return err_set(e, TTD_HOST, "kernel %s: unknown payload compression "
			"(starts %02x %02x %02x %02x)", name, p[0], p[1], p[2], p[3]);
	}
	plain = get32(p + len - TRAILER);
	if (plain > max)
		return err_set(e, TTD_HOST, "kernel %s: unpacks to %u MB, more than the limit of %llu",
			name, plain >> 20, (unsigned long long)(max >> 20));
	if (decompress(name, c, p, c->gzip ? len : len - TRAILER, max, out, e) != 0)
		return -1;
	if (out->len != plain) {
		size_t got = out->len;

		image_free(out);
		return err_set(e, TTD_HOST, "kernel %s: its %s data is damaged: unpacks to %zu bytes "
			"instead of %u", name, c->name, got, plain);
	}
	return check_elf_magic(name, out, e);
}

int image_unpack(const char *name, const uint8_t *p, size_t n, uint64_t max,
	struct image *out, struct ttd_error *e)
{
	const struct codec *c;

	out->p = NULL;
	out->len = 0;
	if (n >= 4 && memcmp(p, "\177ELF", 4) == 0) {
		if (n > max)
			return err_set(e, TTD_HOST, "kernel %s: %zu bytes are over the limit of "
				"%llu MB", name, n, (unsigned long long)(max >> 20));
		out->p = malloc(n);
		if (!out->p)
			return err_set(e, TTD_HOST, "kernel %s: no memory for it", name);
		memcpy(out->p, p, n);
		out->len = n;
		return 0;
	}
	if (is_bzimage(p, n))
		return unpack_bzimage(name, p, n, max, out, e);
	c = find_codec(p, n);
	if (!c)
		return err_set(e, TTD_HOST, "kernel %s: is neither a bzImage nor an ELF image", name);
	if (decompress(name, c, p, n, max, out, e) != 0)
		return -1;
	return check_elf_magic(name, out, e);
}
