"""A pymodbus server on 127.0.0.1 with units 1 to 8 of 64 holding registers each; prints its port when it serves."""

import asyncio

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server.async_io import ModbusTcpServer
from pymodbus.transaction import ModbusSocketFramer


async def main():
    def slave():
        return ModbusSlaveContext(zero_mode=True, hr=ModbusSequentialDataBlock(0, list(range(64))))

    context = ModbusServerContext(slaves={unit: slave() for unit in range(1, 9)}, single=False)
    server = ModbusTcpServer(context, framer=ModbusSocketFramer, address=("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve_forever())
    await server.serving
    print(server.server.sockets[0].getsockname()[1], flush=True)
    await serving


asyncio.run(main())
