/*
 * confine.c - works out what a machine still needs and gives up the rest.
 */
#include <stdlib.h>

#include "lib/disks.h"
#include "lib/net.h"
#include "lib/runtime.h"
#include "lib/sandbox.h"
#include "lib/session.h"
#include "lib/trace.h"
#include "lib/vm.h"

struct places {
	char runtime[RUNTIME_PATH], traces[TTD_PATH_MAX], kernels[TTD_PATH_MAX];
};

/* Another machine like it, after a reboot: its files are opened anew. */
static void needs_again(const struct ttd_vm *vm, struct places *p, struct sandbox *s)
{
	s->needs |= SANDBOX_WRITE;
	if (vm->recording != NULL && ttd_trace_root(p->traces, NULL) == 0)
		sandbox_write(s, p->traces);
	if (trace_cache(p->kernels, "kernels", false, NULL) == 0)
		sandbox_read(s, p->kernels);
	disks_need_again(vm->disks, s);
	if (s->needs & SANDBOX_TAP)
		sandbox_write(s, "/dev/net/tun");
}

static int apply(const struct sandbox *s, struct err *e)
{
	return sandbox_files(s, e) < 0 ? -1 : sandbox_calls(s, e);
}

static int confine(const struct ttd_vm *vm, unsigned flags, struct places *p, struct err *e)
{
	struct sandbox s = {0};

	sandbox_read(&s, vm->kernel);
	sandbox_read(&s, vm->ramdisk);
	if (runtime_dir(p->runtime, NULL) == 0)
		sandbox_write(&s, p->runtime); /* the control socket goes away at the end */
	if (vm->recording != NULL)
		recording_needs(vm->recording, &s);
	if (vm->replaying != NULL)
		replaying_needs(vm->replaying, &s);
	if (vm->nvifs > 0 && vm->replaying == NULL)
		s.needs |= SANDBOX_NET | (net_has_tap(vm) ? SANDBOX_TAP : 0u);
	if (flags & TTD_CONFINE_AGAIN)
		needs_again(vm, p, &s);
	return apply(&s, e);
}

int ttd_vm_confine(struct ttd_vm *vm, unsigned flags, struct ttd_error *err)
{
	struct places *p = calloc(1, sizeof *p);
	struct err e;
	int rc = p != NULL ? confine(vm, flags, p, &e) : err_set(&e, ST_HOST, "out of memory");

	free(p);
	if (rc != 0)
		vm_error(err, &e);
	return rc;
}

/* Debug information is looked for in many places, so anything can be read. */
int ttd_session_confine(struct ttd_session *s, unsigned flags, const char *folder,
	struct ttd_error *err)
{
	struct sandbox b = {0};
	struct err e;

	(void)s;
	if (folder != NULL)
		b.needs |= SANDBOX_WRITE;
	if (flags & TTD_CONFINE_CHILDREN)
		b.needs |= SANDBOX_CHILDREN;
	sandbox_read(&b, "/");
	sandbox_write(&b, folder);
	if (apply(&b, &e) == 0)
		return 0;
	vm_error(err, &e);
	return -1;
}
