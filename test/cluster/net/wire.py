"""
A network between namespaces, in user space: every node of the network has a TUN device, and this process carries the
packets between them, losing, delaying, doubling and reordering them as instructed for each direction of each pair. It
does what the kernel's netem does, which many kernels are built without, and nothing hides from it: what the kernels of
the nodes' namespaces see is a bad network.

usage: wire.py SEED NODES MTU

Makes the devices wire1 … wireNODES in its own namespace; the process that started it moves each to the namespace of its node
and gives it the address that ends in the same number. Then one JSON object a line on standard input:

  {"pairs": {"1>2": {"loss": 0.1, "delayMs": 20, "jitterMs": 5, "duplicate": 0.01, "reorder": 0.05}, …}}
      conditions from now on; directions that are not named are good. Answered by {"applied": true}.
  {"lines": {"1": {"bytesPerMs": 12500, "queueBytes": 262144}, …}}
      what the way out of a node carries from now on, and how much may wait for it: more is lost. Nodes that are not named
      have no limit. Answered by {"applied": true}.
  {"counts": true}
      answered by what became of packets so far.

Ends, and the devices with it, when standard input does.
"""

import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
# Packets that are read from one device before the others get their turn.
TURN = 64
# Packets on their way: more are lost, as in a switch that is full.
MOST_HELD = 20_000
# How much later than its successors a reordered packet may arrive.
REORDER_MS = 20
GOOD = {"loss": 0, "delayMs": 0, "jitterMs": 0, "duplicate": 0, "reorder": 0}


def open_device(number):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", f"wire{number}".encode(), IFF_TUN | IFF_NO_PI))
    return device


class Wire:
    def __init__(self, seed, nodes, mtu):
        self.chance = random.Random(seed)
        self.mtu = mtu
        self.devices = {number: open_device(number) for number in range(1, nodes + 1)}
        self.numbers = {device: number for number, device in self.devices.items()}
        self.pairs = {}
        self.lines = {}
        # When the way out of each node will have sent what waits for it.
        self.free = {}
        # When the last packet in order of each direction arrives: the next one does not overtake it.
        self.last = {}
        self.held = []
        self.order = 0
        self.counts = {"carried": 0, "lost": 0, "cut": 0, "delayed": 0, "duplicated": 0, "reordered": 0, "crowded": 0}

    def run(self):
        poll = select.epoll()
        for device in self.numbers:
            poll.register(device, select.EPOLLIN)
        poll.register(sys.stdin.fileno(), select.EPOLLIN)
        say({"ready": True})
        commands = b""
        while True:
            # epoll by itself counts whole milliseconds, which would make a whole one of a delay of half a millisecond.
            select.select([poll], [], [], self.patience())
            for descriptor, _ in poll.poll(0):
                if descriptor in self.numbers:
                    self.read(descriptor)
                    continue
                text = os.read(descriptor, 65536)
                if text == b"":
                    return
                *lines, commands = (commands + text).split(b"\n")
                for line in lines:
                    self.command(json.loads(line))
            self.deliver()

    def patience(self):
        if not self.held:
            return None
        return max(0.0, self.held[0][0] - time.monotonic())

    def command(self, command):
        if "pairs" in command:
            self.pairs = {
                tuple(int(number) for number in pair.split(">")): conditions
                for pair, conditions in command["pairs"].items()
            }
            say({"applied": True})
        elif "lines" in command:
            self.lines = {int(number): line for number, line in command["lines"].items()}
            say({"applied": True})
        else:
            say(self.counts)

    def read(self, device):
        for _ in range(TURN):
            try:
                packet = os.read(device, self.mtu + 64)
            except BlockingIOError:
                return
            # Only IPv4 has nodes here: its version is the first half byte, its destination ends at byte 20.
            if len(packet) >= 20 and packet[0] >> 4 == 4 and packet[19] in self.devices:
                self.carry(self.numbers[device], packet[19], packet)

    def carry(self, source, target, packet):
        now = time.monotonic()
        leaves = self.leave(source, len(packet), now)
        if leaves is None:
            self.counts["crowded"] += 1
            return None
        conditions = self.pairs.get((source, target))
        if conditions is None:
            return self.send(target, packet) if leaves == now else self.hold(source, target, packet, GOOD, leaves)
        loss = conditions["loss"]
        if self.chance.random() < loss:
            self.counts["cut" if loss >= 1 else "lost"] += 1
            return None
        self.hold(source, target, packet, conditions, leaves)
        if self.chance.random() < conditions["duplicate"]:
            self.counts["duplicated"] += 1
            self.hold(source, target, packet, conditions, leaves)
        return None

    def leave(self, source, length, now):
        """When a packet has left its node: now where its way out has no limit, never (None) where too much waits for it."""
        line = self.lines.get(source)
        if line is None:
            return now
        free = max(now, self.free.get(source, 0))
        if (free - now) * 1000 * line["bytesPerMs"] + length > line["queueBytes"]:
            return None
        self.free[source] = free + length / line["bytesPerMs"] / 1000
        return self.free[source]

    def hold(self, source, target, packet, conditions, leaves):
        if len(self.held) >= MOST_HELD:
            self.counts["lost"] += 1
            return
        delay = conditions["delayMs"] + conditions["jitterMs"] * self.chance.random()
        due = max(leaves + delay / 1000, self.last.get((source, target), 0))
        if self.chance.random() < conditions["reorder"]:
            self.counts["reordered"] += 1
            due += self.chance.uniform(1, REORDER_MS) / 1000
        else:
            self.last[(source, target)] = due
        self.counts["delayed"] += 1
        self.order += 1
        heapq.heappush(self.held, (due, self.order, target, packet))

    def deliver(self):
        now = time.monotonic()
        while self.held and self.held[0][0] <= now:
            _, _, target, packet = heapq.heappop(self.held)
            self.send(target, packet)

    def send(self, target, packet):
        try:
            os.write(self.devices[target], packet)
            self.counts["carried"] += 1
        except OSError:
            # A device that is full, or not up yet, loses packets: so do real ones.
            self.counts["lost"] += 1


def say(answer):
    print(json.dumps(answer), flush=True)


Wire(*(int(argument) for argument in sys.argv[1:4])).run()
