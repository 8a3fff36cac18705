# check.py - python's modules in the guest; exits 0 when all answers are right.
import concurrent.futures
import ctypes
import decimal
import fractions
import hashlib
import json
import math
import multiprocessing
import random
import re
import struct
import subprocess
import threading
import time
import zlib

wrong = []


def check(name, got, want):
    if got != want:
        print("wrong:", name, got)
        wrong.append(name)


check("json", json.dumps(json.loads('{"b":"\\u00e9","a":[1,2.5,null,true]}'), sort_keys=True),
      '{"a": [1, 2.5, null, true], "b": "\\u00e9"}')
check("sha256", hashlib.sha256(b"x" * 1000000).hexdigest(),
      "1b977e9f84f1b26b6ed7f68b0498faee2385ea4125bd29adce4a7d9106ba3134")
check("md5", hashlib.md5(b"y" * 99999).hexdigest(), "dd616619b0a6136b8388285f3a1845cc")
check("sha3", hashlib.sha3_256(b"z" * 9999).hexdigest(),
      "446fedb927e0d383ea0f31fe4bf392b870523e20fad9e4ff4a624fa9524aee55")
random.seed(42)
check("random", [random.random() for _ in range(3)] + [random.gauss(0, 1)],
      [0.6394267984578837, 0.025010755222666936, 0.27502931836911926, 0.2735990065583831])
count = 0
lock = threading.Lock()


def work():
    global count
    for _ in range(2000):
        with lock:
            count += 1


threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads:
    t.start()
for t in threads:
    t.join()
check("threads", count, 16000)
done = subprocess.run(["sh", "-c", "echo hi; exit 3"], capture_output=True)
check("subprocess", (done.returncode, done.stdout), (3, b"hi\n"))
check("floats", [math.sin(1e22), math.exp(1), math.gamma(5.5), 0.1 + 0.2, math.fsum([0.1] * 10)],
      [-0.8522008497671888, 2.718281828459045, 52.34277778455352, 0.30000000000000004, 1.0])
check("crc32", zlib.crc32(b"abc" * 10000), 2767349930)
check("zlib", zlib.decompress(zlib.compress(b"a" * 100000)), b"a" * 100000)
check("decimal", str(decimal.Decimal(1) / 7), "0.1428571428571428571428571429")
check("fractions", fractions.Fraction(1, 3) + fractions.Fraction(2, 7), fractions.Fraction(13, 21))
check("struct", struct.pack("<dfq", math.pi, math.e, -5).hex(),
      "182d4454fb21094054f82d40fbffffffffffffff")
check("re", re.sub(r"(\d+)", lambda m: str(int(m[1]) * 2), "a1b22c333"), "a2b44c666")
start = time.monotonic()
time.sleep(0.05)
check("sleep", 0.05 <= time.monotonic() - start < 1, True)
with multiprocessing.get_context("fork").Pool(3) as pool:
    check("processes", pool.map(abs, [-1, -2, -3]), [1, 2, 3])
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    check("executor", list(pool.map(math.factorial, range(8)))[-1], 5040)
check("ctypes", ctypes.CDLL(None).abs(-5), 5)
raise SystemExit(len(wrong))
