/*
 * config.c - xl/xm domain configuration files; see config.h.
 *
 * libxlutil tells what a key is set to, but not which keys there are.  Those
 * are found by looking for words before a '='; what is found is only asked
 * for, so a word inside of a string does no harm.
 */
#include "cmd/loglimit.h"
#include "cmd/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxlutil.h>

#include "util/parse.h"

enum { TEXT_MAX = 1 << 20, KEY_MAX = 64, WARNED_MAX = 64 };

/*
 * The one thing that libxlutil wants of libxenlight, which would want a Xen
 * host's libraries.  Weak: a program that has libxenlight uses that one's.
 */
__attribute__((weak)) void libxl_defbool_set(libxl_defbool *d, bool b);
__attribute__((weak)) void libxl_defbool_set(libxl_defbool *d, bool b)
{
	d->val = b ? 1 : -1;
}

struct parsing {
	const char *from;
	XLU_Config *x;
	struct config *c;
	void (*warn)(void *ctx, const char *line);
	void *ctx;
	struct ttd_error *e;
};

static int bad(const struct parsing *p, const char *key, const char *why)
{
	return err_set(p->e, TTD_USAGE, "%s: %s: %s", p->from, key, why);
}

/* NULL when it is not set; a list is an error. */
static int string(const struct parsing *p, const char *key, const char **value)
{
	*value = NULL;
	switch (xlu_cfg_get_string(p->x, key, value, 1)) {
	case 0:
	case ESRCH:
		return 0;
	default:
		return bad(p, key, "is a list; give one value");
	}
}

static int copy(const struct parsing *p, const char *key, char **to)
{
	const char *value;

	if (string(p, key, &value) != 0)
		return -1;
	if (value == NULL || *value == '\0')
		return 0;
	free(*to);
	*to = strdup(value);
	return *to != NULL ? 0 : err_set(p->e, TTD_HOST, "out of memory");
}

static int number(const struct parsing *p, const char *key, uint64_t min, uint64_t max,
	const char *why, uint64_t *out)
{
	const char *value;

	if (string(p, key, &value) != 0)
		return -1;
	if (value != NULL && parse_u64(value, min, max, out) != 0)
		return bad(p, key, why);
	return 0;
}

/* ---- keys ---- */

static const struct {
	const char *word;
	enum config_action action;
} actions[] = {
	{"destroy", ACTION_DESTROY}, {"restart", ACTION_RESTART}, {"preserve", ACTION_PRESERVE},
	{"rename-restart", ACTION_RESTART}, {"coredump-destroy", ACTION_DESTROY},
	{"coredump-restart", ACTION_RESTART},
};

static int action(const struct parsing *p, const char *key, enum config_action *out)
{
	char line[200];
	const char *value;

	if (string(p, key, &value) != 0)
		return -1;
	if (value == NULL)
		return 0;
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
		if (strcmp(value, actions[i].word) != 0)
			continue;
		*out = actions[i].action;
		if (i >= 3) {
			snprintf(line, sizeof line, "%.80s: %s: there is no %s here; it is taken "
				"as %s", p->from, key, value, actions[*out].word);
			p->warn(p->ctx, line);
		}
		return 0;
	}
	return bad(p, key, "give destroy, restart or preserve");
}

static int flag(const struct parsing *p, const char *value, bool *out)
{
	if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
		return bad(p, "time_travel", "ttd_flag and tt_replay_flag are 0 or 1");
	*out = *value == '1';
	return 0;
}

