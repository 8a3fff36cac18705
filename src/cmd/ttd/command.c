/*
 * command.c - reading options by a command's table, and its help text.
 */
#include "cmd/ttd/command.h"

#include <string.h>

enum { ID_HELP = 0x10000 };

void option_start(struct option_state *s, const struct command *cmd, int argc, char **argv)
{
	int n = 0;
	char *l;

	*s = (struct option_state){.cmd = cmd, .argc = argc, .argv = argv, .letters = ":h"};
	l = s->letters + 2;
	for (const struct option_row *o = cmd->options; o != NULL && o->name != NULL; o++) {
		if (n == OPTIONS_MAX - 2)
			break;
		s->table[n++] = (struct option){o->name,
			o->arg == NULL ? no_argument : o->arg[0] == '[' ? optional_argument
			: required_argument, NULL, o->id};
		if (o->id < 0x80) {
			*l++ = (char)o->id;
			if (o->arg != NULL)
				*l++ = ':';
		}
	}
	s->table[n] = (struct option){"help", no_argument, NULL, ID_HELP};
	opterr = 0;
	optind = 0; /* glibc: begin anew */
}

static int wrong(const struct option_state *s, struct err *e)
{
	const char *word = s->argv[optind - 1];
	const char *cmd = s->cmd->name;

	for (const struct option *o = s->table; o->name != NULL; o++)
		if (optopt != 0 && o->val == optopt)
			return err_set(e, ST_USAGE, "%s: option '--%s' takes no value; see ttd %s --help",
				cmd, o->name, cmd);
	if (optopt != 0 && strncmp(word, "--", 2) != 0)
		return err_set(e, ST_USAGE, "%s: unknown option '-%c'; see ttd %s --help", cmd,
			optopt, cmd);
	return err_set(e, ST_USAGE, "%s: unknown option '%s'; see ttd %s --help", cmd, word, cmd);
}

int option_next(struct option_state *s, struct err *e)
{
	int id = getopt_long(s->argc, s->argv, s->letters, s->table, NULL);

	s->value = optarg;
	switch (id) {
	case -1:
		s->first = optind;
		return OPTION_END;
	case 'h':
	case ID_HELP:
		return OPTION_HELP;
	case ':':
		err_set(e, ST_USAGE, "%s: option '%s' needs a value; see ttd %s --help",
			s->cmd->name, s->argv[optind - 1], s->cmd->name);
		return OPTION_WRONG;
	case '?':
		wrong(s, e);
		return OPTION_WRONG;
	default:
		return id;
	}
}

int option_bad_value(const struct option_state *s, const char *name, const char *why,
	struct err *e)
{
	err_set(e, ST_USAGE, "%s: --%s %s: %s", s->cmd->name, name, s->value, why);
	return OPTION_WRONG;
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
		if (o->id < 0x80)
			snprintf(letter, sizeof letter, "-%c, ", o->id);
		snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name,
			o->arg != NULL && o->arg[0] != '[' ? " " : "",
			o->arg != NULL ? o->arg : "");
		fprintf(to, "  %-28s %s\n", left, o->help);
	}
	if (cmd->examples != NULL)
		fprintf(to, "\nexamples:\n%s", cmd->examples);
}
