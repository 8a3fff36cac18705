/*
 * regs.c - one table of registers, from which both the target description and
 * the layout of g, G, p and P packets come.
 */
#include "gdb/regs.h"

#include <stdio.h>
#include <string.h>

enum feature { CORE, SSE, AVX, SEGMENTS, CONTROL, FEATURES };

static const char *const feature_name[FEATURES] = {
	[CORE] = "org.gnu.gdb.i386.core", [SSE] = "org.gnu.gdb.i386.sse",
	[AVX] = "org.gnu.gdb.i386.avx",
	[SEGMENTS] = "org.gnu.gdb.i386.segments", [CONTROL] = "org.ttd.i386.control",
};

struct reg {
	const char *name, *type, *group;
	enum feature feature;
	uint16_t size, at;
};

#define AT(f) offsetof(struct gdb_regs, f)
#define SIZE(f) (sizeof ((struct gdb_regs *)0)->f)
#define REG(n, f, type, group, feature) { n, type, group, feature, SIZE(f), AT(f) }
#define GPR(n, i) REG(n, gpr[i], "int64", NULL, CORE)
#define SEGMENT(n) REG(#n, n, "int32", NULL, CORE)
#define ST(i) REG("st" #i, st[i], "i387_ext", NULL, CORE)
#define FPU(n) REG(#n, n, "int", "float", CORE)
#define XMM(i) REG("xmm" #i, xmm[i], "vec128", NULL, SSE)
#define YMMH(i) REG("ymm" #i "h", ymmh[i], "uint128", NULL, AVX)
#define SYSTEM(n, type) REG(#n, n, type, "system", CONTROL)

/* In the order of the protocol: gdb wants that of the standard features as it is. */
static const struct reg table[] = {
	GPR("rax", 0), GPR("rbx", 3), GPR("rcx", 1), GPR("rdx", 2), GPR("rsi", 6), GPR("rdi", 7),
	REG("rbp", gpr[5], "data_ptr", NULL, CORE), REG("rsp", gpr[4], "data_ptr", NULL, CORE),
	GPR("r8", 8), GPR("r9", 9), GPR("r10", 10), GPR("r11", 11), GPR("r12", 12),
	GPR("r13", 13), GPR("r14", 14), GPR("r15", 15),
	REG("rip", rip, "code_ptr", NULL, CORE), REG("eflags", eflags, "i386_eflags", NULL, CORE),
	SEGMENT(cs), SEGMENT(ss), SEGMENT(ds), SEGMENT(es), SEGMENT(fs), SEGMENT(gs),
	ST(0), ST(1), ST(2), ST(3), ST(4), ST(5), ST(6), ST(7),
	FPU(fctrl), FPU(fstat), FPU(ftag), FPU(fiseg), FPU(fioff), FPU(foseg), FPU(fooff), FPU(fop),
	XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7),
	XMM(8), XMM(9), XMM(10), XMM(11), XMM(12), XMM(13), XMM(14), XMM(15),
	REG("mxcsr", mxcsr, "i386_mxcsr", "vector", SSE),
	YMMH(0), YMMH(1), YMMH(2), YMMH(3), YMMH(4), YMMH(5), YMMH(6), YMMH(7),
	YMMH(8), YMMH(9), YMMH(10), YMMH(11), YMMH(12), YMMH(13), YMMH(14), YMMH(15),
	REG("fs_base", fs_base, "uint64", NULL, SEGMENTS),
	REG("gs_base", gs_base, "uint64", NULL, SEGMENTS),
	SYSTEM(k_gs_base, "uint64"), SYSTEM(cr0, "uint64"), SYSTEM(cr2, "data_ptr"),
	SYSTEM(cr3, "uint64"), SYSTEM(cr4, "uint64"), SYSTEM(cr8, "uint64"), SYSTEM(efer, "uint64"),
	SYSTEM(user_cr3, "uint64"), SYSTEM(icount, "uint64"), SYSTEM(brctr, "uint64"),
};
enum { COUNT = sizeof table / sizeof *table };

static const char core_types[] =
	"<flags id=\"i386_eflags\" size=\"4\">"
	"<field name=\"\" start=\"22\" end=\"31\"/>"
	"<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"\" start=\"1\" end=\"1\"/>"
	"<field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
	"<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/>"
	"<field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/>"
	"<field name=\"DF\" start=\"10\" end=\"10\"/><field name=\"OF\" start=\"11\" end=\"11\"/>"
	"<field name=\"NT\" start=\"14\" end=\"14\"/><field name=\"RF\" start=\"16\" end=\"16\"/>"
	"<field name=\"VM\" start=\"17\" end=\"17\"/><field name=\"AC\" start=\"18\" end=\"18\"/>"
	"<field name=\"VIF\" start=\"19\" end=\"19\"/><field name=\"VIP\" start=\"20\" end=\"20\"/>"
	"<field name=\"ID\" start=\"21\" end=\"21\"/></flags>\n";

static const char sse_types[] =
	"<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
	"<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
	"<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
	"<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
	"<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
	"<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>\n"
	"<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
	"<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
	"<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
	"<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/>"
	"</union>\n"
	"<flags id=\"i386_mxcsr\" size=\"4\">"
	"<field name=\"IE\" start=\"0\" end=\"0\"/><field name=\"DE\" start=\"1\" end=\"1\"/>"
	"<field name=\"ZE\" start=\"2\" end=\"2\"/><field name=\"OE\" start=\"3\" end=\"3\"/>"
	"<field name=\"UE\" start=\"4\" end=\"4\"/><field name=\"PE\" start=\"5\" end=\"5\"/>"
	"<field name=\"DAZ\" start=\"6\" end=\"6\"/><field name=\"IM\" start=\"7\" end=\"7\"/>"
	"<field name=\"DM\" start=\"8\" end=\"8\"/><field name=\"ZM\" start=\"9\" end=\"9\"/>"
	"<field name=\"OM\" start=\"10\" end=\"10\"/><field name=\"UM\" start=\"11\" end=\"11\"/>"
	"<field name=\"PM\" start=\"12\" end=\"12\"/><field name=\"FZ\" start=\"15\" end=\"15\"/>"
	"</flags>\n";

static const char *const types[FEATURES] = { [CORE] = core_types, [SSE] = sse_types };

unsigned regs_count(void)
{
	return COUNT;
}

uint8_t *regs_at(struct gdb_regs *r, unsigned nr, size_t *size)
{
	if (nr >= COUNT)
		return NULL;
	*size = table[nr].size;
	return (uint8_t *)r + table[nr].at;
}

static void text(struct wbuf *w, const char *s)
{
	wbuf_put(w, s, strlen(s));
}

static void one(struct wbuf *w, const struct reg *r, unsigned nr)
{
	char line[200], group[40] = "";

	if (r->group != NULL)
		snprintf(group, sizeof group, " group=\"%s\"", r->group);
	snprintf(line, sizeof line, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"%s/>\n",
		r->name, r->size * 8u, r->type, nr, group);
	text(w, line);
}

void regs_xml(struct wbuf *w)
{
	text(w, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
		"<target version=\"1.0\">\n<architecture>i386:x86-64</architecture>\n");
	for (unsigned f = 0; f < FEATURES; f++) {
		text(w, "<feature name=\"");
		text(w, feature_name[f]);
		text(w, "\">\n");
		if (types[f] != NULL)
			text(w, types[f]);
		for (unsigned i = 0; i < COUNT; i++)
			if (table[i].feature == (enum feature)f)
				one(w, &table[i], i);
		text(w, "</feature>\n");
	}
	text(w, "</target>\n");
}