/* One "key=value" of time_travel; `s` is cut up. */
static int travel_item(const struct parsing *p, char *s, bool *record, bool *replay)
{
	char *value, *end;

	while (isspace((unsigned char)*s))
		s++;
	for (end = s + strlen(s); end > s && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	if (*s == '\0')
		return 0;
	value = strchr(s, '=');
	if (value != NULL) {
		for (end = value; end > s && isspace((unsigned char)end[-1]);)
			*--end = '\0';
		*value++ = '\0';
		while (isspace((unsigned char)*value))
			value++;
		if (strcmp(s, "ttd_flag") == 0)
			return flag(p, value, record);
		if (strcmp(s, "tt_replay_flag") == 0)
			return flag(p, value, replay);
		if (strcmp(s, "trace") == 0 && *value != '\0') {
			free(p->c->trace);
			p->c->trace = strdup(value);
			return p->c->trace != NULL ? 0 : err_set(p->e, TTD_HOST, "out of memory");
		}
	}
	return bad(p, "time_travel", "knows ttd_flag=1, tt_replay_flag=1 and trace=TRACE");
}

static int travel_text(const struct parsing *p, const char *text, bool *record, bool *replay)
{
	char *s = strdup(text), *rest = s, *item;
	int rc = s != NULL ? 0 : err_set(p->e, TTD_HOST, "out of memory");

	while (rc == 0 && (item = strsep(&rest, ",")) != NULL)
		rc = travel_item(p, item, record, replay);
	free(s);
	return rc;
}

static int time_travel(const struct parsing *p)
{
	bool record = false, replay = false;
	XLU_ConfigList *list;
	const char *text;
	int n, rc = 0;

	if (xlu_cfg_get_string(p->x, "time_travel", &text, 1) == 0) {
		rc = travel_text(p, text, &record, &replay);
	} else if (xlu_cfg_get_list(p->x, "time_travel", &list, &n, 1) == 0) {
		for (int i = 0; rc == 0 && i < n; i++) {
			text = xlu_cfg_get_listitem(list, i);
			rc = text == NULL ? bad(p, "time_travel", "is not a list of strings")
				: travel_text(p, text, &record, &replay);
		}
	}
	if (rc != 0)
		return -1;
	if (replay && !record)
		return bad(p, "time_travel", "tt_replay_flag=1 needs ttd_flag=1 too");
	if (p->c->trace != NULL && !record)
		return bad(p, "time_travel", "trace needs ttd_flag=1 too");
	p->c->record = record && !replay;
	p->c->replay = replay;
	return 0;
}

static int check_type(const struct parsing *p)
{
	static const char why[] = "ttd runs paravirtual (pv) guests only";
	const char *type, *builder;

	if (string(p, "type", &type) != 0 || string(p, "builder", &builder) != 0)
		return -1;
	if (type != NULL && strcmp(type, "pv") != 0)
		return bad(p, "type", why);
	if (builder != NULL && strcmp(builder, "linux") != 0 && strcmp(builder, "generic") != 0)
		return bad(p, "builder", why);
	return 0;
}

static int check_vcpus(const struct parsing *p)
{
	static const char why[] = "a guest has one virtual CPU; set it to 1 or leave it out";
	uint64_t n;

	if (number(p, "vcpus", 1, 1, why, &n) != 0)
		return -1;
	return number(p, "maxvcpus", 1, 1, why, &n);
}

/* As xl puts them together: cmdline, or root= and extra. */
static int command_line(const struct parsing *p)
{
	const char *cmdline, *root, *extra;
	char line[200];

	if (string(p, "cmdline", &cmdline) != 0 || string(p, "root", &root) != 0 ||
		string(p, "extra", &extra) != 0)
		return -1;
	if (cmdline != NULL && (root != NULL || extra != NULL)) {
		snprintf(line, sizeof line, "%.100s: root and extra have no effect beside cmdline",
			p->from);
		p->warn(p->ctx, line);
	}
	if (cmdline != NULL)
		p->c->cmdline = strdup(cmdline);
	else if (asprintf(&p->c->cmdline, "%s%s%s%s", root != NULL ? "root=" : "",
		root != NULL ? root : "", root != NULL && extra != NULL ? " " : "",
		extra != NULL ? extra : "") < 0)
		p->c->cmdline = NULL;
	return p->c->cmdline != NULL ? 0 : err_set(p->e, TTD_HOST, "out of memory");
}

static int clock_of(const struct parsing *p)
{
	const char *value;

	if (string(p, "clock", &value) != 0)
		return -1;
	if (value != NULL && strcmp(value, "host") != 0 && strcmp(value, "virtual") != 0)
		return bad(p, "clock", "give host or virtual");
	p->c->virtual_clock = value != NULL && strcmp(value, "virtual") == 0;
	return 0;
}

static int cpu_of(const struct parsing *p)
{
	const char *value;

	if (string(p, "cpu", &value) != 0)
		return -1;
	if (value != NULL && strcmp(value, "v2") != 0 && strcmp(value, "v3") != 0 &&
	    strcmp(value, "max") != 0)
		return bad(p, "cpu", "give v2, v3 or max");
	return copy(p, "cpu", &p->c->cpu);
}

/* A list of strings, of which one may stand alone. */
static int strings(const struct parsing *p, const char *key, char ***to, unsigned *count)
{
	XLU_ConfigList *list;
	const char *text;
	int n = 0;

	switch (xlu_cfg_get_list(p->x, key, &list, &n, 1)) {
	case 0:
		break;
	case ESRCH:
		return 0;
	default:
		return bad(p, key, "is not a list; write it as [ 'SPEC', ... ]");
	}
	*to = calloc((size_t)n + 1, sizeof **to);
	for (int i = 0; *to != NULL && i < n; i++) {
		text = xlu_cfg_get_listitem(list, i);
		if (text == NULL)
			return bad(p, key, "is not a list of strings");
		(*to)[i] = strdup(text);
		if ((*to)[i] == NULL)
			return err_set(p->e, TTD_HOST, "out of memory");
		*count = (unsigned)i + 1;
	}
	return *to != NULL ? 0 : err_set(p->e, TTD_HOST, "out of memory");
}

static int disks(const struct parsing *p)
{
	XLU_ConfigList *list;
	const char *spec;
	char from[80];
	int n;

	snprintf(from, sizeof from, "%.60s: disk", p->from);
	if (xlu_cfg_get_list(p->x, "disk", &list, &n, 1) != 0)
		return string(p, "disk", &spec) != 0 || spec == NULL ? 0
			: bad(p, "disk", "give a list, as [ 'debian.img,raw,xvda,rw' ]");
	for (int i = 0; i < n; i++) {
		spec = xlu_cfg_get_listitem(list, i);
		if (spec == NULL)
			return bad(p, "disk", "is not a list of strings");
		if (disk_list_add(&p->c->disks, from, spec, p->e) != 0)
			return -1;
	}
	return 0;
}

static int memory(const struct parsing *p)
{
	uint64_t mb = 256, max;

	if (number(p, "memory", 64, 65536, "give megabytes from 64 to 65536", &mb) != 0)
		return -1;
	max = mb;
	if (number(p, "maxmem", mb, 65536, "give megabytes, from memory to 65536", &max) != 0)
		return -1;
	p->c->memory_mb = (uint32_t)mb;
	p->c->maxmem_mb = (uint32_t)max;
	return 0;
}

static int log_limit(const struct parsing *p)
{
	const char *value;

	if (string(p, "log_limit", &value) != 0)
		return -1;
	return value == NULL || parse_log_limit(value, &p->c->log_limit) == 0 ? 0
		: bad(p, "log_limit", LOG_LIMIT_HOW);
}

static int truth(const struct parsing *p, const char *key, bool *to)
{
	uint64_t v = 0;

	if (number(p, key, 0, 1, "give 0 or 1", &v) != 0)
		return -1;
	*to = v == 1;
	return 0;
}

static int take_keys(const struct parsing *p)
{
	struct config *c = p->c;

	if (copy(p, "name", &c->name) != 0 || copy(p, "kernel", &c->kernel) != 0 ||
		copy(p, "ramdisk", &c->ramdisk) != 0 || check_type(p) != 0 ||
		check_vcpus(p) != 0 || memory(p) != 0 || truth(p, "strict_mmu", &p->c->strict_mmu) != 0 ||
		truth(p, "untrusted", &p->c->untrusted) != 0 || command_line(p) != 0 ||
		clock_of(p) != 0 || cpu_of(p) != 0 || log_limit(p) != 0 || disks(p) != 0 ||
		action(p, "on_poweroff", &c->on_poweroff) != 0 ||
		action(p, "on_reboot", &c->on_reboot) != 0 ||
		action(p, "on_crash", &c->on_crash) != 0 || time_travel(p) != 0 ||
		strings(p, "vif", &c->vifs, &c->nvifs) != 0)
		return -1;
	if (c->name == NULL)
		return bad(p, "name", "is missing");
	if (c->kernel == NULL && !c->replay)
		return bad(p, "kernel", "is missing; a bootloader in the guest's disk is not used");
	return 0;
}

/* ---- keys that have no effect ---- */

static const char *const known[] = {
	"name", "kernel", "ramdisk", "memory", "maxmem", "strict_mmu", "vcpus", "maxvcpus", "root",
	"extra", "cmdline",
	"on_poweroff", "on_reboot", "on_crash", "time_travel", "clock", "type", "builder", "vif",
	"disk", "log_limit", "cpu", "untrusted",
};

static bool is_known(const char *key)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i], key) == 0)
			return true;
	return false;
}

