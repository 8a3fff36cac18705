/*
 * test_build.c - the domain builder against a made-up kernel in every
 * container and compression, against damaged ones, and, when TTD_TEST_KERNEL
 * names one, against a stock Debian kernel and the layout that Xen 4.17's own
 * builder gave it.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/build.h"
#include "loader/elfnotes.h"
#include "loader/image.h"
#include "loader/layout.h"
#include "mem/mem.h"
#include "util/bytes.h"

/* Last: its PF_ macros would break mem.h. */
#include <elf.h>

#define BASE 0xffffffff80000000ull
#define P2M 0x8000000000ull
#define LOAD_AT 0x1000000ull

enum { TEXT_OFF = 4096, TEXT_LEN = 3 * 4096 + 100, TEXT_MEM = 6 * 4096 };

static char dir[] = "/tmp/ttd-build-XXXXXX";

struct kopts {
	bool no_notes, no_p2m, no_mod, hypercall_page, required_unknown;
	uint64_t entry;
};

static void note(struct wbuf *w, uint32_t type, const void *d, uint32_t n)
{
	static const uint8_t zero[4];

	wbuf_u32(w, 4);
	wbuf_u32(w, n);
	wbuf_u32(w, type);
	wbuf_put(w, "Xen", 4);
	wbuf_put(w, d, n);
	wbuf_put(w, zero, -n & 3);
}

static void note64(struct wbuf *w, uint32_t type, uint64_t v)
{
	note(w, type, &v, 8);
}

/* An ELF kernel of two pages of headers and text with recognisable bytes. */
static void make_elf(struct wbuf *out, const struct kopts *o)
{
	uint8_t *img = calloc(1, TEXT_OFF + TEXT_LEN);
	struct wbuf n = { 0 };
	Elf64_Ehdr eh = { .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_phoff = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2 };
	Elf64_Phdr ph[2] = { 0 };
	uint32_t one = 1;

	memcpy(eh.e_ident, ELFMAG, 4);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	if (!o->no_notes) {
		note64(&n, 1, o->entry ? o->entry : BASE + LOAD_AT + 0x40);
		note64(&n, 3, BASE);
		note64(&n, 4, 0);
		note(&n, 5, "xen-3.0", 8);
		note(&n, 8, "generic", 8);
		note(&n, 7, "2.6", 4);
		if (o->hypercall_page)
			note64(&n, 2, BASE + LOAD_AT + 4096);
		if (!o->no_p2m)
			note64(&n, 15, P2M);
		if (!o->no_mod)
			note(&n, 16, &one, 4);
		if (o->required_unknown)
			note(&n, 10, "!writable_page_tables|!flying_pages", 35);
		else
			note(&n, 10, "!writable_page_tables|pae_pgdir_above_4gb", 41);
	}
	ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = TEXT_OFF, .p_vaddr = 0,
		.p_paddr = LOAD_AT, .p_filesz = TEXT_LEN, .p_memsz = TEXT_MEM };
	ph[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = 512, .p_filesz = n.len };
	memcpy(img, &eh, sizeof(eh));
	memcpy(img + sizeof(eh), ph, sizeof(ph));
	assert_true(512 + n.len <= TEXT_OFF);
	if (n.len)
		memcpy(img + 512, n.p, n.len);
	for (size_t i = 0; i < TEXT_LEN; i++)
		img[TEXT_OFF + i] = (uint8_t)((i * 7) ^ (i >> 5));
	wbuf_put(out, img, TEXT_OFF + TEXT_LEN);
	free(img);
	wbuf_free(&n);
}

