/*
 * main.c - ttd-read-log: prints a log, one event a line.
 *
 * The work is libttd's; here are the options, and what to leave out.
 */
#include <ttd/ttd.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/diag.h"
#include "util/json.h"
#include "util/err.h"
#include "util/parse.h"
#include "util/start.h"

enum {
	WINDOW = 100, /* events shown around -n */
	FILTERS_MAX = 32,
	OPT_FROM = 0x100, OPT_TO, OPT_COUNT, OPT_JSON, OPT_SYMBOLS, OPT_REPLAY,
};

struct position {
	bool set, brctr;
	uint64_t n;
};

/* One of -t: a type, or one kind of event of it. */
struct filter {
	int type;
	char info[48]; /* empty: all */
};

struct options {
	const char *log, *symbols;
	int which;
	unsigned how;
	bool count, around;
	uint64_t brctr;
	unsigned window;
	struct position from, to;
	struct filter filter[FILTERS_MAX];
	unsigned filters;
};

static const char usage[] =
	"usage: ttd-read-log [OPTION]... [TRACE]\n\n"
	"Print an event log, one event a line.\n\n"
	"options:\n"
	"  -f, --log LOG          a log, or a trace by name or folder (default: the latest)\n"
	"  -r                     the log of the newest replay beside it\n"
	"      --replay N         the log of replay N beside it\n"
	"  -i, --names            names of events, infos and kernel symbols, not numbers\n"
	"  -n, --around BRCTR     events around this branch count\n"
	"  -w, --window N         how many with -n (default 100)\n"
	"  -v, --verbose          everything that is known about an event\n"
	"      --from POS         begin at ICOUNT or brctr:N\n"
	"      --to POS           end before ICOUNT or brctr:N\n"
	"  -t, --type TYPE,...    only these: input mark digest exception hypercall upcall frame\n"
	"                         pages registers end, or TYPE:INFO (exception:14)\n"
	"      --count            how many of each there are, not the events\n"
	"      --json             an object a line\n"
	"      --symbols FILE     kernel symbols from a System.map, vmlinux or bzImage\n"
	"  -h, --help             this text\n"
	"  -V, --version          the version\n\n"
	"examples:\n"
	"  ttd-read-log -i | less\n"
	"  ttd-read-log -f guest-3 -i -v -n 725911826 -w 20\n"
	"  vimdiff <(ttd-read-log -i) <(ttd-read-log -i -r)\n"
	"  ttd-read-log --count -t exception\n";

