"""Somebody else on the machine, of the same user: has memory, queues and keys that others must not
reach, and counts the signals that it gets. Ends with its standard input, and says the count."""

import ctypes
import json
import os
import signal
import sys

libc = ctypes.CDLL(None, use_errno=True)
LIBRT = ctypes.CDLL("librt.so.1", use_errno=True)
CREATE, EXCLUSIVE, REMOVE = 0o1000, 0o2000, 0
ADD_KEY = {"x86_64": 248, "aarch64": 217}[os.uname().machine]
KEYCTL = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
USER_KEYS, SESSION_KEYS = -4, -3

signals = 0


def count(number, frame):
    global signals
    signals += 1


signal.signal(signal.SIGUSR1, count)
name = sys.argv[1]
key = int(name.rsplit("-", 2)[1]) * 16 + int(name.rsplit("-", 1)[1])

memory = libc.shmget(key, 4096, CREATE | EXCLUSIVE | 0o600)
semaphore = libc.semget(key, 1, CREATE | EXCLUSIVE | 0o600)
queue = libc.msgget(key, CREATE | EXCLUSIVE | 0o600)
LIBRT.mq_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
posix_queue = LIBRT.mq_open(f"/{name}".encode(), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600, None)
posix_memory = f"/dev/shm/{name}"
with open(posix_memory, "x") as it:
    it.write("shared")
keys = {
    place: libc.syscall(ADD_KEY, b"user", f"{name}{place}".encode(), b"key", 3, place)
    for place in (USER_KEYS, SESSION_KEYS)
}

planted = {"victim": os.getpid(), "posix_memory": name}
if memory >= 0:
    planted["sysv_memory"] = key
if semaphore >= 0:
    planted["sysv_semaphore"] = key
if queue >= 0:
    planted["sysv_queue"] = key
if posix_queue >= 0:
    # The kernel wants it without the slash that the library wants.
    planted["posix_queue"] = name
if keys[USER_KEYS] > 0:
    planted["user_key"] = f"{name}{USER_KEYS}"
if keys[SESSION_KEYS] > 0:
    planted["session_key"] = f"{name}{SESSION_KEYS}"
print(json.dumps(planted), flush=True)

sys.stdin.read()

libc.shmctl(memory, REMOVE, None)
libc.semctl(semaphore, 0, REMOVE)
libc.msgctl(queue, REMOVE, None)
LIBRT.mq_unlink(f"/{name}".encode())
os.unlink(posix_memory)
for place, number in keys.items():
    if number > 0:
        libc.syscall(KEYCTL, 9, number, place)
print(json.dumps({"signals": signals}), flush=True)
