/*
 * run.c - ttd run and ttd record: boots a guest on this terminal and runs it
 * to its end; record writes a trace meanwhile.
 */
#include <ttd/ttd.h>

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/diskspec.h"
#include "cmd/loglimit.h"
#include "cmd/ttd/command.h"
#include "cmd/ttd/console.h"
#include "cmd/ttd/outcome.h"
#include "cmd/ttd/stats.h"
#include "util/clock.h"
#include "util/parse.h"
#include "util/text.h"

struct run_options {
	struct ttd_config cfg;
	const char *vifs[TTD_VIFS_MAX];
	struct disk_list disks;
	const char *extra, *image;
	struct stats_options stats;
	bool restart, record, direct;
	bool no_sandbox; /* or it is confined already: before the guest runs, once */
	struct ttd_record rec;
	struct console *console;
	struct ttd_control *control; /* NULL: other processes cannot see it */
	struct diag *diag;
};

static int take_log_limit(void *to, const struct option_value *v, struct ttd_error *e)
{
	return parse_log_limit(v->text, to) == 0 ? 0 : option_bad_value(v, LOG_LIMIT_HOW, e);
}

static int take_space(void *to, const struct option_value *v, struct ttd_error *e)
{
	uint64_t mb;

	if (parse_u64(v->text, 1, UINT32_MAX, &mb) != 0)
		return option_bad_value(v, "give megabytes", e);
	*(uint64_t *)to = mb << 20;
	return 0;
}

static void vif_warn(void *ctx, const char *line)
{
	diag_print(ctx, DIAG_WARNING, "%s", line);
}

static int take_vif(void *to, const struct option_value *v, struct ttd_error *e)
{
	struct run_options *o = to;
	struct ttd_error te = TTD_ERROR_INIT;

	if (o->cfg.nvifs == TTD_VIFS_MAX)
		return option_bad_value(v, "there are too many", e);
	if (ttd_vif_check(v->text, vif_warn, o->diag, &te) != 0)
		return err_set(e, te.status, "%s: --vif: %s", v->cmd->name, te.text);
	o->vifs[o->cfg.nvifs++] = v->text;
	o->cfg.vifs = o->vifs;
	return 0;
}

static int take_disk(void *to, const struct option_value *v, struct ttd_error *e)
{
	return disk_list_add(to, "--disk", v->text, e);
}

static int take_name(void *to, const struct option_value *v, struct ttd_error *e)
{
	if (!text_is_name(v->text))
		return option_bad_value(v, "use at most 64 letters, digits and . _ + - ~", e);
	*(const char **)to = v->text;
	return 0;
}

static int take_clock(void *to, const struct option_value *v, struct ttd_error *e)
{
	struct run_options *o = to;
	int n = option_choice(v, e);

	o->cfg.clock = n == 1 ? TTD_CLOCK_VIRTUAL : TTD_CLOCK_HOST;
	return n < 0 ? -1 : 0;
}

static int take_cpu(void *to, const struct option_value *v, struct ttd_error *e)
{
	static const char *const models[] = { "v2", "v3", "max" };
	struct run_options *o = to;
	int n = option_choice(v, e);

	if (n >= 0)
		o->cfg.cpu = models[n];
	return n < 0 ? -1 : 0;
}

static int take_reboot(void *to, const struct option_value *v, struct ttd_error *e)
{
	struct run_options *o = to;
	int n = option_choice(v, e);

	o->restart = n == 0;
	return n < 0 ? -1 : 0;
}

static int take_full(void *to, const struct option_value *v, struct ttd_error *e)
{
	struct run_options *o = to;
	int n = option_choice(v, e);

	o->rec.on_full_stop = n == 0;
	return n < 0 ? -1 : 0;
}

#define MEMORY(field) TAKE_U32(struct run_options, cfg.field, TTD_MEMORY_MIN, TTD_MEMORY_MAX, \
	"give megabytes from 64 to 65536")