static bool is_set(const struct parsing *p, const char *key)
{
	const char *value;

	return xlu_cfg_get_string(p->x, key, &value, 1) != ESRCH;
}

struct seen {
	char key[WARNED_MAX][KEY_MAX];
	int n;
};

static void look_at(const struct parsing *p, struct seen *seen, const char *word, size_t n)
{
	char key[KEY_MAX], line[300];

	if (n == 0 || n >= sizeof key || seen->n == WARNED_MAX)
		return;
	memcpy(key, word, n);
	key[n] = '\0';
	for (int i = 0; i < seen->n; i++)
		if (strcmp(seen->key[i], key) == 0)
			return;
	if (is_known(key) || !is_set(p, key))
		return;
	strcpy(seen->key[seen->n++], key);
	snprintf(line, sizeof line, "%.100s: %s: has no effect here and is ignored", p->from, key);
	p->warn(p->ctx, line);
}

static void warn_of_others(const struct parsing *p, const char *text, size_t n)
{
	struct seen *seen = calloc(1, sizeof *seen);
	size_t i = 0;

	while (seen != NULL && i < n) {
		size_t start = i, end;

		while (i < n && (isalnum((unsigned char)text[i]) || text[i] == '_'))
			i++;
		end = i;
		while (i < n && (text[i] == ' ' || text[i] == '\t' || text[i] == '+'))
			i++;
		if (i < n && text[i] == '=')
			look_at(p, seen, text + start, end - start);
		if (i == start)
			i++;
	}
	free(seen);
}

