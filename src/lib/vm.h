/*
 * vm.h - what a machine of the public interface is made of.
 */
#ifndef TTD_LIB_VM_H
#define TTD_LIB_VM_H

#include <ttd/ttd.h>

#include "event/gate.h"
#include "lib/model.h"
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
	uint32_t maxmem_mb;
	char *name, *kernel, *ramdisk, *cmdline; /* the domain borrows them */
	bool restored; /* `kernel` is a saved guest */
	struct disks *disks;
	struct recording *recording; /* NULL: it is none */
	struct replaying *replaying;
	struct autosave *autosave;   /* NULL: no checkpoints are taken */
	struct dev *device[VM_DEVICES]; /* the domain borrows them */
	unsigned ndevices;
	struct vif *vif[TTD_VIFS_MAX];
	unsigned nvifs;
	struct capture *capture; /* net.c */
};

/* What the caller's configuration does not say. */
struct vm_extra {
	struct source *(*source)(void *ctx, const struct live_params *live, struct ttd_error *e);
	void *source_ctx;
	uint64_t stop_brctr;
	bool replay; /* devices do without the host */
	struct model model;
	struct disks *disks; /* with their overlays; taken over, also on failure */
};

/* A public function's: filled in from what the caller gave. */
int config_take(struct ttd_config *own, const struct ttd_config *cfg, struct ttd_error *e);
struct ttd_vm *vm_create(const struct ttd_config *cfg, const struct vm_extra *x,
	struct ttd_error *e);

/* What it will still need; what is filled in is borrowed. */
struct subject; /* rights.h */
void recording_rights(const struct recording *r, struct subject *s);

void recording_stop(struct recording *r); /* [any thread, async-signal-safe] */
int recording_finish(struct ttd_vm *vm, struct ttd_result *r);
void recording_free(struct recording *r);
int replaying_finish(struct ttd_vm *vm, struct ttd_result *r);
void replaying_free(struct replaying *r);
void replaying_stop(struct replaying *r); /* [any thread, async-signal-safe] ends a pause */

#endif
