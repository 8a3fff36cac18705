/*
 * pcap.c - ttd pcap: what passed a trace's network interfaces, for Wireshark.
 *
 * What the guest received is in the log, what it sent is not: it is made again,
 * by a replay.  The file is a pcapng (draft-ietf-opsawg-pcapng): a section, an
 * interface for each of the guest's, a packet block for each frame, in the
 * guest's time.
 */
#include <ttd/ttd.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/ttd/command.h"
#include "cmd/ttd/console.h"
#include "cmd/ttd/files.h"
#include "util/bytes.h"
#include "util/names.h"

enum {
	SECTION = 0x0a0d0d0a, INTERFACE = 1, PACKET = 6, BYTE_ORDER = 0x1a2b3c4d,
	ETHERNET = 1, SNAP_NONE = 0,
	OPT_END = 0, IF_NAME = 2, IF_TSRESOL = 9, EPB_FLAGS = 2, INBOUND = 1, OUTBOUND = 2,
	SHB_USERAPPL = 4,
};

struct pcap {
	const char *trace, *path;
	char log[TTD_PATH_MAX];
	int status;
	struct files files;
	bool force;
	FILE *to;
	uint64_t boot_ns; /* the guest's wall clock at guest time 0 */
	uint64_t frames;
	struct wbuf block; /* being put together */
	struct diag *diag;
};

static const struct option_row options[] = {
	{"output", "FILE", "the file to make (default: standard output, when it is no terminal)", 'o',
		TAKE_TEXT(struct pcap, path)},
	{"force", NULL, "replace FILE when it exists", TAKE_BOOL(struct pcap, force)},
	FILES_ROWS(struct pcap, files),
	OPTIONS_END,
};

/* ---- blocks ---- */

static void pad(struct wbuf *w)
{
	static const uint8_t zero[4];

	wbuf_put(w, zero, -w->len & 3);
}

static void option(struct wbuf *w, unsigned code, const void *p, size_t n)
{
	wbuf_u16(w, (uint16_t)code);
	wbuf_u16(w, (uint16_t)n);
	wbuf_put(w, p, n);
	pad(w);
}

static void begin(struct wbuf *w, uint32_t type)
{
	w->len = 0;
	wbuf_u32(w, type);
	wbuf_u32(w, 0); /* length, see finish() */
}

static void finish(struct pcap *c)
{
	struct wbuf *w = &c->block;

	wbuf_u32(w, OPT_END);
	wbuf_u32(w, (uint32_t)w->len + 4);
	if (w->bad)
		return;
	put32(w->p + 4, (uint32_t)w->len);
	fwrite(w->p, 1, w->len, c->to);
}

static void put_section(struct pcap *c)
{
	struct wbuf *w = &c->block;
	char by[40];

	snprintf(by, sizeof by, "ttd %s", ttd_version());
	begin(w, SECTION);
	wbuf_u32(w, BYTE_ORDER);
	wbuf_u16(w, 1);
	wbuf_u16(w, 0);
	wbuf_u64(w, UINT64_MAX); /* its length is not known */
	option(w, SHB_USERAPPL, by, strlen(by));
	finish(c);
}

static void put_interface(struct pcap *c, unsigned i)
{
	static const uint8_t nanoseconds = 9;
	struct wbuf *w = &c->block;
	char name[16];

	snprintf(name, sizeof name, "vif%u", i);
	begin(w, INTERFACE);
	wbuf_u16(w, ETHERNET);
	wbuf_u16(w, 0);
	wbuf_u32(w, SNAP_NONE);
	option(w, IF_NAME, name, strlen(name));
	option(w, IF_TSRESOL, &nanoseconds, 1);
	finish(c);
}

static void put_frame(void *ctx, const struct ttd_packet *f)
{
	struct pcap *c = ctx;
	struct wbuf *w = &c->block;
	uint64_t at = c->boot_ns + f->guest_ns;
	uint8_t direction[4];

	begin(w, PACKET);
	wbuf_u32(w, f->vif);
	wbuf_u32(w, (uint32_t)(at >> 32));
	wbuf_u32(w, (uint32_t)at);
	wbuf_u32(w, (uint32_t)f->len);
	wbuf_u32(w, (uint32_t)f->len);
	wbuf_put(w, f->bytes, f->len);
	pad(w);
	put32(direction, f->sent ? OUTBOUND : INBOUND);
	option(w, EPB_FLAGS, direction, sizeof direction);
	finish(c);
	c->frames++;
}

/* ---- the replay ---- */

static void progress(void *ctx, uint64_t icount, uint64_t total)
{
	diag_progress(ctx, "pcap", icount / 1000000, total / 1000000, "M instructions");
}

static int report(struct pcap *c, const struct ttd_result *r)
{
	char frames[64];

	snprintf(frames, sizeof frames, "%llu frames", (unsigned long long)c->frames);
	switch (r->outcome) {
	case TTD_REPLAY_DIVERGED:
	case TTD_REPLAY_DAMAGED:
		diag_print(c->diag, DIAG_ERROR, "%s", r->text);
		diag_print(c->diag, DIAG_NOTE, "%s before that are in the capture", frames);
		return r->outcome == TTD_REPLAY_DIVERGED ? TTD_DIVERGED : TTD_DAMAGED;
	default:
		diag_print(c->diag, DIAG_NOTE, "%s", frames);
		return TTD_OK;
	}
}

