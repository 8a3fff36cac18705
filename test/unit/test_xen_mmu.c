/*
 * test_xen_mmu.c - the PV MMU calls, ptwr, multicall, memory layout
 * calls, and save and load of the whole hypervisor state.
 */
#include "xen/internal.h"
#include "xen/mmu.h"
#include "xen/state.h"

#include "xen_machine.h"

#include <xen/event_channel.h>
#include <xen/memory.h>

#define SELF DOMID_SELF

static uint64_t pte_of(struct domain *d, unsigned table, unsigned i)
{
	return get64(mem_frame(d->mem, MFN(table)) + i * 8);
}

static int64_t mmu_update(struct domain *d, uint64_t ptr, uint64_t val)
{
	struct mmu_update u = { ptr, val };

	memcpy(arg(d), &u, sizeof(u));
	return call(d, __HYPERVISOR_mmu_update, ARG, 1, ARG + 64, SELF);
}

static void updates(void **state)
{
	struct domain *d = machine_new();
	uint64_t l1 = MFN(3) << 12, pte = MFN(70) << 12 | PTE_P;

	(void)state;
	mem_frame_set(d->mem, MFN(3), FRAME_PT);
	assert_int_equal(mmu_translate(d->vcpu[0].mmu, MEM_KERNEL, KVA(100), MEM_WRITE, NULL), MFN(100));
	assert_true(pte_of(d, 3, 100) & PTE_D);
	assert_int_equal(mmu_update(d, (l1 + 100 * 8) | 2, pte), 0);
	assert_int_equal(get32(arg(d) + 64), 1);
	assert_int_equal(pte_of(d, 3, 100), pte | PTE_A | PTE_D);
	assert_int_equal(mmu_translate(d->vcpu[0].mmu, MEM_KERNEL, KVA(100), MEM_READ, NULL), MFN(70));
	assert_int_equal(mmu_update(d, l1 + 100 * 8, pte), 0);
	assert_int_equal(pte_of(d, 3, 100), pte);
	/* An ordinary frame: raw. */
	put64(mem_frame(d->mem, MFN(80)) + 8, PTE_A);
	assert_int_equal(mmu_update(d, (MFN(80) << 12) + 8 + 2, 5), 0);
	assert_int_equal(get64(mem_frame(d->mem, MFN(80)) + 8), 5);
	assert_int_equal(mmu_update(d, MFN(RAM_PAGES) << 12, 5), -22); /* shared_info */
	assert_int_equal(get32(arg(d) + 64), 0);
	assert_int_equal(mmu_update(d, 0, 5), -22);
	assert_int_equal(call(d, __HYPERVISOR_mmu_update, ARG, 1, 0, 3), -3);
	assert_int_equal(call(d, __HYPERVISOR_mmu_update, 0x1000, 1, 0, SELF), -14);
	/* M2P. */
	assert_int_equal(mmu_update(d, (MFN(80) << 12) | 1, 0x777), 0);
	assert_int_equal(get64(mem_frame(d->mem, M2P_FRAME(d)) + 80 * 8), 0x777);

	assert_int_equal(call(d, __HYPERVISOR_update_va_mapping, KVA(101), pte, 2, 0), 0);
	assert_int_equal(pte_of(d, 3, 101), pte);
	assert_int_equal(call(d, __HYPERVISOR_update_va_mapping, 0x1000, pte, 2, 0), -22);
	assert_int_equal(call(d, __HYPERVISOR_update_va_mapping, M2P_START, pte, 0, 0), -22);
	machine_free(d);
}

static int64_t ext(struct domain *d, unsigned cmd, uint64_t arg1, uint64_t arg2)
{
	struct mmuext_op op = { .cmd = cmd };

	op.arg1.mfn = arg1;
	op.arg2.src_mfn = arg2;
	memcpy(arg(d), &op, sizeof(op));
	return call(d, __HYPERVISOR_mmuext_op, ARG, 1, 0, SELF);
}

