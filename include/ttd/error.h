/*
 * error.h - errors, exit statuses, and the version.  Part of <ttd/ttd.h>.
 */
#ifndef TTD_ERROR_H
#define TTD_ERROR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TTD_API __attribute__((visibility("default")))
#define TTD_PATH_MAX 4096 /* of every path here, with its NUL */

/* The library's version, as "0.1.0". */
TTD_API const char *ttd_version(void);

/* What ttd's programs exit with, and what kind of error it was. */
enum ttd_status {
	TTD_OK = 0,       /* the guest powered off, or a replay is equal to its recording */
	TTD_HOST = 1,     /* host error: a file, memory, an unsupported CPU */
	TTD_USAGE = 2,    /* a wrong option or configuration */
	TTD_CRASHED = 3,  /* the guest crashed */
	TTD_DIVERGED = 4, /* a replay diverged from its recording */
	TTD_DAMAGED = 5,  /* a log is damaged */
};

/*
 * One line without a newline that names what is wrong and says what to do.  Functions that
 * take one fill it when they fail; else what is in it means nothing.
 */
struct ttd_error {
	enum ttd_status status;
	char text[480];
};
#define TTD_ERROR_INIT \
	{ \
		.status = TTD_HOST, \
		.text = "something failed and did not say why; please report what you did" \
	}

#ifdef __cplusplus
}
#endif

#endif
