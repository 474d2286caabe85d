#!/usr/bin/env python3
"""A stand-in for systemd: starts a command with NOTIFY_SOCKET and WATCHDOG_USEC, listens, ends it on silence, restarts it.

    stand-in.py SOCKET WATCHDOG_MS COMMAND...      SOCKET: a path, or @NAME of the abstract namespace

Says on stdout, one JSON object a line: start, told (with the lines), silent, exit. Believes the main process alone, as
NotifyAccess=main does. Ends the command, and itself, when its stdin ends.
"""
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

address, watchdog_ms, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listening.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
listening.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)


def say(what, **fields):
    print(json.dumps({"what": what, **fields}), flush=True)


def sender_of(ancillary):
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            return struct.unpack("3i", data[:12])[0]
    return 0


def start():
    environment = {**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": str(watchdog_ms * 1000)}
    child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    say("start", pid=child.pid)
    return child


def listen(child):
    """One message, if there is one; True when it moves the deadline."""
    data, ancillary, _, _ = listening.recvmsg(8192, 64)
    lines = dict(line.split("=", 1) for line in data.decode().split("\n") if "=" in line)
    is_main = sender_of(ancillary) == child.pid
    say("told", pid=sender_of(ancillary), isMain=is_main, lines=lines)
    return lines if is_main else {}


def hears(timeout):
    return listening in select.select([listening], [], [], timeout)[0]


def end(child):
    child.terminate()
    while child.poll() is None or hears(0):
        if hears(0.05):
            listen(child)
    say("exit", pid=child.pid, code=child.returncode)


def watch(child):
    """Until it has ended by itself or by us; True when nobody wants another."""
    deadline = None
    while True:
        if select.select([sys.stdin], [], [], 0)[0] and not os.read(0, 1024):
            end(child)
            return True
        lines = listen(child) if hears(0.05) else {}
        if lines.get("READY") == "1" or (lines.get("WATCHDOG") == "1" and deadline):
            deadline = time.monotonic() + watchdog_ms / 1000
        if deadline and time.monotonic() > deadline:
            say("silent", pid=child.pid)
            child.send_signal(signal.SIGABRT)
            deadline = None
        if child.poll() is not None:
            say("exit", pid=child.pid, code=child.returncode)
            return False


while not watch(start()):
    time.sleep(0.1)
