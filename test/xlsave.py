#!/usr/bin/env python3
"""xlsave.py FILE [WHAT] - writes an image as `xl save` does (doc/spec/xlsave.md), of a guest
of 64 MB that prints two lines when it goes on, and powers off.  WHAT spoils it: avx (a CPU
with one instruction set too many), p2m (a page table leads to a page that is not there),
vcpus (a second vCPU)."""
import struct
import sys

PAGE, PAGES, VA = 4096, 16384, 0xffff888000000000
L4, L3, L2, L1, START, STORE, CONSOLE, GDT, CODE, P2M = 1, 2, 3, 4, 5, 6, 7, 8, 10, 64
P2MS = PAGES // 512
what = sys.argv[2] if len(sys.argv) > 2 else ""


def record(kind, body):
    return struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)


def table(entries):
    page = bytearray(PAGE)
    for i, e in entries.items():
        struct.pack_into("<Q", page, 8 * i, e)
    return bytes(page)


def hypercall(nr, *args):
    """mov edi/esi/rdx, imm; mov eax, nr; syscall"""
    moves = (b"\x48\xbf", b"\x48\xbe", b"\x48\xba")
    return b"".join(m + struct.pack("<Q", a) for m, a in zip(moves, args)) + \
        b"\xb8" + struct.pack("<I", nr) + b"\x0f\x05"


def code():
    at = VA + CODE * PAGE
    one, two = b"first line after the restore\n", b"and the last one\n"
    text = at + 2048
    # mov ecx, 5000000; dec ecx; jnz
    loop = b"\xb9" + struct.pack("<I", 5000000) + b"\xff\xc9\x75\xfc"
    body = hypercall(18, 0, len(one), text) + loop + \
        hypercall(18, 0, len(two), text + len(one)) + hypercall(29, 2, at + 1024)
    page = bytearray(PAGE)
    page[:len(body)] = body
    page[2048:2048 + len(one + two)] = one + two
    return bytes(page)


def pages():
    p = {i: b"" for i in range(PAGES)}  # b"": all zero, without data
    p[L4] = (12, table({273: L3 << 12 | 0x67}))
    p[L3] = (3, table({0: L2 << 12 | 0x67}))
    p[L2] = (2, table({0: L1 << 12 | 0x67}))
    leaf = {i: i << 12 | (0x65 if L4 <= i <= L1 else 0x67) for i in range(512)}
    if what == "p2m":
        leaf[7] = 0xffffff << 12 | 0x67
    p[L1] = (1, table(leaf))
    start = bytearray(PAGE)
    start[:14] = b"xen-3.0-x86_64"
    struct.pack_into("<Q", start, 56, STORE)
    struct.pack_into("<Q", start, 72, CONSOLE)
    p[START] = (0, bytes(start))
    p[CODE] = (0, code())
    for i in (STORE, CONSOLE, GDT, *range(P2M, P2M + P2MS)):
        p[i] = (0, bytes(PAGE))
    out = b""
    for first in range(0, PAGES, 1024):
        some = [(n, p[n]) for n in range(first, first + 1024)]
        entries = b"".join(struct.pack("<Q", (v[0] if v else 14) << 60 | n) for n, v in some)
        out += record(1, struct.pack("<II", len(some), 0) + entries + b"".join(v[1] for _, v in some if v))
    return out


def context():
    c = bytearray(5168)
    put = lambda at, *v: struct.pack_into(f"<{len(v)}Q", c, at, *v)
    struct.pack_into("<H", c, 0, 0x37f)
    struct.pack_into("<I", c, 24, 0x1f80)
    put(512, 0x25)                       # fpu valid, in kernel, online
    put(520 + 8 * 12, START)             # rdx
    put(520 + 8 * 16, VA + CODE * PAGE, 0xe033, 0x1206, VA + (CODE + 1) * PAGE, 0xe02b)
    put(4832, *[GDT], *[0] * 15)
    put(4960, 16)
    put(4984, 0x80050033, 0, 0, L4 << 12, 0x660)
    put(5048 + 48, 0xffff0ff0, 0x400)
    return bytes(c)


leaves = struct.pack("<12I", 0, 2**32 - 1, 0xb, 0x756e6547, 0x6c65746e, 0x49656e69,
                     1, 2**32 - 1, 0x106a3, 0x800, 0x80982201 | (what == "avx") << 28, 0x0789cbf5)
config = b'{"c_info":{"type":"pv","name":"small"}}\0'
image = b"Xen saved domain, xl format\n \0 \r" + \
    struct.pack("<IIIII", 0x01020304, 3, 0, len(config) + 4, len(config)) + config + \
    struct.pack(">8sII", b"LibxlFmt", 2, 0) + struct.pack("<II", 1, 0) + \
    struct.pack(">QIIQ", 2**64 - 1, 0x58454e46, 3, 0) + struct.pack("<IHHII", 1, 12, 0, 4, 17)
image += record(2, b"\x08\x04" + bytes(6)) + record(17, leaves) + record(16, b"")
image += record(3, struct.pack(f"<II{P2MS}Q", 0, PAGES - 1, *range(P2M, P2M + P2MS))) + pages()
image += record(8, struct.pack("<IIQII", 0, 2600000, 12345, 1, 0)) + record(7, bytes(4096))
image += record(4, bytes(8) + context())
if what == "vcpus":
    image += record(4, struct.pack("<II", 1, 0) + context())
image += record(0, b"") + struct.pack("<II", 0, 0)
with open(sys.argv[1], "wb") as f:
    f.write(image)
