/*
 * vm.h - what a machine of the public interface is made of.
 */
#ifndef TTD_LIB_VM_H
#define TTD_LIB_VM_H

#include <ttd/ttd.h>

#include "event/gate.h"
#include "util/err.h"
#include "xen/domain.h"

struct disks;     /* disks.h */
struct recording; /* record.c */
struct replaying; /* replay.c */
struct autosave;  /* timeline/autosave.h */
struct dev;
struct vif;

enum { VM_DEVICES = 32 };

struct ttd_vm {
	struct domain *domain;
	struct gate *gate;
	const char *kind; /* "run", "record" or "replay" */
	uint32_t memory_mb;
	char *name, *kernel, *ramdisk, *cmdline; /* the domain borrows them */
	struct disks *disks;
	struct recording *recording; /* NULL: it is none */
	struct replaying *replaying;
	struct autosave *autosave;   /* NULL: no checkpoints are taken */
	struct dev *device[VM_DEVICES]; /* the domain borrows them */
	unsigned ndevices;
	struct vif *vif[TTD_VIFS_MAX];
	unsigned nvifs;
	struct frame_watch *frame_watch; /* net.c */
};

/* What the caller's configuration does not say. */
struct vm_extra {
	struct source *(*source)(void *ctx, const struct live_params *live, struct err *e);
	void *source_ctx;
	uint64_t stop_brctr;
	bool replay; /* devices do without the host */
	struct disks *disks; /* with their overlays; taken over, also on failure */
};

struct ttd_vm *vm_create(const struct ttd_config *cfg, const struct vm_extra *x, struct err *e);
/* For a public function that failed: fills *err (may be NULL). */
void vm_error(struct ttd_error *err, const struct err *e);

/* What it will still need, for sandbox.h. */
struct sandbox;
void recording_needs(const struct recording *r, struct sandbox *s);
void replaying_needs(const struct replaying *r, struct sandbox *s);

void recording_stop(struct recording *r); /* [any thread, async-signal-safe] */
int recording_finish(struct ttd_vm *vm, struct ttd_result *r);
void recording_free(struct recording *r);
int replaying_finish(struct ttd_vm *vm, struct ttd_result *r);
void replaying_free(struct replaying *r);
void replaying_stop(struct replaying *r); /* [any thread, async-signal-safe] ends a pause */

#endif