static void extended(void **state)
{
	struct domain *d = machine_new();

	(void)state;
	assert_int_equal(ext(d, MMUEXT_PIN_L4_TABLE, MFN(4), 0), 0);
	assert_int_equal(ext(d, MMUEXT_PIN_L4_TABLE, MFN(4), 0), -22);
	assert_true(mem_frame_flags(d->mem, MFN(7)) & FRAME_PT); /* reachable */
	assert_int_equal(ext(d, MMUEXT_PIN_L1_TABLE, MFN(7), 0), 0);
	assert_int_equal(ext(d, MMUEXT_UNPIN_TABLE, MFN(4), 0), 0);
	assert_false(mem_frame_flags(d->mem, MFN(6)) & FRAME_PT);
	assert_true(mem_frame_flags(d->mem, MFN(7)) & FRAME_PT); /* has its own pin */
	assert_int_equal(ext(d, MMUEXT_UNPIN_TABLE, MFN(7), 0), 0);
	assert_false(mem_frame_flags(d->mem, MFN(7)) & FRAME_PT);
	assert_int_equal(ext(d, MMUEXT_UNPIN_TABLE, MFN(7), 0), -22);
	assert_int_equal(ext(d, MMUEXT_PIN_L1_TABLE, 5, 0), -22);

	assert_int_equal(ext(d, MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
	assert_int_equal(mmu_root(d->vcpu[0].mmu, MEM_USER), MFN_NONE);
	assert_int_equal(ext(d, MMUEXT_NEW_BASEPTR, MFN(RAM_PAGES), 0), -22);
	assert_int_equal(ext(d, MMUEXT_SET_LDT, KVA(90), 16), 0);
	assert_int_equal(d->vcpu[0].seg.ldt_entries, 16);
	assert_int_equal(ext(d, MMUEXT_SET_LDT, KVA(90) + 8, 16), -22);
	assert_int_equal(ext(d, MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
	assert_int_equal(ext(d, 99, 0, 0), -38);
	mem_frame(d->mem, MFN(91))[5] = 7;
	assert_int_equal(ext(d, MMUEXT_COPY_PAGE, MFN(92), MFN(91)), 0);
	assert_int_equal(mem_frame(d->mem, MFN(92))[5], 7);
	assert_int_equal(ext(d, MMUEXT_CLEAR_PAGE, MFN(92), 0), 0);
	assert_int_equal(mem_frame(d->mem, MFN(92))[5], 0);
	machine_free(d);
}

static void ptwr(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct cpu_exit x = { .reason = CPU_EXIT_EXCEPTION, .vector = 14, .has_error = true,
		.error = PF_P | PF_W, .cr2 = KVA(3) + 100 * 8 };
	uint64_t rip = s->rip;

	(void)state;
	mem_frame_set(d->mem, MFN(3), FRAME_PT);
	d->vcpu[0].cpu->store = (struct cpu_store){ .mfn = MFN(3), .off = 800, .size = 8 };
	handle_exit(current_vcpu(d), &x);
	assert_int_equal(s->rip, rip + 4);
	assert_int_equal(s->icount, 1);
	assert_int_equal(pte_of(d, 3, 100), 0);
	/* Not a page table, not a plain store, a user's fault: all the guest's. */
	x.cr2 = KVA(60);
	handle_exit(current_vcpu(d), &x);
	assert_int_equal(s->rip, HANDLER(14));
	assert_int_equal(stack64(d, 2), PF_P | PF_W);
	x.cr2 = KVA(3);
	d->vcpu[0].cpu->store_rc = -1;
	s->rip = rip;
	handle_exit(current_vcpu(d), &x);
	assert_int_equal(s->rip, HANDLER(14));
	d->vcpu[0].cpu->store_rc = 0;
	user_mode(d);
	handle_exit(current_vcpu(d), &x);
	assert_int_equal(stack64(d, 2), PF_P | PF_W | PF_U);
	machine_free(d);
}

static void multicall(void **state)
{
	struct domain *d = machine_new();
	struct multicall_entry m[3] = {
		{ .op = __HYPERVISOR_fpu_taskswitch, .args = { 1 } },
		{ .op = __HYPERVISOR_multicall, .args = { ARG, 1 } },
		{ .op = __HYPERVISOR_stack_switch, .args = { 0x18, 0x1234 } },
	};
	struct multicall_entry *r = (void *)arg(d);

	(void)state;
	memcpy(r, m, sizeof(m));
	assert_int_equal(call(d, __HYPERVISOR_multicall, ARG, 3, 0, 0), 0);
	assert_int_equal(regs_of(current_vcpu(d))->ts, 1);
	assert_int_equal((int64_t)r[1].result, -22);
	assert_int_equal(r[2].result, 0);
	assert_int_equal(d->vcpu[0].trap.kernel_sp, 0x1234);
	assert_int_equal(call(d, __HYPERVISOR_multicall, 0x5000, 1, 0, 0), -14);
	assert_int_equal(call(d, __HYPERVISOR_multicall, 0x5000, 0, 0, 0), 0);
	machine_free(d);
}

static void memory_layout(void **state)
{
	struct domain *d = machine_new();
	struct xen_memory_map map = { .nr_entries = 128 };
	uint64_t buffer = ARG + 256;

	(void)state;
	memcpy(&map.buffer, &buffer, 8);
	assert_int_equal(call_arg(d, __HYPERVISOR_memory_op, XENMEM_memory_map, &map, sizeof(map)),
		0);
	assert_int_equal(get32(arg(d)), 1);
	assert_int_equal(get64(arg(d) + 256), 0);
	assert_int_equal(get64(arg(d) + 264), RAM_PAGES * 4096);
	assert_int_equal(get32(arg(d) + 272), 1);
	assert_int_equal(call(d, __HYPERVISOR_memory_op, XENMEM_machphys_mapping, ARG, 0, 0), 0);
	assert_int_equal(get64(arg(d)), M2P_START);
	assert_int_equal(get64(arg(d) + 16), MEM_FIRST_MFN + mem_all_pages(d->mem) - 1);
	put64(arg(d), 0);
	assert_int_equal(call(d, __HYPERVISOR_xen_version, 6, ARG, 0, 0), 0);
	assert_int_equal(get32(arg(d) + 4), 0x220e0);
	assert_int_equal(call(d, __HYPERVISOR_vm_assist, 0, 3, 0, 0), 0);
	assert_int_equal(call(d, __HYPERVISOR_xen_version, 6, ARG, 0, 0), 0);
	assert_int_equal(get32(arg(d) + 4), 0x220f0);
	assert_int_equal(call(d, __HYPERVISOR_xenpmu_op, 4, ARG, 0, 0), -95);
	machine_free(d);
}

static void round_trip(void **state)
{
	struct domain *d = machine_new(), *b = machine_new();
	struct wbuf w = {0}, w2 = {0};
	struct evtchn_bind_virq v = { .virq = VIRQ_TIMER };
	struct rbuf r;

	(void)state;
	assert_int_equal(call_arg(d, __HYPERVISOR_event_channel_op, 1, &v, sizeof(v)), 0);
	assert_int_equal(ext(d, MMUEXT_PIN_L4_TABLE, MFN(4), 0), 0);
	assert_int_equal(ext(d, MMUEXT_SET_LDT, KVA(90), 16), 0);
	d->vcpu[0].trap.callback[2] = (struct callback){ 0x1234, 1 };
	d->vcpu[0].ctl.iopl = 1;
	d->vcpu[0].ctl.dr[7] = 0x10401;
	d->vcpu[0].timer.deadline = 99;
	d->vcpu[0].blocked = true;
	d->vcpu[0].run.polled = 5;
	shared(d)->evtchn_mask[0] = ~0ul;
	memset(mem_frame(d->mem, MFN(CON_PFN)), 0, PAGE_SIZE);
	console_input(d, mem_frame(d->mem, MFN(ARG_PFN)), 2000);
	xen_save(d, &w);
	assert_false(w.bad);
	r = (struct rbuf){ .p = w.p, .len = w.len };
	assert_int_equal(xen_load(b, &r), 0);
	assert_int_equal(r.pos, r.len);
	assert_int_equal(b->vcpu[0].virq_port[VIRQ_TIMER], 3);
	assert_int_equal(b->con.in_len, 2000 - 1024);
	assert_int_equal(b->vcpu[0].timer.deadline, 99);
	assert_true(b->vcpu[0].blocked);
	xen_save(b, &w2);
	assert_int_equal(w.len, w2.len);
	assert_memory_equal(w.p, w2.p, w.len);
	/* Cut anywhere: refused, never read past the end. */
	for (size_t n = 0; n < w.len; n += 211) {
		r = (struct rbuf){ .p = w.p, .len = n };
		assert_int_equal(xen_load(b, &r), -1);
	}
	wbuf_free(&w);
	wbuf_free(&w2);
	machine_free(d);
	machine_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(updates), cmocka_unit_test(extended), cmocka_unit_test(ptwr),
		cmocka_unit_test(multicall),
		cmocka_unit_test(memory_layout), cmocka_unit_test(round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
