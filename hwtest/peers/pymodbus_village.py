#!/usr/bin/env python3
"""A village's instruments by pymodbus 3.0 (Debian python3-pymodbus), a peer for tests.

Usage: pymodbus_village.py PORT BAUD
On one RS-485 line: unit 1 a rain gauge (holding 0: total in 0.1 mm), unit 3 a
radar (holding 0-1: level in m as float32 ABCD, 2: status), unit 11 a relay
board (coils 0-7; discrete inputs 0-7, of which 4 follows coil 0 as a current
switch in a siren's feed does). Reads "rain MM" and "level M" from its standard
input; prints "ready", and "coil N on|off" for each change.
"""
import asyncio
import struct
import sys

from pymodbus.datastore import (ModbusSequentialDataBlock, ModbusServerContext,
                                ModbusSlaveContext)
from pymodbus.server.async_io import ModbusSerialServer
from pymodbus.transaction import ModbusRtuFramer


class Coils(ModbusSequentialDataBlock):
    """Coils that tell when they change, and drive an input."""

    def __init__(self, inputs):
        super().__init__(0, [False] * 8)
        self.inputs = inputs

    def setValues(self, address, values):
        before = list(self.values)
        super().setValues(address, values)
        for n, on in enumerate(self.values):
            if bool(on) != bool(before[n]):
                print("coil", n, "on" if on else "off", flush=True)
        self.inputs.values[4] = bool(self.values[0])


def level(metres):
    return list(struct.unpack(">HH", struct.pack(">f", metres))) + [0]


def slave(holding=None, coils=None, inputs=None):
    none = ModbusSequentialDataBlock(0, [0])
    return ModbusSlaveContext(hr=holding or none, ir=none, co=coils or none, di=inputs or none, zero_mode=True)


async def main():
    rain, river = ModbusSequentialDataBlock(0, [0]), ModbusSequentialDataBlock(0, level(3.0))
    inputs = ModbusSequentialDataBlock(0, [False] * 8)
    context = ModbusServerContext(single=False, slaves={
        1: slave(holding=rain), 3: slave(holding=river), 11: slave(coils=Coils(inputs), inputs=inputs)})

    def told():
        line = sys.stdin.readline()
        if not line:
            asyncio.get_running_loop().remove_reader(sys.stdin)
            return
        what, value = line.split()
        if what == "rain":
            rain.setValues(0, [round(float(value) * 10)])
        elif what == "level":
            river.setValues(0, level(float(value)))

    asyncio.get_running_loop().add_reader(sys.stdin, told)
    server = ModbusSerialServer(context, framer=ModbusRtuFramer, port=sys.argv[1],
                                baudrate=int(sys.argv[2]), timeout=1, ignore_missing_slaves=True)
    await server.start()
    serving = asyncio.create_task(server.serve_forever())
    await asyncio.sleep(0.2)
    print("ready", flush=True)
    await serving


asyncio.run(main())