static const struct option table[] = {
	{"log", required_argument, NULL, 'f'},
	{"replay", required_argument, NULL, OPT_REPLAY},
	{"names", no_argument, NULL, 'i'},
	{"around", required_argument, NULL, 'n'},
	{"window", required_argument, NULL, 'w'},
	{"verbose", no_argument, NULL, 'v'},
	{"from", required_argument, NULL, OPT_FROM},
	{"to", required_argument, NULL, OPT_TO},
	{"type", required_argument, NULL, 't'},
	{"count", no_argument, NULL, OPT_COUNT},
	{"json", no_argument, NULL, OPT_JSON},
	{"symbols", required_argument, NULL, OPT_SYMBOLS},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

/* ---- options ---- */

static int bad(struct ttd_error *e, const char *what, const char *value, const char *why)
{
	return err_set(e, TTD_USAGE, "%s %s: %s", what, value, why);
}

static int parse_position(struct position *p, const char *what, const char *text,
	struct ttd_error *e)
{
	p->set = true;
	p->brctr = strncmp(text, "brctr:", 6) == 0;
	if (parse_u64(p->brctr ? text + 6 : text, 0, UINT64_MAX, &p->n) != 0)
		return bad(e, what, text, "give an instruction count or brctr:N");
	return 0;
}

static int add_filter(struct options *o, const char *word, struct ttd_error *e)
{
	struct filter *f = &o->filter[o->filters];
	const char *colon = strchr(word, ':');
	size_t len = colon != NULL ? (size_t)(colon - word) : strlen(word);

	if (o->filters == FILTERS_MAX)
		return bad(e, "--type", word, "too many types");
	for (f->type = 0; f->type < TTD_EVENT_TYPES; f->type++) {
		const char *name = ttd_event_type_name((enum ttd_event_type)f->type);

		if (strncmp(word, name, len) == 0 && name[len] == '\0')
			break;
	}
	if (f->type == TTD_EVENT_TYPES)
		return bad(e, "--type", word, "give input, mark, digest, exception, hypercall, "
			"upcall, frame, pages, registers or end");
	snprintf(f->info, sizeof f->info, "%s", colon != NULL ? colon + 1 : "");
	o->filters++;
	return 0;
}

static int parse_types(struct options *o, const char *text, struct ttd_error *e)
{
	char *copy = strdup(text), *rest = copy, *word;
	int rc = copy != NULL ? 0 : err_set(e, TTD_HOST, "out of memory");

	while (rc == 0 && (word = strsep(&rest, ",")) != NULL)
		rc = add_filter(o, word, e);
	free(copy);
	return rc;
}

static int take_number(struct options *o, int id, struct ttd_error *e)
{
	uint64_t n;

	switch (id) {
	case 'n':
		o->around = true;
		if (parse_u64(optarg, 0, UINT64_MAX, &o->brctr) != 0)
			return bad(e, "-n", optarg, "give a branch count");
		break;
	case 'w':
		if (parse_u64(optarg, 1, 1000000000, &n) != 0)
			return bad(e, "-w", optarg, "give a number of events");
		o->window = (unsigned)n;
		break;
	case OPT_REPLAY:
		if (parse_u64(optarg, 0, 999, &n) != 0)
			return bad(e, "--replay", optarg, "give the number of a replay");
		o->which = (int)n;
		break;
	}
	return 0;
}

static int take_option(struct options *o, int id, struct ttd_error *e)
{
	switch (id) {
	case 'f': o->log = optarg; break;
	case 'i': o->how |= TTD_TEXT_NAMES; break;
	case 'r': o->which = TTD_LOG_REPLAY; break;
	case 'v': o->how |= TTD_TEXT_VERBOSE; break;
	case 't': return parse_types(o, optarg, e);
	case OPT_COUNT: o->count = true; break;
	case OPT_JSON: o->how |= TTD_TEXT_JSON; break;
	case OPT_SYMBOLS:
		o->symbols = optarg;
		o->how |= TTD_TEXT_NAMES;
		break;
	case OPT_FROM: return parse_position(&o->from, "--from", optarg, e);
	case OPT_TO: return parse_position(&o->to, "--to", optarg, e);
	default: return take_number(o, id, e);
	}
	return 0;
}

/* 1: go on; 0: done; -1: *e. */
static int read_options(struct options *o, int argc, char **argv, struct ttd_error *e)
{
	int id;

	opterr = 0;
	while ((id = getopt_long(argc, argv, ":f:rin:w:vt:hV", table, NULL)) != -1) {
		switch (id) {
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			printf("ttd-read-log %s\n", ttd_version());
			return 0;
		case ':':
			return err_set(e, TTD_USAGE, "option '%s' needs a value; see "
				"ttd-read-log --help", argv[optind - 1]);
		case '?':
			return err_set(e, TTD_USAGE, "unknown option '%s'; see ttd-read-log --help",
				argv[optind - 1]);
		}
		if (take_option(o, id, e) != 0)
			return -1;
	}
	if (optind < argc && o->log == NULL)
		o->log = argv[optind++];
	if (optind < argc)
		return err_set(e, TTD_USAGE, "one log at a time, not '%s' too", argv[optind]);
	if (o->around && (o->from.set || o->to.set))
		return err_set(e, TTD_USAGE, "-n and --from or --to do not go together");
	return 1;
}

/* ---- printing ---- */

struct counts {
	uint64_t type[TTD_EVENT_TYPES], code[TTD_EVENT_TYPES][256], other[TTD_EVENT_TYPES];
	struct ttd_event first[TTD_EVENT_TYPES]; /* for the names */
	const char *info[TTD_EVENT_TYPES][256];
};

static bool wanted(const struct options *o, const struct ttd_event *ev)
{
	char code[16];

	snprintf(code, sizeof code, "%u", ev->code);
	for (unsigned i = 0; i < o->filters; i++) {
		const struct filter *f = &o->filter[i];

		if (f->type == (int)ev->type && (f->info[0] == '\0' ||
			strcmp(f->info, ev->info) == 0 || strcmp(f->info, code) == 0))
			return true;
	}
	return o->filters == 0;
}

static void count(struct counts *c, const struct ttd_event *ev)
{
	if (c->type[ev->type]++ == 0)
		c->first[ev->type] = *ev;
	if (ev->code < 256) {
		c->code[ev->type][ev->code]++;
		c->info[ev->type][ev->code] = ev->info;
	} else {
		c->other[ev->type]++;
	}
}

static void print_count(const struct options *o, const struct ttd_event *ev, const char *info,
	int code, uint64_t n)
{
	struct json j = {.to = stdout};

	if (o->how & TTD_TEXT_JSON) {
		json_open(&j, NULL, '{');
		json_text(&j, "type", ttd_event_type_name(ev->type));
		json_text(&j, "event", ev->name);
		json_unsigned(&j, "number", ev->number);
		if (code >= 0) {
			json_text(&j, "info", info);
			json_number(&j, "code", code);
		}
		json_unsigned(&j, "count", n);
		json_close(&j, '}');
		json_end(&j);
	} else if (code < 0) {
		printf("%12" PRIu64 " %s(%u)\n", n, ev->name, ev->number);
	} else if (o->how & TTD_TEXT_NAMES) {
		printf("%12" PRIu64 " %s(%u),info:%s(%d)\n", n, ev->name, ev->number, info, code);
	} else {
		printf("%12" PRIu64 " event:%u,info:%d\n", n, ev->number, code);
	}
}

/* Totals; with -i, -v or a type with infos each kind too. */
static void print_counts(const struct options *o, const struct counts *c)
{
	bool kinds = (o->how & (TTD_TEXT_NAMES | TTD_TEXT_VERBOSE)) != 0;

	for (unsigned t = 0; t < TTD_EVENT_TYPES; t++) {
		const struct ttd_event *ev = &c->first[t];

		if (c->type[t] == 0)
			continue;
		print_count(o, ev, NULL, -1, c->type[t]);
		for (unsigned i = 0; kinds && i < 256; i++)
			if (c->code[t][i] != 0)
				print_count(o, ev, c->info[t][i], (int)i, c->code[t][i]);
	}
}

static bool is_past(const struct position *p, const struct ttd_event *ev)
{
	return p->set && (p->brctr ? ev->brctr : ev->icount) >= p->n;
}

static int go_to_start(const struct options *o, struct ttd_log *log, struct ttd_error *te)
{
	if (o->around)
		return ttd_log_seek_before(log, o->brctr, o->window / 2, te);
	if (!o->from.set)
		return 0;
	return o->from.brctr ? ttd_log_seek_brctr(log, o->from.n, te)
		: ttd_log_seek(log, o->from.n, te);
}

static int print_log(const struct options *o, struct ttd_log *log,
	const struct ttd_symbols *symbols, struct counts *c, struct diag *diag)
{
	int rc, status = TTD_OK;
	char text[TTD_TEXT_MAX];
	struct ttd_event ev;
	struct ttd_error te = TTD_ERROR_INIT;
	uint64_t left = o->around ? o->window : UINT64_MAX;

	rc = go_to_start(o, log, &te);
	if (rc == 0)
		rc = ttd_log_next(log, &ev, &te);
	for (; rc != 0; rc = ttd_log_next(log, &ev, &te)) {
		if (rc < 0) {
			fflush(stdout);
			diag_print(diag, DIAG_ERROR, "%s", te.text);
			status = (int)te.status;
			if (te.status != TTD_DAMAGED)
				break;
			continue;
		}
		if (left-- == 0 || is_past(&o->to, &ev) || ferror(stdout))
			break;
		if (!wanted(o, &ev))
			continue;
		if (c != NULL) {
			count(c, &ev);
			continue;
		}
		ttd_event_text(&ev, symbols, o->how, text);
		puts(text);
	}
	return status;
}

static struct ttd_symbols *symbols_for(const struct options *o, struct ttd_log *log,
	struct diag *diag, int *status)
{
	struct ttd_symbols *s = NULL;
	struct ttd_error te = TTD_ERROR_INIT;

	*status = TTD_OK;
	if (o->symbols != NULL) {
		s = ttd_symbols_open(o->symbols, &te);
		if (s == NULL) {
			diag_print(diag, DIAG_ERROR, "%s", te.text);
			*status = (int)te.status;
		}
	} else if (o->how & (TTD_TEXT_NAMES | TTD_TEXT_JSON) && !o->count) {
		s = ttd_log_symbols(log, &te);
		if (s == NULL && o->how & TTD_TEXT_NAMES)
			diag_print(diag, DIAG_WARNING, "no kernel symbols: %s", te.text);
	}
	return s;
}

/* Before the log is read.  A kernel that cannot confine us is no reason not to. */
static void confine(const struct options *o)
{
	struct ttd_confinement c = TTD_CONFINEMENT_INIT;

	if (o->how & (TTD_TEXT_NAMES | TTD_TEXT_JSON) && !o->count && o->symbols == NULL)
		c.flags |= TTD_CONFINE_NAMES;
	c.traces = &o->log;
	c.ntraces = 1;
	c.inputs = &o->symbols;
	c.ninputs = o->symbols != NULL;
	ttd_confine(&c, NULL);
}

static int run(const struct options *o, struct diag *diag)
{
	struct counts *c = o->count ? calloc(1, sizeof *c) : NULL;
	struct ttd_symbols *symbols;
	struct ttd_log *log;
	struct ttd_error te = TTD_ERROR_INIT;
	int status;

	confine(o);
	log = ttd_log_open(o->log, o->which, &te);
	if (log == NULL) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		free(c);
		return (int)te.status;
	}
	symbols = symbols_for(o, log, diag, &status);
	if (status == TTD_OK)
		status = print_log(o, log, symbols, c, diag);
	if (c != NULL)
		print_counts(o, c);
	free(c);
	ttd_symbols_free(symbols);
	ttd_log_close(log);
	return status;
}

int main(int argc, char **argv)
{
	struct options o = {.which = TTD_LOG_RECORDING, .window = WINDOW};
	struct diag diag;
	struct ttd_error e = TTD_ERROR_INIT;
	int rc, status = TTD_OK;

	program_start(true);
	diag_init(&diag, stderr, "ttd-read-log");
	rc = read_options(&o, argc, argv, &e);
	if (rc < 0)
		return diag_err(&diag, &e);
	if (rc > 0)
		status = run(&o, &diag);
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == TTD_OK) {
		diag_print(&diag, DIAG_ERROR, "cannot write to standard output: %s",
			strerror(errno));
		return TTD_HOST;
	}
	return status;
}