#define BOOT_OPTIONS \
	{"kernel", "FILE", "Linux kernel with Xen PV support: bzImage or vmlinux", \
		TAKE_TEXT(struct run_options, cfg.kernel)}, \
	{"ramdisk", "FILE", "initial ramdisk", TAKE_TEXT(struct run_options, cfg.ramdisk)}, \
	{"memory", "MB", "guest memory, 64 to 65536 (default 256)", MEMORY(memory_mb)}, \
	{"extra", "CMDLINE", "kernel parameters, after \"console=hvc0\"", \
		TAKE_TEXT(struct run_options, extra)}, \
	{"cmdline", "CMDLINE", "the kernel's whole command line, in place of --extra", \
		TAKE_TEXT(struct run_options, cfg.cmdline)}, \
	{"cpu", "v2|v3|max", "the guest's CPU: x86-64-v2, v3, or all of the host's (default v3)", \
		TAKE_BY(take_cpu)}, \
	{"on-reboot", "restart|exit", "what a guest's reboot does (default restart)", \
		TAKE_BY(take_reboot)}
#define RUN_OPTIONS \
	{"maxmem", "MB", "that ttd mem-set may give it (default the memory)", MEMORY(maxmem_mb)}, \
	{"vif", "SPEC", "a network interface, as user,hostfwd=...,restrict=1 or tap; repeatable", \
		TAKE_BY(take_vif)}, \
	{"disk", "SPEC", "a disk, as \"FILE,raw,xvda,rw\"; may be given several times", \
		TAKE_INTO(take_disk, struct run_options, disks)}, \
	{"clock", "host|virtual", "guest time follows the host's, or instructions only", \
		TAKE_BY(take_clock)}, \
	{"name", "NAME", "name of the guest (default guest)", \
		TAKE_INTO(take_name, struct run_options, cfg.name)}, \
	{"stop-at", "ICOUNT", "stop after exactly this many instructions", \
		TAKE_U64(struct run_options, cfg.stop_icount, 1, INT64_MAX, \
			"give a number of instructions, at least 1")}, \
	STATS_ROWS(struct run_options, stats), \
	{"strict-mmu", NULL, "refuse what Xen would in page tables, and say why", \
		TAKE_INT(struct run_options, cfg.strict_mmu)}, \
	{"reference", NULL, "slow engine, one instruction at a time", \
		TAKE_INT(struct run_options, cfg.reference)}, \
	{"untrusted", NULL, "check each access of the guest's programs, which is slower", \
		TAKE_INT(struct run_options, cfg.untrusted)}, \
	{"space-after", "N", NULL, TAKE_U64(struct run_options, cfg.space_after, 1, INT64_MAX, \
		"give a number of instructions, at least 1")}, \
	{"no-sandbox", NULL, "do not confine the process; for debugging ttd", \
		TAKE_BOOL(struct run_options, no_sandbox)}

static const struct option_row run_options[] = {
	BOOT_OPTIONS,
	RUN_OPTIONS,
	{"direct", NULL, "what the guest writes goes to its disks, not to overlays",
		TAKE_BOOL(struct run_options, direct)},
	OPTIONS_END,
};

static const struct option_row restore_options[] = {
	RUN_OPTIONS,
	{"direct", NULL, "what the guest writes goes to its disks, not to overlays",
		TAKE_BOOL(struct run_options, direct)},
	OPTIONS_END,
};

