/*
 * diverge.c - records and divergences in XenTT's words.
 */
#include "event/replay.h"

#include <inttypes.h>
#include <stdio.h>

/* XenTT's number for exceptions is 16; the others follow. */
static const struct {
	const char *name;
	unsigned number;
} kinds[LOG_TYPES] = {
	[LOG_INPUT] = { "TTD_INPUT", 1 },
	[LOG_MARK] = { "TTD_MARK", 2 },
	[LOG_DIGEST] = { "TTD_DIGEST", 3 },
	[LOG_EXCEPTION] = { "TTD_EXCEPTION", 16 },
	[LOG_HYPERCALL] = { "TTD_HYPERCALL", 17 },
	[LOG_UPCALL] = { "TTD_UPCALL", 18 },
	[LOG_FRAME] = { "TTD_FRAME", 19 },
	[LOG_PAGES] = { "TTD_PAGES", 4 },
	[LOG_REGISTERS] = { "TTD_REGISTERS", 5 },
	[LOG_EXITS] = { "TTD_EXITS", 20 },
};

static const char *const inputs[EV_TYPES] = {
	[EV_WALLCLOCK] = "wallclock", [EV_TIME] = "time", [EV_IDLE] = "idle",
	[EV_CONSOLE] = "console", [EV_CONTROL] = "control", [EV_SYSRQ] = "sysrq",
	[EV_STOP] = "stop", [EV_DIGEST] = "digest",
	[EV_BLOCK] = "block", [EV_NET] = "net", [EV_MEMORY] = "memory",
};

/* As Linux calls their handlers. */
static const char *const exceptions[32] = {
	"do_divide_error", "do_debug", "do_nmi", "do_int3", "do_overflow", "do_bounds",
	"do_invalid_op", "do_device_not_available", "do_double_fault", NULL, "do_invalid_TSS",
	"do_segment_not_present", "do_stack_segment", "do_general_protection", "do_page_fault",
	NULL, "do_coprocessor_error", "do_alignment_check", "do_machine_check",
	"do_simd_coprocessor_error",
};

/* xen/include/public/xen.h, __HYPERVISOR_*. */
static const char *const hypercalls[64] = {
	[0] = "set_trap_table", [1] = "mmu_update", [2] = "set_gdt", [3] = "stack_switch",
	[4] = "set_callbacks", [5] = "fpu_taskswitch", [6] = "sched_op_compat",
	[7] = "platform_op", [8] = "set_debugreg", [9] = "get_debugreg",
	[10] = "update_descriptor", [12] = "memory_op", [13] = "multicall",
	[14] = "update_va_mapping", [15] = "set_timer_op", [16] = "event_channel_op_compat",
	[17] = "xen_version", [18] = "console_io", [19] = "physdev_op_compat",
	[20] = "grant_table_op", [21] = "vm_assist", [22] = "update_va_mapping_otherdomain",
	[23] = "iret", [24] = "vcpu_op", [25] = "set_segment_base", [26] = "mmuext_op",
	[27] = "xsm_op", [28] = "nmi_op", [29] = "sched_op", [30] = "callback_op",
	[31] = "xenoprof_op", [32] = "event_channel_op", [33] = "physdev_op", [34] = "hvm_op",
	[35] = "sysctl", [36] = "domctl", [37] = "kexec_op", [38] = "tmem_op",
	[39] = "argo_op", [40] = "xenpmu_op", [41] = "dm_op", [42] = "hypfs_op",
};

const char *log_hypercall_name(unsigned nr)
{
	return nr < 64 ? hypercalls[nr] : NULL;
}

const char *log_event_name(const struct log_record *r)
{
	const char *name = r->type < LOG_TYPES ? kinds[r->type].name : NULL;

	return name != NULL ? name : "TTD_END";
}

unsigned log_event_number(const struct log_record *r)
{
	return r->type < LOG_TYPES ? kinds[r->type].number : 0;
}

const char *log_info_name(const struct log_record *r)
{
	const char *name = NULL;

	switch (r->type) {
	case LOG_INPUT: name = r->code < EV_TYPES ? inputs[r->code] : NULL; break;
	case LOG_EXCEPTION: name = r->code < 32 ? exceptions[r->code] : NULL; break;
	case LOG_HYPERCALL: name = log_hypercall_name(r->code); break;
	case LOG_UPCALL: name = "evtchn_upcall"; break;
	case LOG_FRAME: name = "net_transmit"; break;
	default: break;
	}
	return name != NULL ? name : "none";
}

static void event_text(const struct log_record *r, char *text, size_t n)
{
	snprintf(text, n, "%s(%u),info:%s(%u)", log_event_name(r), log_event_number(r),
		log_info_name(r), r->code);
}

void log_record_text(const struct log_record *r, char *text, size_t n)
{
	char event[128];

	event_text(r, event, sizeof event);
	snprintf(text, n, "brctr:%" PRIu64 ", ip:0x%" PRIx64 ", icount:%" PRIu64 ", %s",
		r->pos.brctr, r->pos.rip, r->pos.icount, event);
}

/*
 * Three cases: the log has an event that did not come, or came otherwise; the
 * guest did something at the place of a later event; the run ended otherwise.
 */
void divergence_line(const struct divergence *d, char *text, size_t n)
{
	const struct log_record *x = d->expected.type != 0 ? &d->expected : &d->actual;
	const char *func = "replay_witness", *what = "Replay missed event";
	char event[128], ip[24];

	if (d->actual.type == 0) {
		func = "replay_next";
	} else if (d->expected.type == 0 ||
		d->expected.pos.icount > d->actual.pos.icount) {
		what = "Replay got unexpected event";
		x = &d->actual;
	}
	if (d->final) {
		func = "replay_finish";
		what = "Replay ended differently";
	}
	event_text(x, event, sizeof event);
	/* Logs of the first format do not say where a run ended. */
	snprintf(ip, sizeof ip, d->final && d->expected.pos.rip == 0 ? "unknown" : "0x%" PRIx64,
		d->expected.pos.rip);
	snprintf(text, n, "TT_LOG:(cpu(0): %s) Error:%s:%s:now (brctr:%" PRIu64 ", ip:0x%" PRIx64
		"), event (brctr:%" PRIu64 ", ip:%s)", func, what, event, d->now.brctr,
		d->now.rip, d->expected.pos.brctr, ip);
}
