# rsp.py - a small client of gdb's remote protocol, for tests that make more steps
# than gdb itself has patience for, and for bench/travel.py.  Runs in gdb's own
# python too: gdb -batch -x FILE.
import socket
import struct
import time

NAMES = ('rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip').split()


class Client:
    def __init__(self, where):
        """`where` is a port, or the path of a socket."""
        if isinstance(where, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(where)
        else:
            self.sock = socket.create_connection(('127.0.0.1', where))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b''
        self.acks = True
        self.features = self.ask('qSupported:swbreak+;hwbreak+')
        self.ask('QStartNoAckMode')
        self.acks = False

    def packet(self):
        while True:
            self.rest = self.rest.lstrip(b'+')
            end = self.rest.find(b'#')
            if end >= 0 and len(self.rest) >= end + 3:
                data = self.rest[1:end]
                assert self.rest[:1] == b'$', self.rest
                assert int(self.rest[end + 1:end + 3], 16) == sum(data) & 255
                self.rest = self.rest[end + 3:]
                if self.acks:
                    self.sock.send(b'+')
                return data
            more = self.sock.recv(65536)
            assert more, 'the server is gone'
            self.rest += more

    def send(self, text):
        data = text.encode('latin-1')
        self.sock.sendall(b'$' + data + b'#%02x' % (sum(data) & 255))

    def ask(self, text):
        self.send(text)
        return self.packet().decode('latin-1')

    def regs(self):
        return self.ask('g')

    def reg(self, regs, name):
        at = NAMES.index(name) * 16
        return struct.unpack('<Q', bytes.fromhex(regs[at:at + 16]))[0]

    def tail(self, regs, n):
        """The n-th 8-byte register from the end: 1 brctr, 2 icount, 3 user_cr3, 7 cr3"""
        at = len(regs) - 16 * n
        return struct.unpack('<Q', bytes.fromhex(regs[at:at + 16]))[0]

    def icount(self, regs=None):
        return self.tail(regs or self.regs(), 2)

    def memory(self, addr, n):
        answer = self.ask('m%x,%x' % (addr, n))
        return bytes.fromhex(answer) if answer[0] != 'E' else None

    def monitor(self, line):
        out = ''
        self.send('qRcmd,' + line.encode().hex())
        while True:
            data = self.packet().decode()
            if data[0] != 'O' or data == 'OK':
                assert data == 'OK', data
                return out
            out += bytes.fromhex(data[1:]).decode()

    def run(self, how):
        """Any move; the stop packet."""
        self.send(how)
        while True:
            data = self.packet().decode()
            if data[0] != 'O':
                return data


def median(values):
    return sorted(values)[len(values) // 2]


def timed(fn):
    start = time.monotonic()
    fn()
    return time.monotonic() - start
