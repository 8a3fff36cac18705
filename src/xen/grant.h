/*
 * grant.h - the guest's grant table.
 *
 * The table is frames of entries that the guest fills in: 8 bytes each in version
 * 1, 16 in version 2, which keeps the flags that the hypervisor sets in frames of
 * their own.  An entry that somebody has mapped is *pinned*; who and how often is
 * known here, as in Xen's active entries, so that the guest may write into a
 * pinned entry what it likes.  Two domains use them: dom0, that is our backends,
 * and the guest itself.
 */
#ifndef TTD_XEN_GRANT_H
#define TTD_XEN_GRANT_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/mem.h"
#include "util/bytes.h"

struct domain;
struct vcpu;

enum {
	GRANT_FRAMES = 64,
	GRANT_STATUS_FRAMES = 8, /* 2-byte words for all entries of version 2 */
	GRANT_ENTRIES = GRANT_FRAMES * PAGE_SIZE / 8,
	MAPTRACK_PAGE = 256,     /* handles come to be this many at a time, as in Xen */
	MAPTRACK_MAX = 1024 * MAPTRACK_PAGE,
};

/* Four counts of 8 bits each: mappings by {host, device}, to {write, read}. */
enum {
	PIN_HOST_WRITE = 1, PIN_HOST_READ = 1 << 8, PIN_DEV_WRITE = 1 << 16,
	PIN_DEV_READ = 1 << 24, PIN_WRITERS = 0xff00ff,
};

struct grant_active {
	uint32_t pin;   /* 0: the rest means nothing */
	uint16_t domid; /* who maps it */
	mfn_t mfn;
};

/* By handle: a mapping of the guest's, or a link of the list of free handles. */
struct maptrack {
	uint32_t ref; /* free: the next handle, MAPTRACK_NONE: the last */
	uint16_t flags; /* GNTMAP_*; 0: free */
};
#define MAPTRACK_NONE UINT32_MAX

struct grant_state {
	mfn_t first; /* of GRANT_FRAMES and then GRANT_STATUS_FRAMES frames */
	uint32_t nr_frames, nr_status; /* that the guest has got of them */
	uint8_t version;
	uint32_t pinned; /* entries with a pin */
	struct grant_active active[GRANT_ENTRIES];
	struct maptrack *track;
	uint32_t track_limit, track_head, track_tail;
};

static inline bool grant_is_shared(const struct grant_state *g, mfn_t mfn)
{
	return mfn - g->first < g->nr_frames ||
		mfn - (g->first + GRANT_FRAMES) < g->nr_status;
}

void grant_init(struct grant_state *g, mfn_t first); /* of zeroes */
void grant_fini(struct grant_state *g);
/* As the toolstack leaves it: dom0 has mapped the frame by this reference. */
int grant_seed(struct domain *d, uint32_t ref, mfn_t mfn);

/* Bytes [off, off + len) of a frame that somebody may access. */
struct grant_area {
	mfn_t mfn;
	uint32_t off, len;
};
/*
 * What `who` may copy from (or to) now by a reference: GNTST_okay, or why not
 * and *a is undefined.
 */
int grant_for_copy(struct domain *d, uint32_t ref, uint16_t who, bool write,
	struct grant_area *a);
/*
 * Pins an entry for a mapping, by incr of PIN_*; GNTST_okay, or why not.  The
 * guest sees that it is in use until grant_unpin() with the same arguments.
 */
int grant_pin(struct domain *d, uint32_t ref, uint16_t who, uint32_t incr, bool readonly,
	mfn_t *mfn);
void grant_unpin(struct domain *d, uint32_t ref, uint32_t incr, bool readonly);
uint32_t grant_pins_of(uint32_t flags); /* GNTMAP_* */

void grant_save(const struct grant_state *g, struct wbuf *w);
int grant_load(struct grant_state *g, struct rbuf *r);

/* For the files of grants. */
uint32_t grant_entries(const struct grant_state *g); /* how many there are */
int64_t grant_set_version(struct vcpu *v, gva_t va);
void grant_clear_frame(struct domain *d, mfn_t mfn);
void grant_grow_status(struct domain *d); /* as many as the frames need: */
uint32_t grant_status_frames(uint32_t frames);
/* GNTTABOP_*; *op is a copy of the guest's, its status is set. */
void grant_map(struct vcpu *v, void *op);
void grant_unmap(struct vcpu *v, void *op);
void grant_unmap_and_replace(struct vcpu *v, void *op);
void grant_copy(struct vcpu *v, void *op);

/* Whose table: 1 the guest's, 0 dom0's, -1 there is no such domain. */
int grant_domain(uint16_t dom);
/* Dom0's own table has DOM0_ENTRIES entries, and grants the guest nothing. */
enum { DOM0_ENTRIES = 512 };
int grant_of_dom0(uint32_t ref);

#endif
