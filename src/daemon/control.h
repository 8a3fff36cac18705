/*
 * control.h - what the control socket needs of a machine.  This layer knows no hypervisor.
 */
#ifndef TTD_DAEMON_CONTROL_H
#define TTD_DAEMON_CONTROL_H

#include <ttd/domain.h>

/* On the control socket's thread, while the machine runs on its own. */
struct control_ops {
	enum ttd_vm_state (*state)(void *ctx);
	void (*pause)(void *ctx);
	void (*unpause)(void *ctx);
	void (*stop)(void *ctx);
	void (*shutdown)(void *ctx, const char *how); /* "poweroff", "reboot" */
	void (*console_in)(void *ctx, const void *p, size_t n);
	uint32_t (*memory)(void *ctx);               /* in MB */
	int (*set_memory)(void *ctx, uint32_t mb);   /* -1: it takes no input now */
};

struct control_machine {
	const struct control_ops *ops;
	void *ctx;
	const char *kind; /* "run", "record" or "replay" */
	uint32_t maxmem_mb;
};

/* The machine that is controlled from now on; NULL: none is.  Copied. */
void control_attach(struct ttd_control *c, const struct control_machine *m);

const char *control_path(void); /* of this process's control socket; NULL: it has none */

#endif
