/*
 * hypercall.h - the hypercalls: by number (hypercall.c), and which there are.
 */
#ifndef TTD_XEN_HYPERCALL_H
#define TTD_XEN_HYPERCALL_H

#include <stdbool.h>
#include <stdint.h>

struct domain;
struct vcpu;

struct hypercall_args {
	uint64_t a[6];
};
/* How far the hypercall in progress has come; nothing of it outlives the call. */
struct hypercall_progress {
	uint32_t work;   /* done so far, in units of a page-table entry */
	bool again;      /* stopped half-way: to be called again, with args */
	bool left;       /* by HYPERVISOR_iret: there is nothing to return to */
	struct hypercall_args args;
};

typedef int64_t hypercall_fn(struct vcpu *v, const struct hypercall_args *h);
void hypercall(struct vcpu *v);
/* Counts work; true when a long call should give way, by hypercall_again(). */
bool hypercall_work(struct domain *d, uint32_t units);
int64_t hypercall_again(struct vcpu *v, const struct hypercall_args *h);

hypercall_fn hc_set_trap_table, hc_mmu_update, hc_set_gdt, hc_stack_switch,
	hc_fpu_taskswitch, hc_set_debugreg, hc_get_debugreg, hc_update_descriptor,
	hc_memory_op, hc_update_va_mapping, hc_set_timer_op,
	hc_xen_version, hc_console_io, hc_grant_table_op, hc_vm_assist, hc_iret,
	hc_vcpu_op, hc_set_segment_base, hc_mmuext_op, hc_sched_op, hc_callback_op,
	hc_event_channel_op, hc_physdev_op, hc_set_callbacks, hc_nmi_op, hc_sched_op_compat;

#endif
