/*
 * make_xlsave.h - an image as xl save writes it, of a guest of XL_PAGES pages that does
 * nothing: its page tables map pfn N at XL_VA + N pages.
 */
#ifndef MAKE_XLSAVE_H
#define MAKE_XLSAVE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/bytes.h"
#include "xlsave/xlsave.h"

#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>

enum {
	XL_PAGES = 48, XL_L4 = 1, XL_L3, XL_L2, XL_L1, XL_START_INFO, XL_STORE, XL_CONSOLE, XL_GDT,
	XL_P2M, XL_CODE, XL_GONE, XL_ALLOC, XL_USER_L4,
	XL_KHZ = 2600000,
};
#define XL_VA UINT64_C(0xffff888000000000)
#define XL_PRESENT UINT64_C(0x67) /* P RW US A D */

/* Where records of a kind begin, for tests that spoil them. */
struct xl_image {
	struct wbuf w;
	size_t at[32];   /* by libxc's type */
	size_t libxl, libxc;
};

static inline void xl_be32(struct wbuf *w, uint32_t v)
{
	wbuf_u32(w, __builtin_bswap32(v));
}

static inline void xl_record(struct xl_image *m, uint32_t type, const struct wbuf *body)
{
	static const uint8_t zero[8];

	if (type < 32)
		m->at[type] = m->w.len;
	wbuf_u32(&m->w, type);
	wbuf_u32(&m->w, (uint32_t)body->len);
	wbuf_put(&m->w, body->p, body->len);
	wbuf_put(&m->w, zero, -body->len & 7);
}

static inline void xl_headers(struct xl_image *m)
{
	static const char config[] = "{\"c_info\":{\"type\":\"pv\"}}";
	struct wbuf *w = &m->w;

	wbuf_put(w, "Xen saved domain, xl format\n \0 \r", 32);
	wbuf_u32(w, 0x01020304);
	wbuf_u32(w, 3);
	wbuf_u32(w, 0);
	wbuf_u32(w, 4 + sizeof config);
	wbuf_u32(w, sizeof config);
	wbuf_put(w, config, sizeof config);
	m->libxl = w->len;
	wbuf_put(w, "LibxlFmt", 8);
	xl_be32(w, 2);
	xl_be32(w, 0);
	wbuf_u32(w, 1);
	wbuf_u32(w, 0);
	m->libxc = w->len;
	wbuf_u64(w, UINT64_MAX);
	xl_be32(w, 0x58454e46);
	xl_be32(w, 3);
	wbuf_u64(w, 0);
	wbuf_u32(w, 1);
	wbuf_u32(w, 12); /* u16 shift, u16 0 */
	wbuf_u32(w, 4);
	wbuf_u32(w, 17);
}

static inline unsigned xl_type(unsigned pfn)
{
	switch (pfn) {
	case XL_L4: case XL_USER_L4: return 12;
	case XL_L3: return 3;
	case XL_L2: return 2;
	case XL_L1: return 9;
	case XL_GONE: return 15;
	case XL_ALLOC: return 14;
	default: return 0;
	}
}

static inline void xl_page(unsigned pfn, uint8_t page[4096])
{
	struct start_info si = {.magic = "xen-3.0-x86_64", .store_mfn = XL_STORE};

	memset(page, (int)pfn, 4096);
	if (xl_type(pfn) != 0)
		memset(page, 0, 4096);
	if (pfn == XL_L4)
		put64(page + 273 * 8, (uint64_t)XL_L3 << 12 | XL_PRESENT);
	if (pfn == XL_L3)
		put64(page, (uint64_t)XL_L2 << 12 | XL_PRESENT);
	if (pfn == XL_L2)
		put64(page, (uint64_t)XL_L1 << 12 | XL_PRESENT);
	for (unsigned i = 0; pfn == XL_L1 && i < XL_PAGES; i++)
		if (i != XL_GONE)
			put64(page + i * 8, (uint64_t)i << 12 | XL_PRESENT);
	if (pfn == XL_L1)
		put64(page + 8 * 100, UINT64_C(0x12345) << 12); /* not present: as it is */
	if (pfn == XL_START_INFO) {
		si.console.domU.mfn = XL_CONSOLE;
		memcpy(page, &si, sizeof si);
	}
	if (pfn == XL_STORE || pfn == XL_CONSOLE || pfn == XL_GDT)
		memset(page, 0, 4096);
}

static inline void xl_pages(struct xl_image *m, unsigned from, unsigned to)
{
	struct wbuf b = {0};
	uint8_t page[4096];

	wbuf_u32(&b, to - from);
	wbuf_u32(&b, 0);
	for (unsigned i = from; i < to; i++)
		wbuf_u64(&b, (uint64_t)xl_type(i) << 60 | i);
	for (unsigned i = from; i < to; i++)
		if (xl_type(i) < 13) {
			xl_page(i, page);
			wbuf_put(&b, page, sizeof page);
		}
	xl_record(m, 1, &b);
	wbuf_free(&b);
}

