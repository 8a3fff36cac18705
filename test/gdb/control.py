# control.py - what a client may and may not do: interrupting both ways, going away
# while the machine runs, detaching, writing, leaving the recording.
import os
import re
import time
from rsp import Client

PORT = int(os.environ['PORT'])
USE = int(os.environ['USE'], 16)
COUNTER = int(os.environ['RECORD'], 16) + 8


def interrupt(c, how):
    c.send(how)
    time.sleep(0.2)
    c.sock.send(b'\x03')
    stop = c.packet().decode()
    assert stop == 'T02thread:1;', stop


def refused(c):
    before = c.regs()
    assert c.ask('P0=4141414141414141').startswith('E.'), 'a register was written'
    assert c.ask('M%x,1:41' % c.reg(before, 'rsp')).startswith('E.'), 'memory was written'
    assert c.ask('X%x,1:A' % c.reg(before, 'rsp')).startswith('E.'), 'memory was written'
    assert c.regs() == before


def places(c):
    c.monitor('seek 50%')
    half = c.regs()
    assert abs(c.icount(half) * 2 - int(os.environ['END'])) <= 2
    c.monitor('seek end')
    assert c.icount() == int(os.environ['END'])
    assert c.run('vCont;c') == 'T05thread:1;replaylog:end;'
    assert c.run('vCont;s') == 'T05thread:1;replaylog:end;'
    c.monitor('seek start')
    assert c.run('bs') == 'T05thread:1;replaylog:begin;'
    assert c.run('bc') == 'T05thread:1;replaylog:begin;'
    assert c.icount() == 0
    c.monitor('seek 50%')
    assert c.regs() == half
    assert 'position' in c.monitor('seek nowhere')
    assert 'no such command' in c.monitor('frobnicate')
    assert re.match(r'icount %d \(50\.00%%\), brctr \d+, rip 0x' % c.icount(half), c.monitor('when'))
    return half


def processes(c):
    """The breakpoint in the program counts only in its process."""
    c.ask('Z0,%x,1' % USE)
    c.monitor('seek start')
    c.monitor('process nobody')
    assert c.run('vCont;c') == 'T05thread:1;replaylog:end;'
    assert c.run('bc') == 'T05thread:1;replaylog:begin;'
    c.monitor('process victim')
    assert 'swbreak' in c.run('vCont;c')
    found = c.monitor('ps')
    assert re.search(r'^\* +\d+ +1 R victim  victim bug$', found, re.M), found
    pid = re.search(r'^\* +(\d+)', found, re.M).group(1)
    c.monitor('process ' + pid)
    assert 'swbreak' in c.run('vCont;c')
    c.monitor('process any')
    assert 'swbreak' in c.run('bc')
    c.ask('z0,%x,1' % USE)


def hostile():
    c = Client(PORT)
    c.monitor('seek 25%')
    c.send('vCont;c')
    time.sleep(0.1)
    c.sock.close() # while it runs
    c = Client(PORT)
    c.send('vCont;c')
    c.sock.sendall(b'$g#67' * 1000 + b'$' + b'\xff' * 100000)
    c.sock.close()
    c = Client(PORT)
    c.sock.sendall(os.urandom(20000))
    c.sock.close()


def fork(c):
    c.monitor('seek 25%')
    for line in ('fork now', 'fork x', 'ps x', 'when x', 'help x'):
        assert 'nothing to be said after it' in c.monitor(line), line
    assert c.ask('vKill;99').startswith('E')
    assert c.ask('P0=4141414141414141').startswith('E.'), 'it forked'
    assert 'leaves its recording' in c.monitor('fork')
    assert 'has left its recording' in c.monitor('seek start')
    assert c.run('bs') == 'T05thread:1;replaylog:begin;'
    for _ in range(5):
        assert c.run('vCont;s') == 'T05thread:1;'
    regs = c.regs()
    assert c.ask('P6=4141414141414141') == 'OK'
    assert c.reg(c.regs(), 'rbp') == 0x4141414141414141
    assert c.ask('P6=' + regs[6 * 16:7 * 16]) == 'OK'
    assert c.regs() == regs
    sp = c.reg(regs, 'rsp')
    assert c.ask('M%x,4:41424344' % (sp - 256)) == 'OK'
    assert c.memory(sp - 256, 4) == b'ABCD'
    interrupt(c, 'vCont;c')
    c.ask('Z2,%x,8' % COUNTER)
    c.monitor('process victim')
    stop = c.run('vCont;c') # it gets there by itself
    assert 'watch:%x;' % COUNTER in stop, stop
    c.ask('z2,%x,8' % COUNTER)
    assert c.run('vCont;c') == 'W00'


c = Client(PORT)
half = places(c)
refused(c)
interrupt(c, 'vCont;c')
forward = c.icount()
assert forward > c.icount(half)
c.monitor('seek end')
interrupt(c, 'bc')
processes(c)
c.monitor('seek 50%')
assert c.ask('D') == 'OK'
c = Client(PORT)
assert c.regs() == half
c.sock.close()
hostile()
c = Client(PORT)
c.monitor('seek 50%')
assert c.regs() == half
fork(c)
c.send('k')
print('control.py: fine')
