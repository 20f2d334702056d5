"""Starts a program with listening sockets as systemd does: bound by root, handed to a program that is nobody.

    hand_over.py [--count=N] KIND:ADDRESS:PORT[:NAME] ... -- PROGRAM ARGUMENT ...

KIND is udp or tcp; IPv6 is not needed here. Of each UDP address there are N sockets (SO_REUSEPORT).
"""

import os
import socket
import sys

split = sys.argv.index("--")
asked, program = sys.argv[1:split], sys.argv[split + 1 :]
count = 1
if asked[0].startswith("--count="):
    count = int(asked.pop(0).removeprefix("--count="))

sockets, names = [], []
for one in asked:
    kind, address, port, *name = one.split(":")
    for _ in range(count if kind == "udp" else 1):
        type_ = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
        opened = socket.socket(socket.AF_INET, type_)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind((address, int(port)))
        if kind == "tcp":
            opened.listen()
        sockets.append(opened)
        names.append(name[0] if name else "turnserver.socket")

# First away from the numbers that they are to have.
moved = [os.dup2(one.fileno(), 100 + place) for place, one in enumerate(sockets)]
for place, descriptor in enumerate(moved):
    os.dup2(descriptor, 3 + place, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(moved))
os.environ["LISTEN_FDNAMES"] = ":".join(names)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
os.execv(program[0], program)
