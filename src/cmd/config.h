/*
 * config.h - xl/xm domain configuration files.
 *
 * The grammar is libxlutil's, which parses the text; what the keys mean to ttd
 * is here.  ttd.cfg(5) describes them.
 */
#ifndef TTD_CMD_CONFIG_H
#define TTD_CMD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/diskspec.h"
#include "util/err.h"

enum config_action { ACTION_DESTROY, ACTION_RESTART, ACTION_PRESERVE };

struct config {
	char *name, *kernel, *ramdisk, *cmdline; /* ramdisk may be NULL */
	char *trace;                /* time_travel's, or NULL */
	char *cpu;                  /* "v2", "v3", "max", or NULL */
	char **vifs;                /* network interfaces, not looked at */
	unsigned nvifs;
	uint32_t memory_mb, maxmem_mb; /* the second at least the first */
	struct disk_list disks;
	bool virtual_clock, strict_mmu, untrusted;
	uint64_t log_limit;         /* as struct ttd_record has it */
	bool record, replay;        /* time_travel */
	enum config_action on_poweroff, on_reboot, on_crash;
};

/*
 * Parses `text`; `from` names it in messages.  `warn` is called for each key
 * that has no effect.  -1: *e.  config_free() in any case.
 */
int config_parse(const char *from, const char *text, size_t n, struct config *c,
	void (*warn)(void *ctx, const char *line), void *ctx, struct ttd_error *e);

/* The same with a file's text and then KEY=VALUE words, of which the last wins. */
int config_read(const char *path, char *const *words, int nwords, struct config *c,
	void (*warn)(void *ctx, const char *line), void *ctx, struct ttd_error *e);

void config_free(struct config *c);

#endif
