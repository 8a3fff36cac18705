# fork.py - a machine that leaves its recording while its disk is asked for something: the
# request ends, and the guest comes to its own end.
import os
from rsp import Client

c = Client(int(os.environ['PORT']))
c.monitor('seek ' + os.environ['EVENT'])
assert 'leaves its recording' in c.monitor('fork')
c.sock.settimeout(80)
assert c.run('vCont;c') == 'W00'
c.send('k')
print('fork.py: fine')
