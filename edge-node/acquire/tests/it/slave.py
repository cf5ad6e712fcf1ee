"""Modbus slaves that are not ours: pymodbus, serving what the test describes.

Usage: slave.py tcp SPEC | slave.py rtu PORT SPEC
SPEC is JSON: {"1": {"coils": {"0": 1}, "discrete": {}, "holding": {"7": 42}, "input": {}}}; an address that is not
listed is answered with exception 2, a unit that is not listed not at all. Prints one line when it serves.
"""

import asyncio
import json
import sys

from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext, ModbusSparseDataBlock
from pymodbus.server.async_io import ModbusSerialServer, ModbusTcpServer
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer

TABLES = {"coils": "co", "discrete": "di", "holding": "hr", "input": "ir"}


def block(values):
    # The library refuses an empty block: an address that nobody reads stands in.
    return ModbusSparseDataBlock({int(a): v for a, v in values.items()} or {65535: 0})


def context(spec):
    slaves = {}
    for unit, tables in json.loads(spec).items():
        blocks = {short: block(tables.get(name, {})) for name, short in TABLES.items()}
        slaves[int(unit)] = ModbusSlaveContext(zero_mode=True, **blocks)
    return ModbusServerContext(slaves=slaves, single=False)


async def tcp(spec):
    server = ModbusTcpServer(
        context(spec), framer=ModbusSocketFramer, address=("127.0.0.1", 0), ignore_missing_slaves=True
    )
    serving = asyncio.create_task(server.serve_forever())
    await server.serving
    print(server.server.sockets[0].getsockname()[1], flush=True)
    await serving


async def rtu(port, spec):
    server = ModbusSerialServer(
        context(spec), framer=ModbusRtuFramer, port=port, baudrate=115200, ignore_missing_slaves=True
    )
    await server.start()
    print(0, flush=True)
    await server.serve_forever()


asyncio.run({"tcp": tcp, "rtu": rtu}[sys.argv[1]](*sys.argv[2:]))