static inline void xl_context(struct vcpu_guest_context *c)
{
	memset(c, 0, sizeof *c);
	c->flags = VGCF_i387_valid | VGCF_in_kernel | VGCF_syscall_disables_events | VGCF_online;
	put16((uint8_t *)&c->fpu_ctxt, 0x37f);
	put32((uint8_t *)&c->fpu_ctxt + 24, 0x1f80);
	c->user_regs.rip = XL_VA + XL_CODE * 4096;
	c->user_regs.rsp = XL_VA + XL_CODE * 4096 + 4096;
	c->user_regs.rdx = XL_START_INFO;
	c->user_regs.rbx = 0x1234;
	c->user_regs.rflags = 0x1206;
	c->user_regs.cs = 0xe033;
	c->user_regs.ss = 0xe02b;
	c->trap_ctxt[14] = (struct trap_info){14, 4, 0xe030, XL_VA + 0x10};
	c->gdt_ents = 16;
	c->gdt_frames[0] = XL_GDT;
	c->kernel_sp = XL_VA + 0x800;
	c->ctrlreg[0] = 0x80050033;
	c->ctrlreg[3] = (uint64_t)XL_L4 << 12;
	c->ctrlreg[1] = (uint64_t)XL_USER_L4 << 12 | 1;
	c->ctrlreg[4] = 0x660;
	c->debugreg[6] = 0xffff0ff0;
	c->debugreg[7] = 0x400;
	c->event_callback_eip = XL_VA + 0x20;
	c->syscall_callback_eip = XL_VA + 0x30;
	c->vm_assist = 0x2c;
	c->gs_base_kernel = XL_VA + 0x40;
	c->gs_base_user = 0x7000;
}

static inline void xl_policy(struct xl_image *m)
{
	static const uint32_t leaves[][6] = {
		{0, UINT32_MAX, 0xb, 0x756e6547, 0x6c65746e, 0x49656e69},
		{1, UINT32_MAX, 0x106a3, 0x800, 0x80982201, 0x0789cbf5},
		{7, 0, 0, 0, 0, 0x20000000},
	};
	struct wbuf b = {0};

	wbuf_put(&b, leaves, sizeof leaves);
	xl_record(m, 17, &b);
	b.len = 0;
	wbuf_u32(&b, 0x10a);
	wbuf_u32(&b, 0);
	wbuf_u64(&b, 0x4000000);
	xl_record(m, 18, &b);
	wbuf_free(&b);
}

static inline void xl_vcpu(struct xl_image *m)
{
	struct wbuf b = {0};
	struct vcpu_guest_context c;
	struct shared_info si;

	wbuf_u32(&b, 0);
	wbuf_u32(&b, XL_KHZ);
	wbuf_u64(&b, 77);
	wbuf_u64(&b, 1);
	xl_record(m, 8, &b);
	b.len = 0;
	memset(&si, 0x5a, sizeof si);
	si.arch.max_pfn = XL_PAGES;
	wbuf_put(&b, &si, sizeof si);
	while (b.len < 4096)
		wbuf_u8(&b, 0);
	xl_record(m, 7, &b);
	b.len = 0;
	xl_context(&c);
	wbuf_u64(&b, 0);
	wbuf_put(&b, &c, sizeof c);
	xl_record(m, 4, &b);
	wbuf_free(&b);
}

/* The first half of the pages comes twice, as in live migration. */
static inline void xl_make(struct xl_image *m)
{
	struct wbuf b = {0};

	memset(m, 0, sizeof *m);
	xl_headers(m);
	wbuf_u64(&b, 0x0408);
	xl_record(m, 2, &b);
	xl_policy(m);
	b.len = 0;
	xl_record(m, 16, &b);
	wbuf_u32(&b, 0);
	wbuf_u32(&b, XL_PAGES - 1);
	wbuf_u64(&b, XL_P2M);
	xl_record(m, 3, &b);
	xl_pages(m, 0, XL_PAGES / 2);
	xl_pages(m, 0, XL_PAGES);
	xl_vcpu(m);
	b.len = 0;
	xl_record(m, 0, &b);
	wbuf_free(&b);
	wbuf_u64(&m->w, 0); /* libxl's END */
}

/* A file of it: its name, which is removed by xl_unlink(). */
static inline const char *xl_file(const void *p, size_t n)
{
	static char path[64];
	int fd;

	strcpy(path, "/tmp/ttd-xlsave-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		abort();
	close(fd);
	return path;
}

#endif
