"""pymodbus's own client polls eight registers of units 1 to 8 in turn for some seconds; prints polls per second.

Usage: PORT SECONDS
"""

import sys
import time

from pymodbus.client import ModbusTcpClient

port, seconds = int(sys.argv[1]), float(sys.argv[2])
client = ModbusTcpClient("127.0.0.1", port=port)
client.connect()
polls = 0
started = time.monotonic()
while time.monotonic() - started < seconds:
    answer = client.read_holding_registers(0, 8, slave=polls % 8 + 1)
    assert not answer.isError() and answer.registers[:3] == [0, 1, 2], answer
    polls += 1
print(polls / (time.monotonic() - started), flush=True)
