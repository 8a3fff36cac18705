/*
 * ttd.h - libttd: run an unmodified Xen paravirtual Linux guest inside this
 * process, instruction by instruction, exactly and repeatably.
 *
 * A virtual machine is created from a configuration and run by one thread,
 * which becomes its CPU until the run ends.  Other threads may feed its
 * console, ask it to shut down or stop it.  Nothing here keeps state outside
 * the objects you hold, so one process may run many machines.
 *
 *	struct ttd_config cfg = TTD_CONFIG_INIT;
 *	struct ttd_error err;
 *	struct ttd_vm *vm;
 *
 *	cfg.kernel = "vmlinuz";
 *	cfg.cmdline = "console=hvc0";
 *	vm = ttd_vm_create(&cfg, &err);
 *	if (vm == NULL)
 *		errx(1, "%s", err.text);
 *	if (ttd_vm_run(vm) == TTD_END_CRASH)
 *		warnx("%s", ttd_vm_crash_reason(vm));
 *	ttd_vm_destroy(vm);
 *
 * The thread of ttd_vm_run() has the guest's rsp, so the library gives all handlers of the
 * process SA_ONSTACK as it runs. That stack (64 KB) and SIGSEGV, SIGBUS and SIGFPE are its
 * own then; what is none of the guest's goes to the handler that was there before.
 *
 * Link with -lttd.  All names begin with ttd_ or TTD_.
 */
#ifndef TTD_TTD_H
#define TTD_TTD_H

#include <ttd/error.h>
#include <ttd/vm.h>
#include <ttd/confine.h>
#include <ttd/record.h>
#include <ttd/session.h>
#include <ttd/log.h>
#include <ttd/domain.h>
#include <ttd/trace.h>
#include <ttd/view.h>
#include <ttd/gdb.h>
#include <ttd/deviced.h>

#endif
