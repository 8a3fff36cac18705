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
#include "util/bytes.h"

enum { OPT_FORCE = 0x100 };
enum {
	SECTION = 0x0a0d0d0a, INTERFACE = 1, PACKET = 6, BYTE_ORDER = 0x1a2b3c4d,
	ETHERNET = 1, SNAP_NONE = 0,
	OPT_END = 0, IF_NAME = 2, IF_TSRESOL = 9, EPB_FLAGS = 2, INBOUND = 1, OUTBOUND = 2,
	SHB_USERAPPL = 4,
};

static const struct option_row options[] = {
	{"output", "FILE", "the file to make (default: standard output, when it is no terminal)", 'o'},
	{"force", NULL, "replace FILE when it exists", OPT_FORCE},
	{NULL, NULL, NULL, 0},
};

struct pcap {
	const char *trace, *path;
	bool force;
	FILE *to;
	uint64_t boot_ns; /* the guest's wall clock at guest time 0 */
	uint64_t frames;
	struct wbuf block; /* being put together */
	struct diag *diag;
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
		return r->outcome == TTD_REPLAY_DIVERGED ? ST_DIVERGED : ST_DAMAGED;
	default:
		diag_print(c->diag, DIAG_NOTE, "%s", frames);
		return ST_OK;
	}
}

static int replay(struct pcap *c, const char *trace)
{
	struct ttd_replay rep = TTD_REPLAY_INIT;
	struct console *console;
	struct ttd_error te;
	struct ttd_result r;
	struct ttd_vm *vm;
	struct err e;
	int status;

	console = console_open(c->diag, false, &e);
	if (console == NULL)
		return diag_err(c->diag, &e);
	rep.trace = trace;
	rep.progress = progress;
	rep.progress_ctx = c->diag;
	vm = ttd_vm_create_replay(&rep, &te);
	if (vm == NULL || ttd_vm_confine(vm, 0, &te) != 0) {
		diag_print(c->diag, DIAG_ERROR, "%s", te.text);
		status = (int)te.status;
	} else if (ttd_vm_watch_packets(vm, put_frame, c) != 0) {
		diag_print(c->diag, DIAG_ERROR, "out of memory");
		status = ST_HOST;
	} else {
		console_attach(console, vm);
		ttd_vm_run(vm);
		console_attach(console, NULL);
		ttd_vm_finish(vm, &r);
		diag_progress_end(c->diag);
		status = report(c, &r);
	}
	ttd_vm_destroy(vm);
	console_close(console);
	return status;
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
static int find_boot(struct pcap *c, const char *trace, struct ttd_error *te)
{
	struct ttd_log *log = ttd_log_open(trace, TTD_LOG_RECORDING, te);
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
		return ST_USAGE;
	}
	fd = open(c->path, O_WRONLY | O_CREAT | O_CLOEXEC | (c->force ? O_TRUNC : O_EXCL), 0600);
	c->to = fd >= 0 ? fdopen(fd, "wb") : NULL;
	if (c->to != NULL)
		return 0;
	diag_print(c->diag, DIAG_ERROR, "%s: %s%s", c->path, strerror(errno),
		errno == EEXIST ? "; give --force to replace it" : "");
	return ST_HOST;
}

static int write_all(struct pcap *c, struct ttd_trace_info *t)
{
	int status = open_file(c);
	bool bad;

	if (status != ST_OK)
		return status;
	put_section(c);
	for (unsigned i = 0; i < interfaces(t); i++)
		put_interface(c, i);
	status = replay(c, c->trace);
	bad = c->block.bad || ferror(c->to);
	bad |= (c->to == stdout ? fflush(c->to) : fclose(c->to)) != 0;
	if (bad && status == ST_OK) {
		diag_print(c->diag, DIAG_ERROR, "%s: the capture cannot be written",
			c->path != NULL ? c->path : "standard output");
		status = ST_HOST;
	}
	return status;
}

static int with_trace(struct pcap *c)
{
	struct ttd_trace_info t;
	struct ttd_error te;
	int status;

	if (ttd_trace_info(c->trace, &t, &te) != 0 || find_boot(c, c->trace, &te) != 0) {
		diag_print(c->diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	if (interfaces(&t) == 0) {
		diag_print(c->diag, DIAG_ERROR, "pcap: %s has no network interface; record with --vif",
			t.name);
		return ST_USAGE;
	}
	status = write_all(c, &t);
	wbuf_free(&c->block);
	return status;
}

static int run(const struct command *cmd, struct diag *diag, int argc, char **argv)
{
	struct pcap c = {.diag = diag};
	struct option_state s;
	struct err e;
	int id;

	option_start(&s, cmd, argc, argv);
	while ((id = option_next(&s, &e)) != OPTION_END) {
		switch (id) {
		case 'o': c.path = s.value; break;
		case OPT_FORCE: c.force = true; break;
		case OPTION_HELP: command_help(cmd, stdout); return ST_OK;
		default: return diag_err(diag, &e);
		}
	}
	if (argc - s.first > 1) {
		diag_print(diag, DIAG_ERROR, "pcap: one trace at a time, not '%s' too",
			argv[s.first + 1]);
		return ST_USAGE;
	}
	c.trace = s.first < argc ? argv[s.first] : NULL;
	return with_trace(&c);
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
