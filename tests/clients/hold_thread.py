"""Stops one thread of a process as a debugger does, until standard input ends: a hang that the other threads do not share.

    hold_thread.py PROCESS THREAD-NAME
"""

import ctypes
import os
import sys

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
__WALL = 0x40000000


def thread_called(process, name):
    for thread in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{thread}/comm", encoding="utf-8") as comm:
            if comm.read().strip() == name:
                return int(thread)
    sys.exit(f"process {process} has no thread called {name}")


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) == -1:
        sys.exit(f"ptrace({request:#x}): {os.strerror(ctypes.get_errno())}")


held = thread_called(sys.argv[1], sys.argv[2])
ptrace(SEIZE, held)
ptrace(INTERRUPT, held)
os.waitpid(held, __WALL)
print("held", flush=True)
sys.stdin.read()
ptrace(DETACH, held)
