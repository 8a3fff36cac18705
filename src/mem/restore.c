/*
 * restore.c - guest memory goes back to how it was at a checkpoint.
 *
 * The TLB is emptied as a whole, so what the frames tell about page tables is
 * only FRAME_PT itself.  Code is kept where the frame's bytes are the same.
 */
#include <string.h>

#include "mem/internal.h"

void mem_restore_frame(struct mem *m, mfn_t mfn, const uint8_t *page)
{
	uint8_t *to = frame_host(m, mfn);

	if (memcmp(to, page, PAGE_SIZE) == 0)
		return;
	tlb_code_changed(m, mfn, 0, PAGE_SIZE);
	note_write(m, mfn);
	memcpy(to, page, PAGE_SIZE);
}

void mem_restore_end(struct mem *m, const uint8_t *pt)
{
	mem_space_end(m);
	tlb_flush_all(m);
	m->restored = true;
	m->roots_gen++;
	for (uint64_t i = 0; i < m->all_pages; i++) {
		struct frame *fr = &m->frames[i];
		bool is_pt = pt[i / 8] >> i % 8 & 1;

		if (is_pt == ((fr->flags & FRAME_PT) != 0))
			continue;
		fr->flags ^= FRAME_PT;
		fr->pt_epoch[HALF_USER] = fr->pt_epoch[HALF_KERNEL] = 0;
	}
}

void mmu_restore(struct mmu *u, mfn_t kernel, mfn_t user)
{
	u->root[MEM_KERNEL] = kernel;
	u->root[MEM_USER] = user;
}

void mem_pt_bits(const struct mem *m, uint8_t *pt)
{
	memset(pt, 0, (m->all_pages + 7) / 8);
	for (uint64_t i = 0; i < m->all_pages; i++)
		if (m->frames[i].flags & FRAME_PT)
			pt[i / 8] |= (uint8_t)(1u << i % 8);
}
