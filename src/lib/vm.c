/*
 * vm.c - the public machine: a thin layer over xen/domain.h that copies what
 * the caller gave and checks what a program could get wrong.
 */
#include "cpu/cpu.h"
#include "lib/net.h"
#include "timeline/autosave.h"

#include <stdlib.h>
#include <string.h>

#include "lib/disks.h"
#include "lib/kept.h"
#include "lib/restored.h"
#include "sandbox/sandbox.h"
#include "util/options.h"
#include "util/path.h"

#define SAME(a, b) _Static_assert((int)(a) == (int)(b), #a " must equal " #b)
SAME(TTD_CLOCK_HOST, CLOCK_HOST);
SAME(TTD_CLOCK_VIRTUAL, CLOCK_VIRTUAL);
SAME(TTD_END_POWEROFF, DOMAIN_POWEROFF);
SAME(TTD_END_REBOOT, DOMAIN_REBOOT);
SAME(TTD_END_SUSPEND, DOMAIN_SUSPEND);
SAME(TTD_END_CRASH, DOMAIN_CRASH);
SAME(TTD_END_STOPPED, DOMAIN_STOPPED);
SAME(TTD_END_DIVERGED, DOMAIN_DIVERGED);

const char *ttd_version(void)
{
	return TTD_VERSION;
}

static int check(const struct ttd_config *cfg, struct ttd_error *e)
{
	if (cfg->kernel == NULL || *cfg->kernel == '\0')
		return err_set(e, TTD_USAGE, "no kernel was given");
	if (cfg->memory_mb < TTD_MEMORY_MIN || cfg->memory_mb > TTD_MEMORY_MAX)
		return err_set(e, TTD_USAGE, "memory: %u MB; give %d to %d", cfg->memory_mb,
			TTD_MEMORY_MIN, TTD_MEMORY_MAX);
	if (cfg->maxmem_mb != 0 && (cfg->maxmem_mb < cfg->memory_mb ||
		cfg->maxmem_mb > TTD_MEMORY_MAX))
		return err_set(e, TTD_USAGE, "maxmem: %u MB; give %u (the memory) to %d",
			cfg->maxmem_mb, cfg->memory_mb, TTD_MEMORY_MAX);
	if (cfg->clock != TTD_CLOCK_HOST && cfg->clock != TTD_CLOCK_VIRTUAL)
		return err_set(e, TTD_USAGE, "clock: %d is neither host nor virtual",
			(int)cfg->clock);
	return 0;
}

static int copy(char **to, const char *from, struct ttd_error *e)
{
	if (from == NULL)
		return 0;
	*to = strdup(from);
	return *to != NULL ? 0 : err_set(e, TTD_HOST, "out of memory");
}

/* A front end that did not ask for the console's output does not see it. */
static void discard(void *ctx, const void *p, size_t n)
{
	(void)ctx;
	(void)p;
	(void)n;
}

struct maker {
	struct ttd_vm *vm;
	const struct vm_extra *x;
};

/* The domain's source: what the extras say, or a live one; with a gate around it. */
static struct source *make_source(void *ctx, const struct live_params *live, struct ttd_error *e)
{
	struct maker *m = ctx;
	struct source *s;

	m->vm->gate = gate_create(e);
	if (m->vm->gate == NULL)
		return NULL;
	s = m->x != NULL ? m->x->source(m->x->source_ctx, live, e) : live_create(live, e);
	return s != NULL ? gate_wrap(m->vm->gate, s, live) : NULL;
}

/* A plain run's disks; others' have been opened. */
static int own_disks(struct ttd_vm *vm, const struct ttd_config *cfg, struct ttd_error *e)
{
	if (disks_open(cfg->disks, cfg->ndisks, false, &vm->disks, e) != 0)
		return -1;
	return disks_overlays(vm->disks, NULL, NULL, false, false, e);
}

static int create(struct ttd_vm *vm, const struct ttd_config *cfg, const struct vm_extra *x,
	struct ttd_error *e)
{
	struct domain_config dc = {0};
	struct maker maker = {.vm = vm, .x = x};
	struct model model;
	char unpacked[TTD_PATH_MAX];
	struct ttd_error none;