#define REC(kind, field) TAKE_##kind(struct run_options, rec.field)
static const struct option_row record_options[] = {
	{"output", "TRACE", "name or path of the trace (default NAME-N)", 'o', REC(TEXT, trace)},
	{"force", NULL, "replace a trace that exists", REC(INT, force)},
	{"restore", "IMAGE", "go on with a guest that xl save wrote, instead of a boot",
		TAKE_TEXT(struct run_options, image)},
	BOOT_OPTIONS,
	RUN_OPTIONS,
	{"interval", "ICOUNT", "instructions between digests (default 268435456)",
		TAKE_U64(struct run_options, rec.interval, 1000, INT64_MAX,
			"give a number of instructions, at least 1000")},
	{"no-witnesses", NULL, "log inputs only; a replay then notices little", REC(INT, no_witnesses)},
	{"on-full", "stop|go-on", "when the log cannot be written (default stop)", TAKE_BY(take_full)},
	{"log-limit", "SIZE|off", "end when the log has SIZE (default: before the disk is full)",
		TAKE_INTO(take_log_limit, struct run_options, rec.log_limit)},
	{"sync", NULL, "every write of the log waits for the disk", REC(INT, sync)},
	{"checkpoint-every", "TIME|ICOUNT|off", "how far checkpoints are apart (default 500ms)",
		TAKE_INTO(take_every, struct run_options, rec.checkpoints)},
	{"checkpoint-space", "MB", "how much they may take about (default 1024)",
		TAKE_INTO(take_space, struct run_options, rec.checkpoints.max_bytes)},
	{"deviced", NULL, "ttd-deviced writes the log, where it was told to", REC(INT, deviced)},
	{"fallback", NULL, "when ttd-deviced dies, write the log without it", REC(INT, fallback)},
	OPTIONS_END,
};

/* The daemon decides where its logs are, and whether they replace others. */
static bool deviced_ok(const struct run_options *o, struct ttd_error *e)
{
	if (!o->rec.deviced)
		return !o->rec.fallback ||
			err_set(e, TTD_USAGE, "--fallback is of use with --deviced only") == 0;
	if (o->rec.trace != NULL || o->rec.force || o->rec.sync) {
		err_set(e, TTD_USAGE, "--output, --force and --sync are ttd-deviced's to say: give "
			"them to it, or leave --deviced out");
		return false;
	}
	if (!ttd_deviced_runs()) {
		err_set(e, TTD_HOST, "ttd-deviced does not run; start it, or leave --deviced out");
		return false;
	}
	return true;
}

/* A guest that was saved has all of that in it. */
static int check_image(struct run_options *o, const struct command *cmd, struct ttd_error *e)
{
	if (o->cfg.kernel != NULL || o->cfg.ramdisk != NULL || o->extra != NULL ||
		o->cfg.cmdline != NULL || o->cfg.cpu != NULL || o->cfg.memory_mb != 0)
		return err_set(e, TTD_USAGE, "%s: the saved guest has its kernel, memory and CPU: leave "
			"--kernel, --ramdisk, --extra, --cmdline, --memory and --cpu out", cmd->name);
	o->cfg.kernel = o->image;
	o->cfg.restored = 1;
	o->restart = false; /* there is nothing to boot */
	return 0;
}

/* What does not go together.  -1: *e. */
static int check(struct run_options *o, const struct command *cmd, struct ttd_error *e)
{
	for (unsigned i = 0; i < o->disks.n; i++)
		o->disks.disk[i].direct = o->direct;
	o->cfg.disks = o->disks.disk;
	o->cfg.ndisks = o->disks.n;
	if (o->image != NULL)
		return check_image(o, cmd, e) == 0 && deviced_ok(o, e) ? 0 : -1;
	if (o->cfg.memory_mb == 0)
		o->cfg.memory_mb = TTD_MEMORY_DEFAULT;
	if (o->cfg.maxmem_mb != 0 && o->cfg.maxmem_mb < o->cfg.memory_mb)
		return err_set(e, TTD_USAGE, "%s: --maxmem %u is less than --memory %u", cmd->name,
			o->cfg.maxmem_mb, o->cfg.memory_mb);
	if (o->cfg.kernel == NULL)
		return err_set(e, TTD_USAGE, "%s: no kernel; give --kernel FILE", cmd->name);
	if (o->extra != NULL && o->cfg.cmdline != NULL)
		return err_set(e, TTD_USAGE, "%s: --cmdline is the whole command line: leave --extra out",
			cmd->name);
	return deviced_ok(o, e) ? 0 : -1;
}

