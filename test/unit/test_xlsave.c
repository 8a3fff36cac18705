/*
 * test_xlsave.c - reading what xl save wrote: a good image, each thing that may be wrong with
 * one, and thousands that are spoilt at random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>
#include <fcntl.h>

#include "xlsave/xlsave.h"

#include "make_xlsave.h"

enum { SPOILT = 10000 };

static void good(void **state)
{
	struct ttd_error e = TTD_ERROR_INIT;
	struct xl_image m;
	struct xlsave s;
	uint8_t page[XLSAVE_PAGE], want[XLSAVE_PAGE];
	const char *path;

	(void)state;
	xl_make(&m);
	path = xl_file(m.w.p, m.w.len);
	assert_int_equal(xlsave_open(&s, path, false, &e), 0);
	assert_int_equal(s.pages, XL_PAGES);
	assert_int_equal(s.version, 3);
	assert_int_equal(s.xen_major * 100 + s.xen_minor, 417);
	assert_string_equal(s.config, "{\"c_info\":{\"type\":\"pv\"}}");
	assert_int_equal(s.nleaf, 3);
	assert_int_equal(s.leaf[1].r[2], 0x80982201);
	assert_int_equal(s.nmsr, 1);
	assert_int_equal(s.tsc_khz, XL_KHZ);
	assert_int_equal(s.np2m, 1);
	assert_int_equal(s.p2m[0], XL_P2M);
	for (unsigned pfn = 0; pfn < XL_PAGES; pfn++) {
		assert_int_equal(xlsave_type(&s, pfn), xl_type(pfn));
		assert_int_equal(xlsave_level(&s, pfn), xl_type(pfn) < 13 ? xl_type(pfn) & 7 : 0);
		assert_int_equal(xlsave_page(&s, pfn, page, &e), 0);
		xl_page(pfn, want);
		assert_memory_equal(page, want, sizeof page);
	}
	assert_false(xlsave_has(&s, XL_GONE));
	assert_true(xlsave_has(&s, XL_ALLOC));
	assert_int_equal(xlsave_type(&s, XL_PAGES), XLSAVE_NONE);
	xlsave_close(&s);
	/* The head alone, of a file that ends after it; and without xl's header. */
	assert_int_equal(truncate(path, (off_t)m.at[3] + 40), 0);
	assert_int_equal(xlsave_open(&s, path, true, &e), 0);
	assert_int_equal(s.pages, XL_PAGES);
	xlsave_close(&s);
	unlink(path);
	path = xl_file(m.w.p + m.libxl, m.w.len - m.libxl);
	assert_int_equal(xlsave_open(&s, path, false, &e), 0);
	assert_null(s.config);
	xlsave_close(&s);
	unlink(path);
	wbuf_free(&m.w);
}

/* At `type`'s record (BASE: the file; LIBXL, LIBXC: those headers), plus off, n bytes of value. */
enum { BASE = 100, LIBXL, LIBXC };
static const struct spoil {
	unsigned type, off, n;
	uint64_t value;
	const char *says;
} spoils[] = {
	{BASE, 0, 1, 'x', "xl's header at offset 0: this is no file of xl save"},
	{BASE, 32, 4, 0x04030201, "byte order 0x4030201"},
	{BASE, 36, 4, 7, "unknown mandatory flags 0x4"},
	{BASE, 36, 4, 1, "the format of Xen before 4.6"},
	{BASE, 44, 4, 0xffffffff, "4294967295 bytes of optional data do not fit"},
	{BASE, 48, 4, 0xffffff, "a configuration of 16777215 bytes in"},
	{LIBXL, 0, 1, 'x', "no stream of libxl"},
	{LIBXL, 8, 4, 3, "version 50331648"},
	{LIBXL, 16, 4, 0, "the stream ends without a guest"},
	{LIBXL, 16, 4, 2, "type 2 is of an emulator"},
	{LIBXL, 16, 4, 4, "Remus or COLO"},
	{LIBXL, 16, 4, 9, "unknown type 0x9"},
	{LIBXL, 20, 4, 8, "LIBXC_CONTEXT is not empty"},
	{LIBXC, 0, 1, 0, "no stream of libxc"},
	{LIBXC, 15, 1, 1, "version 1; 2 and 3 are supported"},
	{LIBXC, 17, 1, 1, "it is big endian"},
	{LIBXC, 24, 4, 2, "a guest of type 2 (HVM or PVH)"},
	{LIBXC, 28, 2, 13, "pages of 2^13 bytes"},
	{2, 8, 1, 4, "X86_PV_INFO at offset"},
	{2, 8, 1, 4, "a guest of 32 bits"},
	{2, 4, 4, 0x7fffffff, "2147483647 bytes do not fit into the file"},
	{2, 0, 4, 9, "HVM_CONTEXT at offset"},
	{2, 0, 4, 0x55, "unknown type 0x55, which cannot be left out"},
	{17, 4, 4, 71, "X86_CPUID_POLICY at offset"},
	{3, 8, 4, 1, "pages 0x1 to 0x2f"},
	{3, 12, 4, 0xffffffff, "pages 0 to 0xffffffff; a guest here has at most 64 GB"},
	{3, 12, 4, 0xffffff, "it has 16 bytes, not 262152"},
	{3, 12, 4, 1, "pages 0 to 0x1"},
	{3, 16, 8, XL_L1, "page 0x4, of the list of frames, is missing or no normal page"},
	{3, 16, 8, UINT64_MAX, "of the list of frames"},
	{3, 0, 4, 16, "PAGE_DATA at offset"},
	{1, 8, 4, 0xffffffff, "4294967295 pages do not fit into"},
	{1, 8, 4, 47, "bytes more than its pages"},
	{1, 16, 8, UINT64_C(0xfffffffffffff), "page 0xfffffffffffff lies beyond the guest's 0x30"},
	{1, 16, 8, UINT64_C(5) << 60, "page 0 has the unknown type 0x500"},
	{1, 16, 8, UINT64_C(1) << 52, "page 0 has the unknown type 0x1"},
	{1, 16 + 8 * XL_GONE, 8, XL_GONE, "it is too short for its pages"},
	{1, 0, 4, 14, "CHECKPOINT at offset"},
	{4, 8, 4, 1, "vCPU 1: a guest has one here"},
	{4, 4, 4, 5170, "it has 5170 bytes, not 5176"},
	{4, 0, 4, 0x80000004, "the stream has no X86_PV_VCPU_BASIC"},
	{7, 0, 4, 0x80000007, "the stream has no SHARED_INFO"},
	{7, 4, 4, 4088, "it has 4088 bytes, not 4096"},
	{0, 0, 4, 3, "X86_PV_P2M_FRAMES at offset"},
};