	if (x != NULL)
		model = x->model;
	else if (model_config(&model, cfg, e) != 0)
		return -1;
	if (copy(&vm->name, cfg->name != NULL ? cfg->name : "guest", e) != 0 ||
		copy(&vm->kernel, cfg->kernel, e) != 0 ||
		copy(&vm->ramdisk, cfg->ramdisk, e) != 0 ||
		copy(&vm->cmdline, cfg->cmdline, e) != 0 ||
		(x == NULL && own_disks(vm, cfg, e) != 0) ||
		disks_devices(vm->disks, cfg->note, cfg->note_ctx, e) != 0)
		return -1;
	for (unsigned i = 0; i < disks_count(vm->disks); i++)
		vm->device[vm->ndevices++] = disks_dev(vm->disks, i);
	dc.name = vm->name;
	dc.kernel = vm->kernel;
	dc.restored = vm->restored = cfg->restored != 0;
	if (!dc.restored)
		kept_prepare(vm->kernel, false);
	if (path_cache(unpacked, "kernels", !sandbox_in_force(), &none) == 0)
		dc.unpacked = unpacked;
	dc.ramdisk = vm->ramdisk;
	dc.cmdline = vm->cmdline;
	dc.memory_mb = cfg->memory_mb;
	dc.maxmem_mb = vm->maxmem_mb = cfg->maxmem_mb != 0 ? cfg->maxmem_mb : cfg->memory_mb;
	dc.clock = (enum domain_clock)cfg->clock;
	dc.strict_mmu = cfg->strict_mmu != 0;
	dc.isa = model.isa;
	memcpy(dc.seed, model.seed, sizeof dc.seed);
	dc.note = cfg->note;
	dc.note_ctx = cfg->note_ctx;
	dc.reference = cfg->reference != 0;
	dc.untrusted = cfg->untrusted != 0;
	dc.space_after = cfg->space_after;
	dc.wallclock_sec = cfg->wallclock_sec;
	dc.stop_icount = cfg->stop_icount;
	dc.console_out = cfg->console_out != NULL ? cfg->console_out : discard;
	dc.console_ctx = cfg->console_ctx;
	dc.source = make_source;
	dc.source_ctx = &maker;
	if (x != NULL)
		dc.stop_brctr = x->stop_brctr;
	if (net_create(vm, cfg, x == NULL || !x->replay, e) != 0)
		return -1;
	dc.devices = vm->device;
	dc.ndevices = vm->ndevices;
	vm->kind = "run";
	vm->domain = domain_create(&dc, e);
	return vm->domain != NULL ? 0 : -1;
}

struct ttd_vm *vm_create(const struct ttd_config *cfg, const struct vm_extra *x,
	struct ttd_error *e)
{
	struct ttd_vm *vm = calloc(1, sizeof *vm);

	if (vm == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		if (x != NULL)
			disks_free(x->disks);
		return NULL;
	}
	vm->disks = x != NULL ? x->disks : NULL;
	if (check(cfg, e) == 0 && create(vm, cfg, x, e) == 0)
		return vm;
	ttd_vm_destroy(vm);
	return NULL;
}

int config_take(struct ttd_config *own, const struct ttd_config *cfg, struct ttd_error *e)
{
	if (OPTIONS_TAKE(own, cfg, note_ctx, "TTD_CONFIG_INIT", e) != 0)
		return -1;
	return own->restored ? restored_config(own, e) : 0;
}

struct ttd_vm *ttd_vm_create(const struct ttd_config *cfg, struct ttd_error *err)
{
	struct ttd_config own;
	struct ttd_vm *vm = NULL;
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (config_take(&own, cfg, e) == 0)
		vm = vm_create(&own, NULL, e);
	return vm;
}

/* The domain first: its source uses what the other two hold. */
void ttd_vm_destroy(struct ttd_vm *vm)
{
	if (vm == NULL)
		return;
	autosave_free(vm->autosave, NULL);
	if (vm->domain != NULL)
		domain_destroy(vm->domain);
	net_free(vm);
	disks_free(vm->disks);
	recording_free(vm->recording);
	replaying_free(vm->replaying);
	gate_free(vm->gate);
	free(vm->name);
	free(vm->kernel);
	free(vm->ramdisk);
	free(vm->cmdline);
	free(vm);
}

int ttd_vm_finish(struct ttd_vm *vm, struct ttd_result *result)
{
	memset(result, 0, sizeof *result);
	if (vm->recording != NULL)
		return recording_finish(vm, result);
	if (vm->replaying != NULL)
		return replaying_finish(vm, result);
	return -1;
}

const char *ttd_vm_name(const struct ttd_vm *vm)
{
	return vm->name;
}

enum ttd_end ttd_vm_run(struct ttd_vm *vm)
{
	cpu_begin(domain_vcpu(vm->domain));
	if (vm->autosave != NULL)
		return (enum ttd_end)autosave_run(vm->autosave);
	return (enum ttd_end)domain_run(vm->domain);
}

const char *ttd_vm_crash_reason(const struct ttd_vm *vm)
{
	const char *reason = domain_crash_reason(vm->domain);

	return reason != NULL ? reason : "";
}

size_t ttd_vm_console_in(struct ttd_vm *vm, const void *p, size_t n)
{
	domain_console_in(vm->domain, p, n);
	return n;
}

void ttd_vm_shutdown(struct ttd_vm *vm, const char *how)
{
	domain_shutdown(vm->domain, how);
}

int ttd_vm_set_memory(struct ttd_vm *vm, uint32_t mb)
{
	return vm->replaying != NULL ? -1 : domain_set_memory(vm->domain, (uint64_t)mb << 10);
}

uint32_t ttd_vm_memory(const struct ttd_vm *vm)
{
	return (uint32_t)(domain_memory(vm->domain) >> 10);
}

void ttd_vm_stop(struct ttd_vm *vm)
{
	replaying_stop(vm->replaying);
	recording_stop(vm->recording);
	domain_stop(vm->domain);
}

void ttd_vm_pause(struct ttd_vm *vm)
{
	gate_hold(vm->gate, GATE_USER, true);
}

void ttd_vm_unpause(struct ttd_vm *vm)
{
	gate_hold(vm->gate, GATE_USER, false);
}

enum ttd_vm_state ttd_vm_state(const struct ttd_vm *vm)
{
	static const enum ttd_vm_state states[] = {
		[GATE_RUNNING] = TTD_STATE_RUNNING, [GATE_IDLE] = TTD_STATE_BLOCKED,
		[GATE_HELD] = TTD_STATE_PAUSED,
	};

	return states[gate_state(vm->gate)];
}
