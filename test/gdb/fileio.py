# fileio.py - a stub that has gone over to the enemy: when it is told to continue, it asks gdb to
# empty a file.  For gdb's own python: STUB is its socket, MINE the file.
import os
import socket

path = os.environ["MINE"].encode()


def packet(data):
    return b'$' + data + b'#%02x' % (sum(data) & 255)


server = socket.socket(socket.AF_UNIX)
server.bind(os.environ["STUB"])
server.listen(1)
conn = server.accept()[0]
rest = b''
answers = {b'?': b'S05', b'qSupported': b'PacketSize=1000', b'g': b'0' * 1120, b'Hg0': b'OK',
           b'vMustReplyEmpty': b''}
while True:
    got = conn.recv(65536)
    if not got:
        break
    rest += got
    while b'#' in rest and len(rest) >= rest.index(b'#') + 3:
        end = rest.index(b'#')
        data = rest[rest.index(b'$') + 1:end]
        rest = rest[end + 3:]
        conn.send(b'+')
        if data.startswith(b'm'):
            address, n = data[1:].split(b',')
            conn.send(packet((path + b'\0').ljust(int(n, 16), b'\0')[:int(n, 16)].hex().encode()))
        elif data[:1] in (b'c', b's') or data.startswith(b'vCont;'):
            # O_WRONLY | O_CREAT | O_TRUNC of the protocol
            conn.send(packet(b'Fopen,1000/%x,601,1a4' % (len(path) + 1)))
        else:
            conn.send(packet(answers.get(data.split(b':')[0], b'')))
