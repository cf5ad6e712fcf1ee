"""pyserial reads WL-134A frames from a port and checks each; prints 0 when it listens, then frames per second.

Usage: PORT FRAMES
"""

import sys
import time

import serial

port, frames = sys.argv[1], int(sys.argv[2])
line = serial.Serial(port, 115200, timeout=10)
print(0, flush=True)
buffer = line.read(1)
started = time.monotonic()
good = 0
while good < frames:
    buffer += line.read(max(1, line.in_waiting))
    at = 0
    while len(buffer) - at >= 30:
        frame = buffer[at : at + 30]
        at += 30
        total = 0
        for byte in frame[1:27]:
            total ^= byte
        assert frame[0] == 2 and frame[29] == 3 and frame[27] == total and frame[28] == total ^ 0xFF, frame
        national, country = int(frame[10:0:-1], 16), int(frame[14:10:-1], 16)
        assert country == 50 and national > 0
        good += 1
    buffer = buffer[at:]
print(good / (time.monotonic() - started), flush=True)
