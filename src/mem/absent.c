/*
 * absent.c - frames that leave the guest and come back (a balloon).
 *
 * Nobody knows where a frame is mapped, and a correct guest has taken the mappings
 * away before it gives the frame up.  So all of the TLB goes; when many frames leave
 * in a row, only the first finds something there.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "mem/internal.h"
#include "util/zero.h"

static void forget_all(struct mem *m, mfn_t mfn)
{
	struct frame *fr = frame_of(m, mfn);

	root_changes(m, mfn);
	mem_space_end(m);
	tlb_flush_all(m);
	fr->flags &= (uint8_t)~(FRAME_PT | FRAME_ROOT);
	frame_no_writer(fr);
	fr->pt_epoch[HALF_USER] = fr->pt_epoch[HALF_KERNEL] = 0;
}

void mem_frame_leave(struct mem *m, mfn_t mfn)
{
	if (!mem_is_ram(m, mfn))
		return;
	mem_write_frame(m, mfn, 0, zero_page, PAGE_SIZE); /* code, watches, epochs */
	forget_all(m, mfn);
	frame_of(m, mfn)->flags |= FRAME_ABSENT;
	/* Zero as it is; where the host does not take it that is all right, too. */
	madvise(frame_host(m, mfn), PAGE_SIZE, m->space.fd >= 0 ? MADV_REMOVE : MADV_DONTNEED);
}

void mem_frame_enter(struct mem *m, mfn_t mfn)
{
	if (mfn - MEM_FIRST_MFN < m->ram_pages)
		frame_of(m, mfn)->flags &= (uint8_t)~FRAME_ABSENT;
}

void mem_set_absent(struct mem *m, const uint64_t *absent)
{
	for (uint64_t i = 0; i < m->ram_pages; i++) {
		bool gone = absent[i / 64] >> i % 64 & 1;

		if (gone == ((m->frames[i].flags & FRAME_ABSENT) != 0))
			continue;
		m->frames[i].flags ^= FRAME_ABSENT;
		if (gone)
			forget_all(m, MEM_FIRST_MFN + i);
	}
}
