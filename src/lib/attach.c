/*
 * attach.c - a public machine on its control socket: fills the table of
 * daemon/control.h.
 */
#include "daemon/control.h"
#include "lib/vm.h"

static enum ttd_vm_state state(void *ctx)
{
	return ttd_vm_state(ctx);
}

static void hold(void *ctx)
{
	ttd_vm_pause(ctx);
}

static void let_go(void *ctx)
{
	ttd_vm_unpause(ctx);
}

static void stop(void *ctx)
{
	ttd_vm_stop(ctx);
}

static void shut_down(void *ctx, const char *how)
{
	ttd_vm_shutdown(ctx, how);
}

static void console_in(void *ctx, const void *p, size_t n)
{
	ttd_vm_console_in(ctx, p, n);
}

static uint32_t memory(void *ctx)
{
	return ttd_vm_memory(ctx);
}

static int set_memory(void *ctx, uint32_t mb)
{
	return ttd_vm_set_memory(ctx, mb);
}

static const struct control_ops ops = {
	.state = state, .pause = hold, .unpause = let_go, .stop = stop, .shutdown = shut_down,
	.console_in = console_in, .memory = memory, .set_memory = set_memory,
};

void ttd_control_attach(struct ttd_control *c, struct ttd_vm *vm)
{
	struct control_machine m = {.ops = &ops, .ctx = vm};

	if (vm != NULL) {
		m.kind = vm->kind;
		m.maxmem_mb = vm->maxmem_mb;
	}
	control_attach(c, vm != NULL ? &m : NULL);
}