static size_t place(const struct xl_image *m, const struct spoil *s)
{
	return s->off + (s->type == BASE ? 0 : s->type == LIBXL ? m->libxl
		: s->type == LIBXC ? m->libxc : m->at[s->type]);
}

static void refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
		struct ttd_error e = TTD_ERROR_INIT;
		struct xl_image m;
		struct xlsave s;
		const char *path;

		xl_make(&m);
		memcpy(m.w.p + place(&m, &spoils[i]), &spoils[i].value, spoils[i].n);
		path = xl_file(m.w.p, m.w.len);
		assert_int_equal(xlsave_open(&s, path, false, &e), -1);
		if (strstr(e.text, spoils[i].says) == NULL || strchr(e.text, '\n') != NULL ||
			strstr(e.text, path) == NULL)
			fail_msg("row %zu: \"%s\" lacks \"%s\"", i, e.text, spoils[i].says);
		xlsave_close(&s);
		unlink(path);
		wbuf_free(&m.w);
	}
}

/* Cut anywhere, it says so. */
static void cut(void **state)
{
	struct xl_image m;
	const char *path;

	(void)state;
	xl_make(&m);
	path = xl_file(m.w.p, m.w.len);
	for (size_t n = m.w.len; n > 0; n = n > m.at[7] ? n - 7 : n - n / 9 - 1) {
		struct ttd_error e = TTD_ERROR_INIT;
		struct xlsave s;

		assert_int_equal(truncate(path, (off_t)n - 1), 0);
		assert_int_equal(xlsave_open(&s, path, false, &e), -1);
		assert_non_null(strstr(e.text, path));
		xlsave_close(&s);
	}
	unlink(path);
	wbuf_free(&m.w);
}

static void spoilt(void **state)
{
	const char *given = getenv("SEED");
	unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 0) : (unsigned)time(NULL);
	struct xl_image m;
	const char *path;
	int fd;

	(void)state;
	printf("SEED=%u\n", seed);
	srand(seed);
	xl_make(&m);
	path = xl_file(m.w.p, m.w.len);
	fd = open(path, O_WRONLY);
	for (unsigned i = 0; i < SPOILT; i++) {
		struct ttd_error e = TTD_ERROR_INIT;
		struct xlsave s;
		uint8_t page[XLSAVE_PAGE], old[4];
		size_t at = (size_t)rand() % (m.w.len - 4);

		/* Most of it is pages: rather what is around them. */
		if (i % 4 != 0)
			at = i % 4 == 1 ? (size_t)rand() % (m.at[3] + 32) : m.at[1] + (size_t)rand() % 400;
		memcpy(old, m.w.p + at, 4);
		m.w.p[at] = (uint8_t)rand();
		m.w.p[at + 1 + (size_t)rand() % 3] = (uint8_t)(rand() % 3 == 0 ? 0xff : rand());
		assert_int_equal(pwrite(fd, m.w.p + at, 4, (off_t)at), 4);
		if (xlsave_open(&s, path, false, &e) == 0) {
			for (uint64_t pfn = 0; pfn < s.pages; pfn++)
				xlsave_page(&s, pfn, page, &e);
		} else if (strchr(e.text, '\n') != NULL || e.text[0] == '\0') {
			fail_msg("at %zu: no line", at);
		}
		xlsave_close(&s);
		memcpy(m.w.p + at, old, 4);
		assert_int_equal(pwrite(fd, old, 4, (off_t)at), 4);
	}
	close(fd);
	unlink(path);
	wbuf_free(&m.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good), cmocka_unit_test(refused), cmocka_unit_test(cut),
		cmocka_unit_test(spoilt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
