/*
 * callback.c - where the guest tells how it wants to be entered: trap table,
 * callbacks, kernel stack.  trap.c enters it.
 *
 * The NMI callback is an entry of the trap table, which masks events.
 */
#include "xen/internal.h"

#include <errno.h>
#include <string.h>

#include <xen/callback.h>
#include <xen/nmi.h>

#include "xen/guestcopy.h"

/* Entries merge into the table; one with address 0 ends the list. */
int64_t hc_set_trap_table(struct vcpu *v, const struct hypercall_args *h)
{
	struct hypercall_args left = *h;
	struct trap_info t;

	if (left.a[0] == 0) {
		memset(v->trap.trap, 0, sizeof v->trap.trap);
		return 0;
	}
	for (;; left.a[0] += sizeof t) {
		if (hypercall_work(v->d, 4))
			return hypercall_again(v, &left);
		if (copy_from_guest(v, &t, left.a[0], sizeof t) < 0)
			return -EFAULT;
		if (t.address == 0)
			return 0;
		if (!mem_canonical(t.address))
			return -EINVAL;
		v->trap.trap[t.vector] = (struct trap_entry){
			.flags = t.flags, .cs = t.cs | 3, .addr = t.address,
		};
	}
}

int64_t hc_stack_switch(struct vcpu *v, const struct hypercall_args *h)
{
	v->trap.kernel_ss = (h->a[0] & 0xffff) | 3;
	v->trap.kernel_sp = h->a[1];
	return 0;
}

static int64_t register_nmi(struct vcpu *v, uint64_t address)
{
	if (!mem_canonical(address))
		return -EINVAL;
	v->trap.trap[VEC_NMI] = (struct trap_entry){
		.flags = 4, .cs = FLAT_KERNEL_CS, .addr = address,
	};
	return 0;
}

static void unregister_nmi(struct vcpu *v)
{
	v->trap.trap[VEC_NMI] = (struct trap_entry){0};
}

static int64_t register_one(struct vcpu *v, const struct callback_register *r)
{
	if (!mem_canonical(r->address))
		return -EINVAL;
	switch (r->type) {
	case CALLBACKTYPE_event:
	case CALLBACKTYPE_failsafe:
	case CALLBACKTYPE_syscall:
	case CALLBACKTYPE_sysenter:
	case CALLBACKTYPE_syscall32:
		v->trap.callback[r->type] = (struct callback){
			.addr = r->address, .mask_events = r->flags & CALLBACKF_mask_events,
		};
		return 0;
	case CALLBACKTYPE_nmi:
		return register_nmi(v, r->address);
	default:
		return -ENOSYS;
	}
}

static int64_t callback_register(struct vcpu *v, gva_t va)
{
	struct callback_register r;

	if (copy_from_guest(v, &r, va, sizeof r) < 0)
		return -EFAULT;
	return register_one(v, &r);
}

static int64_t callback_unregister(struct vcpu *v, gva_t va)
{
	struct callback_unregister u;

	if (copy_from_guest(v, &u, va, sizeof u) < 0)
		return -EFAULT;
	switch (u.type) {
	case CALLBACKTYPE_event:
	case CALLBACKTYPE_failsafe:
	case CALLBACKTYPE_syscall:
	case CALLBACKTYPE_sysenter:
	case CALLBACKTYPE_syscall32:
		return -EINVAL;
	case CALLBACKTYPE_nmi:
		unregister_nmi(v);
		return 0;
	default:
		return -ENOSYS;
	}
}

int64_t hc_callback_op(struct vcpu *v, const struct hypercall_args *h)
{
	switch ((uint32_t)h->a[0]) {
	case CALLBACKOP_register:
		return callback_register(v, h->a[1]);
	case CALLBACKOP_unregister:
		return callback_unregister(v, h->a[1]);
	default:
		return -ENOSYS;
	}
}

/* The older way to register three of them, which tells of no error. */
int64_t hc_set_callbacks(struct vcpu *v, const struct hypercall_args *h)
{
	static const uint16_t types[] = { CALLBACKTYPE_event, CALLBACKTYPE_failsafe,
		CALLBACKTYPE_syscall };

	for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
		const struct callback_register r = { .type = types[i], .address = h->a[i] };

		register_one(v, &r);
	}
	return 0;
}

int64_t hc_nmi_op(struct vcpu *v, const struct hypercall_args *h)
{
	struct xennmi_callback c;

	switch ((uint32_t)h->a[0]) {
	case XENNMI_register_callback:
		if (copy_from_guest(v, &c, h->a[1], sizeof c) < 0)
			return -EFAULT;
		return register_nmi(v, c.handler_address);
	case XENNMI_unregister_callback:
		unregister_nmi(v);
		return 0;
	default:
		return -ENOSYS;
	}
}
