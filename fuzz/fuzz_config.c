/*
 * fuzz_config.c - configuration files: whatever the text, there is a
 * configuration within its limits or one line that says what is wrong.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
const char *__lsan_default_suppressions(void);

/* libxlutil's parser forgets what it holds when it meets a syntax error. */
const char *__lsan_default_suppressions(void)
{
	return "leak:xlu__cfg\n";
}

static void warn(void *ctx, const char *line)
{
	(void)ctx;
	if (line[0] == '\0' || strchr(line, '\n') != NULL)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct ttd_error e = {.status = TTD_OK};
	struct config c;

	if (config_parse("fuzz", (const char *)p, n, &c, warn, NULL, &e) == 0) {
		if (c.name == NULL || c.cmdline == NULL || (c.kernel == NULL && !c.replay) ||
			c.memory_mb < 64 || c.memory_mb > 65536 || (c.record && c.replay))
			abort();
	} else if (e.status == TTD_OK || e.text[0] == '\0' || strchr(e.text, '\n') != NULL) {
		abort();
	}
	config_free(&c);
	return 0;
}