static int report(struct diag *diag, const struct run_options *o, struct ttd_vm *vm,
	enum ttd_end end)
{
	struct outcome oc = {.say = outcome_print, .ctx = diag, .name = o->cfg.name,
		.why = console_why(o->console)};
	enum ttd_status status = outcome_run(&oc, vm, end);
	struct ttd_result r;

	if (o->record && ttd_vm_finish(vm, &r) == 0)
		status = outcome_recorded(&oc, &r, status);
	return (int)status;
}

static void trace_note(void *ctx, const char *line)
{
	diag_print(ctx, DIAG_WARNING, "%s", line);
}

static struct ttd_vm *create(struct diag *diag, struct run_options *o, struct ttd_error *te)
{
	o->cfg.note = trace_note;
	o->cfg.note_ctx = diag;
	if (!o->record)
		return ttd_vm_create(&o->cfg, te);
	o->rec.note = trace_note;
	o->rec.note_ctx = diag;
	return ttd_vm_create_recording(&o->cfg, &o->rec, te);
}

/* A trace holds one boot: the next one gets its own, unless its name is taken. */
static bool again(const struct run_options *o, const struct console *console, enum ttd_end end)
{
	return end == TTD_END_REBOOT && o->restart && o->rec.trace == NULL &&
		console_why(console) == CONSOLE_RUNNING &&
		(o->control == NULL || !ttd_control_destroyed(o->control));
}

static int confine(struct run_options *o, struct ttd_vm *vm, struct ttd_error *te)
{
	bool more = o->restart && o->rec.trace == NULL;
	bool now = !o->no_sandbox;

	o->no_sandbox = true;
	return now ? ttd_vm_confine(vm, more ? TTD_CONFINE_AGAIN : 0, te) : 0;
}

/* To the terminal, and to who attached with ttd console. */
static void output(void *ctx, const void *p, size_t n)
{
	struct run_options *o = ctx;

	console_out(o->console, p, n);
	if (o->control != NULL)
		ttd_control_output(o->control, p, n);
}

static void attach(struct run_options *o, struct ttd_vm *vm)
{
	console_attach(o->console, vm);
	if (o->control != NULL)
		ttd_control_attach(o->control, vm);
}

/* Boots once, or for as long as the guest reboots. */
static int run_guest(struct diag *diag, struct run_options *o, struct console *console)
{
	struct ttd_error te = TTD_ERROR_INIT;
	struct ttd_vm *vm;
	enum ttd_end end;
	double start, took;
	int status;

	for (;;) {
		vm = create(diag, o, &te);
		if (vm == NULL || confine(o, vm, &te) != 0) {
			ttd_vm_destroy(vm);
			console_close(console);
			diag_print(diag, DIAG_ERROR, "%s", te.text);
			return (int)te.status;
		}
		start = clock_seconds();
		attach(o, vm);
		end = ttd_vm_run(vm);
		took = clock_seconds() - start;
		attach(o, NULL);
		if (!again(o, console, end))
			break;
		report(diag, o, vm, end);
		diag_print(diag, DIAG_NOTE, "%s: rebooting", o->cfg.name);
		ttd_vm_destroy(vm);
	}
	console_restore(console);
	status = report(diag, o, vm, end);
	stats_print(&o->stats, vm, end, took, stderr);
	ttd_vm_destroy(vm);
	console_close(console);
	return status;
}

static int take_image(struct run_options *o, const struct command *cmd, int argc, char **argv,
	int first)
{
	o->image = first < argc ? argv[first] : NULL;
	if (argc - first == 1)
		return COMMAND_GO;
	diag_print(o->diag, DIAG_ERROR, "%s: give one image; see ttd %s --help", cmd->name, cmd->name);
	return TTD_USAGE;
}