/* ---- the text ---- */

/* What libxlutil reported, as one line. */
static int report(const struct parsing *p, char *text, size_t n)
{
	if (text != NULL && n > 0)
		text[strcspn(text, "\n")] = '\0';
	return err_set(p->e, TTD_USAGE, "%.400s", text != NULL && *text != '\0' ? text
		: "the configuration cannot be parsed");
}

int config_parse(const char *from, const char *text, size_t n, struct config *c,
	void (*warn)(void *ctx, const char *line), void *ctx, struct ttd_error *e)
{
	struct parsing p = {.from = from, .c = c, .warn = warn, .ctx = ctx, .e = e};
	char *said = NULL;
	size_t nsaid = 0;
	FILE *to;
	int rc = -1;

	*c = (struct config){.on_reboot = ACTION_RESTART};
	if (n > TEXT_MAX || memchr(text, 0, n) != NULL)
		return err_set(e, TTD_USAGE, "%s: is not a configuration file", from);
	to = open_memstream(&said, &nsaid);
	p.x = to != NULL ? xlu_cfg_init(to, from) : NULL;
	if (p.x == NULL) {
		err_set(e, TTD_HOST, "out of memory");
	} else if (xlu_cfg_readdata(p.x, text, (int)n) != 0) {
		fflush(to);
		report(&p, said, nsaid);
	} else {
		rc = take_keys(&p);
		if (rc == 0)
			warn_of_others(&p, text, n);
	}
	if (p.x != NULL)
		xlu_cfg_destroy(p.x);
	if (to != NULL)
		fclose(to);
	free(said);
	return rc;
}

static int slurp(const char *path, FILE *to, struct ttd_error *e)
{
	FILE *f = fopen(path, "re");
	char buf[4096];
	size_t n, total = 0;
	struct stat st;
	int rc = 0;

	if (f == NULL)
		return err_set(e, TTD_HOST, "%s: %s", path, strerror(errno));
	if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode))
		rc = err_set(e, TTD_HOST, "%s: is a folder", path);
	while (rc == 0 && (n = fread(buf, 1, sizeof buf, f)) > 0) {
		total += n;
		if (total > TEXT_MAX)
			rc = err_set(e, TTD_USAGE, "%s: is too long for a configuration file", path);
		fwrite(buf, 1, n, to);
	}
	if (rc == 0 && ferror(f))
		rc = err_set(e, TTD_HOST, "%s: cannot be read", path);
	fclose(f);
	return rc;
}

/* As a shell left it: a value without quotes is a string all the same. */
static int put_word(const char *word, FILE *to, struct ttd_error *e)
{
	const char *value = strchr(word, '=');
	char quote;

	if (value == NULL || value == word)
		return err_set(e, TTD_USAGE, "create: '%s': give KEY=VALUE", word);
	value++;
	fprintf(to, "\n%.*s = ", (int)(value - 1 - word), word);
	if (*value == '[' || *value == '"' || *value == '\'') {
		fputs(value, to);
	} else {
		quote = strchr(value, '"') != NULL ? '\'' : '"';
		fputc(quote, to);
		for (; *value != '\0'; value++) {
			if (*value == quote || *value == '\\')
				fputc('\\', to);
			fputc(*value, to);
		}
		fputc(quote, to);
	}
	return 0;
}

int config_read(const char *path, char *const *words, int nwords, struct config *c,
	void (*warn)(void *ctx, const char *line), void *ctx, struct ttd_error *e)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);
	int rc;

	*c = (struct config){0};
	if (to == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	rc = slurp(path, to, e);
	for (int i = 0; rc == 0 && i < nwords; i++)
		rc = put_word(words[i], to, e);
	fputc('\n', to);
	if (fclose(to) != 0 && rc == 0)
		rc = err_set(e, TTD_HOST, "out of memory");
	if (rc == 0)
		rc = config_parse(path, text, n, c, warn, ctx, e);
	free(text);
	return rc;
}

void config_free(struct config *c)
{
	free(c->name);
	free(c->kernel);
	free(c->ramdisk);
	free(c->cmdline);
	free(c->trace);
	free(c->cpu);
	for (unsigned i = 0; i < c->nvifs; i++)
		free(c->vifs[i]);
	free(c->vifs);
	disk_list_free(&c->disks);
}