static void write_file(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static const char *path_of(const char *name)
{
	static char path[4][128];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

/* Wraps a payload into a bzImage. */
static void make_bzimage(struct wbuf *out, const uint8_t *pay, size_t n)
{
	uint8_t setup[512 * 3 + 0x2cc] = { 0 };

	setup[0x1f1] = 2;
	put16(setup + 0x1fe, 0xaa55);
	memcpy(setup + 0x202, "HdrS", 4);
	put16(setup + 0x206, 0x20f);
	put32(setup + 0x248, 0x2cc);
	put32(setup + 0x24c, (uint32_t)n);
	wbuf_put(out, setup, sizeof(setup));
	wbuf_put(out, pay, n);
	wbuf_put(out, "tail of the protected mode part", 31);
}

/* Runs a compressor over `in`; false when the tool is missing. */
static bool compress_with(const char *tool, const struct wbuf *in, struct image *out)
{
	char cmd[512], plain[128], packed[128];
	struct ttd_error e;

	snprintf(plain, sizeof(plain), "%s/plain", dir);
	snprintf(packed, sizeof(packed), "%s/packed", dir);
	write_file(plain, in->p, in->len);
	snprintf(cmd, sizeof(cmd), "%s <%s >%s 2>/dev/null", tool, plain, packed);
	if (system(cmd) != 0)
		return false;
	assert_int_equal(image_read("kernel", packed, 1 << 20, out, &e), 0);
	return true;
}

static const struct {
	const char *tool;
	bool gzip;
} tools[] = {
	{ "gzip -9", true },
	{ "xz --check=crc32 --x86 --lzma2=dict=32MiB", false },
	{ "zstd -q -19 -c", false },
	{ "lz4 -l -9 -c", false },
	{ "lz4 -9 -c", false },
	{ "bzip2 -9", false },
	{ "xz --format=lzma -9", false },
};

static void test_compressions(void **state)
{
	struct wbuf elf = { 0 };
	unsigned done = 0;

	(void)state;
	make_elf(&elf, &(struct kopts){ 0 });
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		struct wbuf bz = { 0 }, pay = { 0 };
		struct image packed, out;
		struct ttd_error e = { 0 };

		if (!compress_with(tools[i].tool, &elf, &packed)) {
			print_message("%s: not installed, skipped\n", tools[i].tool);
			continue;
		}
		wbuf_put(&pay, packed.p, packed.len);
		if (!tools[i].gzip)
			wbuf_u32(&pay, (uint32_t)elf.len);
		make_bzimage(&bz, pay.p, pay.len);
		if (image_unpack("k", bz.p, bz.len, 1 << 20, &out, &e) != 0)
			fail_msg("%s: %s", tools[i].tool, e.text);
		assert_int_equal(out.len, elf.len);
		assert_memory_equal(out.p, elf.p, elf.len);
		image_free(&out);
		/* A compressed vmlinux as such. */
		if (image_unpack("k", packed.p, packed.len, 1 << 20, &out, &e) != 0)
			fail_msg("%s: %s", tools[i].tool, e.text);
		assert_memory_equal(out.p, elf.p, elf.len);
		image_free(&out);
		/* The limit holds. */
		assert_int_equal(image_unpack("k", bz.p, bz.len, elf.len - 1, &out, &e), -1);
		assert_null(out.p);
		/* Damage is found: half of the payload is gone, its size is not. */
		memset(bz.p + 512 * 3 + 0x2cc + pay.len / 2, 0x55, pay.len / 4);
		assert_int_equal(image_unpack("k", bz.p, bz.len, 1 << 20, &out, &e), -1);
		assert_non_null(strstr(e.text, "kernel k: "));
		assert_null(out.p);
		image_free(&packed);
		wbuf_free(&bz);
		wbuf_free(&pay);
		done++;
	}
	assert_true(done >= 1);
	wbuf_free(&elf);
}

/* The files of the folder that keeps kernels; the last one's path. */
static unsigned kept(char last[300])
{
	const char *folder = path_of("kept");
	DIR *d = opendir(folder);
	struct dirent *ent;
	unsigned n = 0;

	while (d != NULL && (ent = readdir(d)) != NULL)
		if (ent->d_name[0] != '.') {
			snprintf(last, 300, "%s/%s", folder, ent->d_name);
			n++;
		}
	if (d != NULL)
		closedir(d);
	return n;
}

static void unpack_kept(const char *file, const struct wbuf *bz, const struct wbuf *want)
{
	struct image out;
	struct ttd_error e = { 0 };

	if (image_unpack_kept(path_of("kept"), path_of(file), bz->p, bz->len, 1 << 20, &out, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(out.len, want->len);
	assert_memory_equal(out.p, want->p, want->len);
	image_free(&out);
}

/* An unpacked kernel is found again, unless its file is damaged; few of them stay. */
static void test_kept(void **state)
{
	enum { KERNELS = 6, STAY = 4 };
	static const char *const names[KERNELS] = { "0", "1", "2", "3", "4", "5" };
	struct wbuf elf[KERNELS] = { { 0 } }, bz[KERNELS] = { { 0 } };
	char first[300], file[300];
	struct image packed;
	struct ttd_error e;

	(void)state;
	for (unsigned i = 0; i < KERNELS; i++) {
		make_elf(&elf[i], &(struct kopts){ .entry = BASE + 16 * i });
		assert_true(compress_with("gzip -9", &elf[i], &packed));
		make_bzimage(&bz[i], packed.p, packed.len);
		write_file(path_of(names[i]), bz[i].p, bz[i].len);
		image_free(&packed);
	}
	unpack_kept("0", &bz[0], &elf[0]); /* no folder: no harm */
	assert_int_equal(kept(file), 0);
	assert_int_equal(mkdir(path_of("kept"), 0700), 0);
	unpack_kept("0", &bz[0], &elf[0]);
	assert_int_equal(kept(first), 1);
	unpack_kept("0", &bz[0], &elf[0]);
	/* Not by its digest alone: a stranger's could have any. */
	write_file(path_of("other"), bz[0].p, bz[0].len);
	unpack_kept("other", &bz[0], &elf[0]);
	assert_int_equal(kept(file), 2);
	assert_int_equal(rename(first, path_of("packed")), 0);
	assert_int_equal(kept(file), 1);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rename(path_of("packed"), first), 0);
	/* What stands there is what one gets ... */
	assert_int_equal(rename(first, path_of("packed")), 0);
	unpack_kept("1", &bz[1], &elf[1]);
	assert_int_equal(kept(file), 1);
	assert_int_equal(rename(file, first), 0);
	unpack_kept("0", &bz[0], &elf[1]);
	/* ... if it is whole; else it is made anew. */
	assert_int_equal(image_read("kernel", first, 1 << 20, &packed, &e), 0);
	packed.p[packed.len / 2] ^= 0x10;
	write_file(first, packed.p, packed.len);
	unpack_kept("0", &bz[0], &elf[0]);
	write_file(first, packed.p, packed.len / 2);
	image_free(&packed);
	unpack_kept("0", &bz[0], &elf[0]);
	for (unsigned i = 0; i < KERNELS; i++)
		unpack_kept(names[i], &bz[i], &elf[i]);
	assert_int_equal(kept(file), STAY);
	while (kept(file) != 0)
		assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(path_of("kept")), 0);
	for (unsigned i = 0; i < KERNELS; i++) {
		wbuf_free(&elf[i]);
		wbuf_free(&bz[i]);
	}
}

/* Every truncation of a bzImage and of an ELF is an error, never a crash. */
static void test_truncation(void **state)
{
	struct wbuf elf = { 0 }, bz = { 0 };
	struct image packed, out;
	struct elf_kernel k;
	struct ttd_error e;

	(void)state;
	make_elf(&elf, &(struct kopts){ 0 });
	for (size_t n = 0; n < elf.len; n += n < 1200 ? 1 : 97) {
		uint8_t *copy = malloc(n ? n : 1); /* exact size for the sanitizer */

		memcpy(copy, elf.p, n);
		e.text[0] = '\0';
		assert_int_equal(elf_parse_kernel("k", copy, n, &k, &e), -1);
		assert_non_null(strstr(e.text, "kernel k: "));
		free(copy);
	}
	assert_true(compress_with("gzip -9", &elf, &packed));
	make_bzimage(&bz, packed.p, packed.len);
	for (size_t n = 0; n < bz.len - 31; n += n < 1400 ? 13 : 1) {
		uint8_t *copy = malloc(n ? n : 1);

		memcpy(copy, bz.p, n);
		assert_int_equal(image_unpack("k", copy, n, 1 << 20, &out, &e), -1);
		free(copy);
	}
	image_free(&packed);
	wbuf_free(&bz);
	wbuf_free(&elf);
}

static struct mem *build(const struct build_params *p, struct build_info *info)
{
	struct ttd_error e = { 0 };
	struct mem *m = mem_create((uint64_t)p->memory_mb << 8, 4, &e);

	assert_non_null(m);
	if (domain_build(m, p, info, &e) != 0)
		fail_msg("%s", e.text);
	return m;
}

/* Walks the boot tables; 0 when not mapped. */
static uint64_t walk(const struct mem *m, mfn_t root, uint64_t va)
{
	uint64_t pte = root << PAGE_SHIFT;

	for (int level = 4; level >= 1; level--) {
		const uint8_t *t = mem_frame(m, PTE_MFN(pte));

		assert_non_null(t);
		pte = get64(t + ((va >> (12 + 9 * (level - 1))) & 511) * 8);
		if (!(pte & PTE_P))
			return 0;
	}
	return pte;
}

/* Page tables, p2m list and zeroed rest of what domain_build() made. */
static void check_tables(const struct mem *m, const struct build_info *info, uint64_t mapped_pages,
	uint64_t tables_va, uint64_t tables)
{
	uint64_t ram = mem_ram_pages(m);

	for (uint64_t i = 0; i < mapped_pages; i++) {
		uint64_t va = BASE + (i << 12), pte = walk(m, info->cr3, va);
		bool table = va >= tables_va && va < tables_va + (tables << 12);

		assert_int_equal(PTE_MFN(pte), MEM_FIRST_MFN + i);
		assert_int_equal(pte & 0xfff, table ? PTE_P | PTE_A : PTE_P | PTE_A | PTE_RW);
	}
	assert_int_equal(walk(m, info->cr3, BASE + (mapped_pages << 12)), 0);
	for (uint64_t pfn = 0; pfn < ram; pfn++) {
		uint64_t va = info->init_p2m + pfn * 8;

		/* One walk a page will do. */
		if ((va & 0xfff) == 0)
			assert_int_not_equal(walk(m, info->cr3, va), 0);
		if (pfn % 509 == 0 || pfn < 8 || pfn + 8 > ram) {
			uint64_t pte = walk(m, info->cr3, va);

			assert_int_equal(get64(mem_frame(m, PTE_MFN(pte)) + (va & 0xfff)),
				MEM_FIRST_MFN + pfn);
		}
	}
}

static const char *made_kernel(const struct kopts *o)
{
	struct wbuf elf = { 0 };
	const char *path = path_of("vmlinux");

	make_elf(&elf, o);
	write_file(path, elf.p, elf.len);
	wbuf_free(&elf);
	return path;
}

static void check_text(const struct mem *m)
{
	for (uint64_t i = 0; i < TEXT_MEM; i++) {
		const uint8_t *f = mem_frame(m, MEM_FIRST_MFN + ((LOAD_AT + i) >> 12));
		uint8_t want = i < TEXT_LEN ? (uint8_t)((i * 7) ^ (i >> 5)) : 0;

		if (f[i & 0xfff] != want)
			fail_msg("byte %llu", (unsigned long long)i);
	}
}

static void test_modern(void **state)
{
	struct build_params p = { .kernel = made_kernel(&(struct kopts){ 0 }), .cmdline = "a=b",
		.memory_mb = 64, .shared_info = 0x1234, .store_evtchn = 1, .console_evtchn = 2 };
	struct build_info info;
	const uint8_t *si, *rd;
	struct mem *m;

	(void)state;
	write_file(path_of("rd"), "ramdisk bytes", 13);
	p.ramdisk = path_of("rd");
	m = build(&p, &info);
	check_text(m);
	si = mem_frame(m, info.start_info);
	assert_string_equal((const char *)si, "xen-3.0-x86_64");
	assert_int_equal(get64(si + 0x20), 64 << 8);
	assert_int_equal(get64(si + 0x28), 0x1234ull << 12);
	assert_int_equal(get32(si + 0x30), 0x18);
	assert_int_equal(get64(si + 0x38), info.store);
	assert_int_equal(get32(si + 0x40), 1);
	assert_int_equal(get64(si + 0x48), info.console);
	assert_int_equal(get32(si + 0x50), 2);
	/* Kernel 0x1000+6, start_info, store, console, then the tables. */
	assert_int_equal(get64(si + 0x58), BASE + 0x1009000);
	assert_int_equal(get64(si + 0x60), 13);
	assert_int_equal(get64(si + 0x68), P2M);
	assert_int_equal(get64(si + 0x70), 0x1400);
	assert_int_equal(get64(si + 0x78), 13);
	assert_string_equal((const char *)si + 0x80, "a=b");
	assert_int_equal(get64(si + 0x480), 0x1401);
	assert_int_equal(get64(si + 0x488), 32 + 3);
	rd = mem_frame(m, MEM_FIRST_MFN + get64(si + 0x70));
	assert_memory_equal(rd, "ramdisk bytes\0\0", 15);
	assert_int_equal(info.stack, BASE + 0x1017000);
	assert_string_equal(info.guest_version, "2.6");
	assert_int_equal(info.hypercall_page, 0);
	check_tables(m, &info, 0x1400, BASE + 0x1009000, 13);
	mem_destroy(m);
}

/* No INIT_P2M, no MOD_START_PFN, a hypercall page: how 2.6 kernels want it. */
static void test_old_style(void **state)
{
	struct kopts o = { .no_p2m = true, .no_mod = true, .hypercall_page = true };
	struct build_params p = { .kernel = made_kernel(&o), .memory_mb = 64 };
	static const uint8_t iret[] = { 0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 0x05, 0xcc };
	static const uint8_t call[] = { 0x51, 0x41, 0x53, 0xb8, 127, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b,
		0x59, 0xc3, 0xcc };
	struct build_info info;
	const uint8_t *si, *hp;
	struct mem *m;

	(void)state;
	write_file(path_of("rd"), "ramdisk bytes", 13);
	p.ramdisk = path_of("rd");
	m = build(&p, &info);
	si = mem_frame(m, info.start_info);
	assert_int_equal(get32(si + 0x30), 0x10);
	assert_int_equal(get64(si + 0x70), BASE + 0x1006000);
	assert_int_equal(get64(si + 0x68), BASE + 0x1007000);
	assert_int_equal(get64(si + 0x480), 0);
	assert_int_equal(get64(si + 0x488), 0);
	assert_int_equal(info.start_info, MEM_FIRST_MFN + 0x1007 + 32);
	assert_memory_equal(mem_frame(m, PTE_MFN(walk(m, info.cr3, get64(si + 0x70)))),
		"ramdisk bytes", 13);
	check_tables(m, &info, 0x1400, get64(si + 0x58), get64(si + 0x60));
	assert_int_equal(info.hypercall_page, BASE + LOAD_AT + 4096);
	hp = mem_frame(m, MEM_FIRST_MFN + 0x1001);
	assert_memory_equal(hp + 23 * 32, iret, sizeof(iret));
	assert_memory_equal(hp + 127 * 32, call, sizeof(call));
	mem_destroy(m);
}

static void test_large(void **state)
{
	struct elf_kernel k = { .pstart = LOAD_AT, .pend = LOAD_AT + TEXT_MEM, .virt_base = BASE,
		.init_p2m = P2M, .mod_start_pfn = true };
	struct layout l;
	struct ttd_error e;

	(void)state;
	assert_int_equal(layout_plan(&l, "k", &k, (uint64_t)64 << 18, 5000, &e), 0);
	assert_int_equal(l.list.ntables[1], 64);
	assert_int_equal(l.p2m_frames, 32768 + 64 + 1 + 1);
	assert_int_equal(l.low.count, 0x1400);
	assert_int_equal(l.ramdisk.pfn, 0x1400);
	assert_int_equal(l.p2m.pfn, 0x1402);
	assert_int_equal(l.end, 0x1402 + l.p2m_frames);
	/* Addresses that would not work. */
	k.init_p2m = BASE + ((uint64_t)1 << 30);
	assert_int_equal(layout_plan(&l, "k", &k, 1 << 14, 0, &e), -1);
	k.init_p2m = 0xffff800000000000ull;
	assert_int_equal(layout_plan(&l, "k", &k, 1 << 14, 0, &e), -1);
	k.init_p2m = 0x7fffffff0000ull;
	assert_int_equal(layout_plan(&l, "k", &k, 1 << 14, 0, &e), -1);
	k.init_p2m = P2M + 8;
	assert_int_equal(layout_plan(&l, "k", &k, 1 << 14, 0, &e), -1);
	k.init_p2m = P2M;
	k.virt_base = 0xfffffffffff00000ull;
	assert_int_equal(layout_plan(&l, "k", &k, 1 << 14, 0, &e), -1);
	assert_non_null(strstr(e.text, "kernel k: "));
}

static void expect_error(const struct build_params *p, const char *want)
{
	struct build_info info;
	struct ttd_error e = { 0 };
	struct mem *m = mem_create((uint64_t)p->memory_mb << 8, 0, &e);

	assert_non_null(m);
	assert_int_equal(domain_build(m, p, &info, &e), -1);
	if (!strstr(e.text, want) || strchr(e.text, '\n') ||
	    (p->kernel && e.status == TTD_HOST && !strstr(e.text, dir)))
		fail_msg("'%s' does not say '%s'", e.text, want);
	mem_destroy(m);
}

static void test_errors(void **state)
{
	struct build_params p = { .kernel = path_of("nothing"), .memory_mb = 64 };
	char line[1100];
	FILE *f;

	(void)state;
	expect_error(&p, "No such file");
	p.kernel = dir;
	expect_error(&p, "not a regular file");
	write_file(path_of("text"), "hello, this is not a kernel\n", 28);
	p.kernel = path_of("text");
	expect_error(&p, "neither a bzImage nor an ELF");
	p.kernel = made_kernel(&(struct kopts){ .no_notes = true });
	expect_error(&p, "CONFIG_XEN_PV");
	p.kernel = made_kernel(&(struct kopts){ .required_unknown = true });
	expect_error(&p, "flying_pages");
	p.kernel = made_kernel(&(struct kopts){ .entry = 0x1000 });
	expect_error(&p, "entry point");
	p.kernel = made_kernel(&(struct kopts){ 0 });
	assert_int_equal(truncate(p.kernel, TEXT_OFF + 100), 0);
	expect_error(&p, "truncated");
	p.kernel = made_kernel(&(struct kopts){ 0 });
	p.ramdisk = path_of("missing-rd");
	expect_error(&p, "ramdisk");
	f = fopen(path_of("big"), "wb");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	p.kernel = made_kernel(&(struct kopts){ 0 });
	p.ramdisk = path_of("big");
	expect_error(&p, "is empty");
	assert_int_equal(truncate(p.ramdisk, 50 << 20), 0);
	expect_error(&p, "needs 71 MB of guest memory");
	assert_int_equal(truncate(p.ramdisk, 65 << 20), 0);
	expect_error(&p, "more than the 64 MB");
	p.ramdisk = NULL;
	memset(line, 'x', sizeof(line));
	line[1024] = '\0';
	p.cmdline = line;
	expect_error(&p, "1024 bytes, the limit is 1023");
	p.cmdline = NULL;
	p.memory_mb = 63;
	expect_error(&p, "64 to 65536");
}

/* The stock kernel, 256 MB and a ramdisk of 0x2e7010 bytes, as Xen 4.17 built it. */
static void test_debian(void **state)
{
	struct build_params p = { .kernel = getenv("TTD_TEST_KERNEL"), .memory_mb = 256,
		.cmdline = "console=hvc0", .store_evtchn = 1, .console_evtchn = 2 };
	struct build_info info;
	const uint8_t *si;
	struct mem *m;

	(void)state;
	if (!p.kernel) {
		skip();
		return;
	}
	write_file(path_of("rd"), "x", 1);
	p.ramdisk = path_of("rd");
	assert_int_equal(truncate(p.ramdisk, 0x2e7010), 0);
	m = build(&p, &info);
	si = mem_frame(m, info.start_info);
	if (strstr(p.kernel, "6.1.0-56-amd64")) {
		assert_int_equal(info.entry, 0xffffffff830791c0ull);
		assert_int_equal(info.start_info_va, BASE + 0x4a00000);
		assert_int_equal(info.start_info, MEM_FIRST_MFN + 0x4a00);
		assert_int_equal(info.store, MEM_FIRST_MFN + 0x4a01);
		assert_int_equal(info.console, MEM_FIRST_MFN + 0x4a02);
		assert_int_equal(info.cr3, MEM_FIRST_MFN + 0x4a03);
		assert_int_equal(info.stack, BASE + 0x4a2d000);
		assert_int_equal(get64(si + 0x58), BASE + 0x4a03000);
		assert_int_equal(get64(si + 0x60), 0x29);
		assert_int_equal(get64(si + 0x70), 0x4c00);
		assert_int_equal(get64(si + 0x78), 0x2e7010);
		assert_int_equal(get64(si + 0x480), 0x4ee8);
		assert_int_equal(get64(si + 0x488), 0x83);
		check_tables(m, &info, 0x4c00, BASE + 0x4a03000, 0x29);
	}
	assert_int_equal(info.init_p2m, P2M);
	assert_int_equal(info.hypercall_page, 0);
	assert_int_not_equal(walk(m, info.cr3, info.entry), 0);
	mem_destroy(m);
	p.memory_mb = 64;
	{
		struct ttd_error e;

		m = mem_create(64 << 8, 0, &e);
		assert_int_equal(domain_build(m, &p, &info, &e), -1);
		assert_non_null(strstr(e.text, "raise the memory size"));
		mem_destroy(m);
	}
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const names[] = { "vmlinux", "rd", "text", "big", "plain", "packed" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compressions),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_modern),
		cmocka_unit_test(test_old_style),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_debian),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
