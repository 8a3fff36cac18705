/*
 * command.c - reading options by a command's table, and its help text.
 */
#include "cmd/ttd/command.h"

#include <getopt.h>
#include <string.h>

#include "util/parse.h"

/* getopt_long()'s: a row's is FIRST_ROW and its number, also where it has a letter. */
enum { FIRST_ROW = 0x100, ID_HELP = 0x10000 };

struct tables {
	struct option name[OPTIONS_MAX];
	char letters[2 * OPTIONS_MAX + 3];
};

static void make_tables(const struct command *cmd, struct tables *t)
{
	char *l = t->letters;
	int n = 0;

	memset(t, 0, sizeof *t);
	*l++ = ':';
	*l++ = 'h';
	for (const struct option_row *o = cmd->options; o != NULL && o->name != NULL; o++) {
		if (n == OPTIONS_MAX - 2)
			break;
		t->name[n] = (struct option){o->name,
			o->arg == NULL ? no_argument : o->arg[0] == '[' ? optional_argument
			: required_argument, NULL, FIRST_ROW + n};
		n++;
		if (o->letter == 0)
			continue;
		*l++ = o->letter;
		if (o->arg != NULL)
			*l++ = ':';
	}
	t->name[n] = (struct option){"help", no_argument, NULL, ID_HELP};
}

static const struct option_row *row_of(const struct command *cmd, int id)
{
	const struct option_row *o = cmd->options;

	if (id >= FIRST_ROW)
		return &o[id - FIRST_ROW];
	while (o->letter != id)
		o++;
	return o;
}

static int wrong(const struct command *cmd, const struct tables *t, int id, const char *word,
	struct ttd_error *e)
{
	if (id == ':')
		return err_set(e, TTD_USAGE, "%s: option '%s' needs a value; see ttd %s --help",
			cmd->name, word, cmd->name);
	for (const struct option *o = t->name; o->name != NULL; o++)
		if (optopt != 0 && o->val == optopt)
			return err_set(e, TTD_USAGE, "%s: option '--%s' takes no value; see ttd %s --help",
				cmd->name, o->name, cmd->name);
	if (optopt != 0 && strncmp(word, "--", 2) != 0)
		return err_set(e, TTD_USAGE, "%s: unknown option '-%c'; see ttd %s --help", cmd->name,
			optopt, cmd->name);
	return err_set(e, TTD_USAGE, "%s: unknown option '%s'; see ttd %s --help", cmd->name, word,
		cmd->name);
}

static int take(const struct option_value *v, void *structure, struct ttd_error *e)
{
	const struct option_row *o = v->row;
	void *to = (char *)structure + o->offset;
	uint64_t n = 0;

	if ((o->kind == OPTION_U32 || o->kind == OPTION_U64) &&
		parse_u64(v->text, o->min, o->max, &n) != 0)
		return option_bad_value(v, o->why, e);
	switch (o->kind) {
	case OPTION_CALL: return o->take(to, v, e);
	case OPTION_TEXT: *(const char **)to = v->text; break;
	case OPTION_BOOL: *(bool *)to = true; break;
	case OPTION_INT: *(int *)to = 1; break;
	case OPTION_U32: *(uint32_t *)to = (uint32_t)n; break;
	case OPTION_U64: *(uint64_t *)to = n; break;
	}
	return 0;
}

int command_parse(const struct command *cmd, struct diag *diag, int argc, char **argv, void *to,
	int *first)
{
	struct ttd_error e = TTD_ERROR_INIT;
	struct tables t;
	int id;

	make_tables(cmd, &t);
	opterr = 0;
	optind = 0; /* glibc: begin anew */
	while ((id = getopt_long(argc, argv, t.letters, t.name, NULL)) != -1) {
		struct option_value v = {.cmd = cmd, .text = optarg};

		if (id == 'h' || id == ID_HELP) {
			command_help(cmd, stdout);
			return TTD_OK;
		}
		if (id == ':' || id == '?') {
			wrong(cmd, &t, id, argv[optind - 1], &e);
			return diag_err(diag, &e);
		}
		v.row = row_of(cmd, id);
		if (take(&v, to, &e) != 0)
			return diag_err(diag, &e);
	}
	*first = optind;
	return COMMAND_GO;
}

int command_trace(const struct command *cmd, struct diag *diag, int argc, char **argv, int first,
	const char **trace)
{
	if (argc - first > 1) {
		diag_print(diag, DIAG_ERROR, "%s: one trace at a time, not '%s' too", cmd->name,
			argv[first + 1]);
		return TTD_USAGE;
	}
	*trace = first < argc ? argv[first] : NULL;
	return COMMAND_GO;
}

int command_none(const struct command *cmd, struct diag *diag, int argc, char **argv, int first)
{
	if (first == argc)
		return COMMAND_GO;
	diag_print(diag, DIAG_ERROR, "%s: '%s' is not an option; see ttd %s --help", cmd->name,
		argv[first], cmd->name);
	return TTD_USAGE;
}

int option_bad_value(const struct option_value *v, const char *why, struct ttd_error *e)
{
	return err_set(e, TTD_USAGE, "%s: --%s %s: %s", v->cmd->name, v->row->name, v->text, why);
}

int option_choice(const struct option_value *v, struct ttd_error *e)
{
	char why[80] = "give ";
	int which = 0;

	for (const char *word = v->row->arg; *word != '\0'; which++) {
		int n = (int)strcspn(word, "|");
		size_t at = strlen(why);

		if (strlen(v->text) == (size_t)n && strncmp(v->text, word, (size_t)n) == 0)
			return which;
		snprintf(why + at, sizeof why - at, "%s%.*s", which == 0 ? "" : word[n] == '|' ? ", "
			: " or ", n, word);
		word += n + (word[n] == '|');
	}
	return option_bad_value(v, why, e);
}

void command_help(const struct command *cmd, FILE *to)
{
	char left[48];

	fprintf(to, "usage: ttd %s %s\n\n%s\n", cmd->name, cmd->synopsis, cmd->summary);
	if (cmd->options != NULL)
		fputs("\noptions:\n", to);
	for (const struct option_row *o = cmd->options; o != NULL && o->name != NULL; o++) {
		char letter[8] = "";

		if (o->help == NULL)
			continue; /* not for users */
		if (o->letter != 0)
			snprintf(letter, sizeof letter, "-%c, ", o->letter);
		snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name,
			o->arg != NULL && o->arg[0] != '[' ? " " : "",
			o->arg != NULL ? o->arg : "");
		fprintf(to, "  %-28s %s\n", left, o->help);
	}
	if (cmd->examples != NULL)
		fprintf(to, "\nexamples:\n%s", cmd->examples);
}