/* Confined from here on: all else of the trace is read after that. */
static struct ttd_vm *create(struct pcap *c)
{
	struct ttd_confinement confined = TTD_CONFINEMENT_INIT;
	struct ttd_replay rep = TTD_REPLAY_INIT;
	struct ttd_error te = TTD_ERROR_INIT;
	struct ttd_vm *vm;

	confined.outputs = &c->path;
	confined.noutputs = c->path != NULL;
	rep.confine = &confined;
	rep.trace = c->log;
	rep.files = files_get(&c->files);
	rep.progress = progress;
	rep.progress_ctx = c->diag;
	vm = ttd_vm_create_replay(&rep, &te);
	if (vm == NULL)
		diag_print(c->diag, DIAG_ERROR, "%s", te.text);
	c->status = (int)te.status;
	return vm;
}

static int replay(struct pcap *c, struct ttd_vm *vm, struct console *console)
{
	struct ttd_result r;

	if (ttd_vm_capture_packets(vm, put_frame, c) != 0) {
		diag_print(c->diag, DIAG_ERROR, "out of memory");
		return TTD_HOST;
	}
	console_attach(console, vm);
	ttd_vm_run(vm);
	console_attach(console, NULL);
	ttd_vm_finish(vm, &r);
	diag_progress_end(c->diag);
	return report(c, &r);
}

/* ---- the command ---- */

static unsigned interfaces(const struct ttd_trace_info *t)
{
	unsigned n = t->vifs[0] != '\0';

	for (const char *s = t->vifs; *s != '\0'; s++)
		n += *s == '\n';
	return n;
}

/* The log's first record is the date at boot. */
static int find_boot(struct pcap *c, struct ttd_error *te)
{
	struct ttd_log *log = ttd_log_open(c->log, TTD_LOG_RECORDING, te);
	struct ttd_event ev;

	if (log == NULL)
		return -1;
	if (ttd_log_next(log, &ev, te) == 1 && ev.has & TTD_HAS_VALUE)
		c->boot_ns = ev.value;
	ttd_log_close(log);
	return 0;
}

static int open_file(struct pcap *c)
{
	int fd;

	if (c->path == NULL) {
		c->to = stdout;
		if (!isatty(STDOUT_FILENO))
			return 0;
		diag_print(c->diag, DIAG_ERROR, "pcap: standard output is a terminal; give -o FILE");
		return TTD_USAGE;
	}
	fd = names_open(c->path, O_WRONLY | O_CREAT | O_EXCL);
	if (fd < 0 && errno == EEXIST && c->force)
		fd = names_open(c->path, O_WRONLY | O_TRUNC);
	c->to = fd >= 0 ? fdopen(fd, "wb") : NULL;
	if (c->to != NULL)
		return 0;
	diag_print(c->diag, DIAG_ERROR, "%s: %s%s", c->path, strerror(errno),
		errno == EEXIST ? "; give --force to replace it" : "");
	return TTD_HOST;
}

static int write_all(struct pcap *c, const struct ttd_trace_info *t, struct ttd_vm *vm,
	struct console *console)
{
	int status = open_file(c);
	bool bad;

	if (status != TTD_OK)
		return status;
	put_section(c);
	for (unsigned i = 0; i < interfaces(t); i++)
		put_interface(c, i);
	status = replay(c, vm, console);
	bad = c->block.bad || ferror(c->to);
	bad |= (c->to == stdout ? fflush(c->to) : fclose(c->to)) != 0;
	if (bad && status == TTD_OK) {
		diag_print(c->diag, DIAG_ERROR, "%s: the capture cannot be written",
			c->path != NULL ? c->path : "standard output");
		status = TTD_HOST;
	}
	return status;
}

static int with_machine(struct pcap *c, struct ttd_vm *vm, struct console *console)
{
	struct ttd_trace_info t;
	struct ttd_error te = TTD_ERROR_INIT;

	if (ttd_trace_info(c->log, &t, &te) != 0 || find_boot(c, &te) != 0) {
		diag_print(c->diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	if (interfaces(&t) != 0)
		return write_all(c, &t, vm, console);
	diag_print(c->diag, DIAG_ERROR, "pcap: %s has no network interface; record with --vif",
		t.name);
	return TTD_USAGE;
}

static int with_trace(struct pcap *c)
{
	char dir[TTD_PATH_MAX];
	struct ttd_error te = TTD_ERROR_INIT;
	struct console *console;
	struct ttd_vm *vm;
	struct ttd_error e = TTD_ERROR_INIT;

	if (ttd_trace_find(c->trace, dir, c->log, &te) != 0) {
		diag_print(c->diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	console = console_open(c->diag, false, &e);
	if (console == NULL)
		return diag_err(c->diag, &e);
	vm = create(c);
	if (vm != NULL)
		c->status = with_machine(c, vm, console);
	ttd_vm_destroy(vm);
	console_close(console);
	wbuf_free(&c->block);
	return c->status;
}

static int run(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct pcap c = {.diag = diag};
	int first, status = command_parse(cmd, diag, argc, argv, &c, &first);

	if (status == COMMAND_GO)
		status = command_trace(cmd, diag, argc, argv, first, &c.trace);
	if (status == COMMAND_GO)
		status = with_trace(&c);
	files_free(&c.files);
	return status;
}

const struct command command_pcap = {
	.name = "pcap",
	.synopsis = "[TRACE] [-o FILE] [--force]",
	.summary = "Write what passed a trace's network interfaces, for Wireshark.",
	.options = options,
	.examples =
		"  ttd pcap guest-3 -o guest-3.pcapng\n"
		"  ttd pcap | tcpdump -n -r -\n",
	.run = run,
};
