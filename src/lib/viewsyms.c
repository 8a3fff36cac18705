/*
 * viewsyms.c - a view's symbols as a file for other tools.
 */
#include "inspect/symfile.h"
#include "lib/outfile.h"
#include "lib/view.h"

int ttd_view_write_symbols(const struct ttd_view *view, const char *path, struct ttd_error *err)
{
	struct wbuf w;
	struct outfile f;
	struct ttd_error spare, *e = err_begin(err, &spare);
	int rc = -1;

	if (view_need_symbols(view, e) != 0)
		return -1;
	if (symfile_make(&view->guest, &w, e) == 0 && outfile_open(&f, path, e) == 0) {
		outfile_put(&f, w.p, w.len);
		rc = outfile_close(&f, true, e);
	}
	wbuf_free(&w);
	return rc;
}
