#!/usr/bin/env python3
"""A Modbus slave by pymodbus 3.0 (Debian python3-pymodbus), a peer for tests.

Usage: pymodbus_slave.py rtu|ascii PORT BAUD | tcp|rtu-over-tcp|ascii-over-tcp HOST PORT
Units 1 to 4; holding and input register k of unit u holds 1000*u + k for k
below 200, other addresses are refused. It names itself Peer, PM, 3.0. Prints "ready" when it serves.
"""
import asyncio
import sys

from pymodbus.datastore import (ModbusSequentialDataBlock, ModbusServerContext,
                                ModbusSlaveContext)
from pymodbus.device import ModbusDeviceIdentification
from pymodbus.server.async_io import ModbusSerialServer, ModbusTcpServer
from pymodbus.transaction import (ModbusAsciiFramer, ModbusRtuFramer,
                                  ModbusSocketFramer)


def unit(u):
    registers = [1000 * u + k for k in range(200)]
    return ModbusSlaveContext(
        co=ModbusSequentialDataBlock(0, [0] * 200),
        di=ModbusSequentialDataBlock(0, [1, 0] * 100),
        hr=ModbusSequentialDataBlock(0, registers),
        ir=ModbusSequentialDataBlock(0, registers),
        zero_mode=True)


async def main():
    context = ModbusServerContext(slaves={u: unit(u) for u in range(1, 5)}, single=False)
    who = ModbusDeviceIdentification(info_name={"VendorName": "Peer", "ProductCode": "PM", "MajorMinorRevision": "3.0"})
    framer = {"rtu": ModbusRtuFramer, "ascii": ModbusAsciiFramer, "tcp": ModbusSocketFramer,
              "rtu-over-tcp": ModbusRtuFramer, "ascii-over-tcp": ModbusAsciiFramer}[sys.argv[1]]
    if sys.argv[1] in ("rtu", "ascii"):
        server = ModbusSerialServer(context, framer=framer, identity=who, port=sys.argv[2],
                                    baudrate=int(sys.argv[3]), timeout=1, ignore_missing_slaves=True)
        await server.start()
    else:
        server = ModbusTcpServer(context, framer=framer, identity=who, address=(sys.argv[2], int(sys.argv[3])))
    serving = asyncio.create_task(server.serve_forever())
    await asyncio.sleep(0.2)
    print("ready", flush=True)
    await serving


asyncio.run(main())