static int run(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct run_options o = {.cfg = TTD_CONFIG_INIT, .restart = true, .rec = TTD_RECORD_INIT};
	struct console *console;
	char *cmdline = NULL;
	struct ttd_error e = TTD_ERROR_INIT;
	int first, status;

	o.cfg.name = "guest";
	o.cfg.memory_mb = 0; /* not said */
	o.record = cmd == &command_record;
	o.rec.on_full_stop = 1;
	o.diag = diag;
	status = command_parse(cmd, diag, argc, argv, &o, &first);
	if (status == COMMAND_GO && cmd == &command_restore)
		status = take_image(&o, cmd, argc, argv, first);
	else if (status == COMMAND_GO)
		status = command_none(cmd, diag, argc, argv, first);
	if (status != COMMAND_GO)
		return status;
	if (check(&o, cmd, &e) != 0)
		return diag_err(diag, &e);
	if (asprintf(&cmdline, "console=hvc0%s%s", o.extra != NULL ? " " : "",
		    o.extra != NULL ? o.extra : "") < 0) {
		diag_print(diag, DIAG_ERROR, "out of memory");
		return TTD_HOST;
	}
	if (o.cfg.cmdline == NULL && !o.cfg.restored)
		o.cfg.cmdline = cmdline;
	console = console_open(diag, true, &e);
	if (console == NULL) {
		free(cmdline);
		return diag_err(diag, &e);
	}
	o.cfg.console_out = output;
	o.cfg.console_ctx = &o;
	o.console = console;
	o.control = ttd_control_open(o.cfg.name, TTD_CONTROL_RENAME, NULL);
	status = run_guest(diag, &o, console);
	ttd_control_close(o.control, status, NULL);
	free(cmdline);
	disk_list_free(&o.disks);
	return status;
}

const struct command command_run = {
	.name = "run",
	.runs_guest = true,
	.synopsis = "--kernel FILE [OPTION]...",
	.summary = "Boot a guest on this terminal; Ctrl-] leaves it.",
	.options = run_options,
	.examples =
		"  ttd run --kernel vmlinuz --ramdisk initrd.img\n"
		"  ttd run --kernel vmlinuz --ramdisk initrd.img --extra 'ttd.run=\"uname -a\"'\n"
		"  ttd run --kernel vmlinuz --ramdisk initrd.img --vif user,hostfwd=tcp::8080-:80\n"
		"  ttd run --kernel vmlinuz --ramdisk initrd.img --clock virtual --stats </dev/null\n"
		"  ttd run --kernel vmlinuz --ramdisk initrd.img --disk debian.img,raw,xvda,rw\n",
	.run = run,
};

const struct command command_restore = {
	.name = "restore",
	.runs_guest = true,
	.synopsis = "IMAGE [OPTION]...",
	.summary = "Go on with a guest that xl save of a Xen host wrote.",
	.options = restore_options,
	.examples =
		"  ttd restore guest.save --disk guest.img,raw,xvda,rw\n"
		"  ttd record --restore guest.save --disk guest.img,raw,xvda,rw --vif user\n",
	.run = run,
};

const struct command command_record = {
	.name = "record",
	.runs_guest = true,
	.synopsis = "--kernel FILE | --restore IMAGE [OPTION]...",
	.summary = "The same as run, and record it to a trace for ttd replay.",
	.options = record_options,
	.examples =
		"  ttd record --kernel vmlinuz --ramdisk initrd.img\n"
		"  ttd record --kernel vmlinuz --ramdisk initrd.img --disk debian.img,raw,xvda,rw\n"
		"  ttd record -o crash --kernel vmlinuz --ramdisk initrd.img --clock virtual\n"
		"  ttd record --restore guest.save --disk guest.img,raw,xvda,rw\n",
	.run = run,
};
