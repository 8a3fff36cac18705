/*
 * domain.h - running domains of other processes, and of this one.  Part of <ttd/ttd.h>.
 */
#ifndef TTD_DOMAIN_H
#define TTD_DOMAIN_H

#include <ttd/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Running domains.  A process that runs a machine may open a control: a socket
 * in the user's runtime folder ($XDG_RUNTIME_DIR/ttd) by which other processes
 * list, pause and end it and use its console.
 */
struct ttd_control;
/* ttd_control_open()'s flags */
enum {
	TTD_CONTROL_RENAME = 1, /* NAME is taken: be NAME-PID instead of failing */
	TTD_CONTROL_PAUSED = 2, /* machines attached start paused */
	TTD_CONTROL_WAIT = 4,   /* the first machine waits some seconds for a console */
};
TTD_API struct ttd_control *ttd_control_open(const char *name, unsigned flags,
	struct ttd_error *err);
TTD_API const char *ttd_control_name(const struct ttd_control *c);
/* Whom commands go to; NULL between two machines.  By the thread that will run it. */
TTD_API void ttd_control_attach(struct ttd_control *c, struct ttd_vm *vm);
/* Console output, for ttd_config.console_out with the control as context. */
TTD_API void ttd_control_output(void *control, const void *p, size_t n);
/* Somebody asked for the domain to be destroyed. */
TTD_API int ttd_control_destroyed(const struct ttd_control *c);
/*
 * The run has ended but the domain stays in the list, as `state`, until it is
 * destroyed or `wake_fd` (-1: none) becomes readable.
 */
TTD_API void ttd_control_keep(struct ttd_control *c, enum ttd_vm_state state, int wake_fd);
/* Consoles get what is left, and `status` and `text` about the end. */
TTD_API void ttd_control_close(struct ttd_control *c, int status, const char *text);

struct ttd_domain {
	char name[65], kind[16]; /* run, record, replay */
	int pid;
	uint32_t memory_mb, maxmem_mb; /* that it has now, and may have */
	enum ttd_vm_state state;
	uint64_t cpu_ns; /* CPU time of its virtual CPU */
};
/* Calls fn for each running domain of this user, in the order of their names. */
TTD_API int ttd_domain_each(void (*fn)(void *ctx, const struct ttd_domain *d), void *ctx,
	struct ttd_error *err);
/* "pause", "unpause", "poweroff", "reboot", "destroy", "memory MB"; `wait`: until it has ended. */
TTD_API int ttd_domain_command(const char *name, const char *command, int wait,
	struct ttd_error *err);
/* Where a background domain's process may put its messages. */
TTD_API int ttd_domain_log(const char *name, char *path, size_t n);
/* Its console: a descriptor to poll, close() it to leave.  -1: *err. */
TTD_API int ttd_domain_console(const char *name, struct ttd_error *err);
TTD_API int ttd_console_write(int fd, const void *p, size_t n);
/*
 * Output of the guest; call it when fd is readable.  0: the domain has ended;
 * *status is what it ended with, and `text` says more.  -1: it is gone.
 */
TTD_API long ttd_console_read(int fd, void *p, size_t n, int *status, char text[480]);

#ifdef __cplusplus
}
#endif

#endif
