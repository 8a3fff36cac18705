/*
 * fuzz_image.c - kernel files: the bytes go through unpacking, ELF and note
 * parsing and the layout arithmetic; what passes must keep its promises.
 */
#include <stdlib.h>

#include "loader/elfnotes.h"
#include "loader/image.h"
#include "loader/layout.h"

enum { MAX_IMAGE = 4 << 20, RAM_PAGES = 64 << 8 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct image elf;
	struct elf_kernel k;
	struct layout l;
	struct ttd_error e;

	if (image_unpack("fuzz", p, n, MAX_IMAGE, &elf, &e) != 0)
		return 0;
	if (elf.len > MAX_IMAGE)
		abort();
	if (elf_parse_kernel("fuzz", elf.p, elf.len, &k, &e) == 0) {
		for (unsigned i = 0; i < k.nseg; i++) {
			if (k.seg[i].filesz > elf.len || k.seg[i].offset > elf.len - k.seg[i].filesz)
				abort();
		}
		if (layout_plan(&l, "fuzz", &k, RAM_PAGES, 12345, &e) == 0 &&
		    (l.end > RAM_PAGES || l.low.count > RAM_PAGES || k.pend >> 12 > l.end))
			abort();
	}
	image_free(&elf);
	return 0;
}
