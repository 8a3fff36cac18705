#!/usr/bin/python3
"""
server.py - what the workloads of the set net talk to: listens on the host's
loopback, says its port, and ends when its standard input does.

A connection begins with a line: D n, n megabytes of noise to the client;
T n, of text; U n, from it, answered by 8 bytes; R n, n requests of 64 bytes,
each answered by as many.
"""
import random
import socket
import sys
import threading

MB = 1 << 20


def make_noise():
    return random.Random(1).randbytes(MB)


def make_text():
    words = ["word%d" % n for n in random.Random(2).sample(range(100000), 2000)]
    return " ".join(random.Random(3).choices(words, k=MB // 5)).encode()[:MB]


def exactly(c, n):
    while n > 0:
        part = c.recv(min(n, MB))
        if not part:
            raise OSError("cut short")
        n -= len(part)


def talk(c, blocks):
    line = b""
    while not line.endswith(b"\n"):
        part = c.recv(1)
        if not part or len(line) > 60:
            return
        line += part
    what, count = line.decode().split()
    count = int(count)
    if what in blocks:
        for _ in range(count):
            c.sendall(blocks[what])
    elif what == "U":
        exactly(c, count * MB)
        c.sendall(b"received")
    elif what == "R":
        for _ in range(count):
            exactly(c, 64)
            c.sendall(b"R" * 64)


def serve(c, blocks):
    with c:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            talk(c, blocks)
        except (OSError, ValueError):
            pass  # the guest was stopped


def accept(s, blocks):
    while True:
        threading.Thread(target=serve, args=(s.accept()[0], blocks), daemon=True).start()


def main():
    blocks = {"D": make_noise(), "T": make_text()}
    s = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, args=(s, blocks), daemon=True).start()
    print(s.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
