/* A Modbus slave by libmodbus 3.1 (Debian libmodbus-dev), a peer for tests.
 *
 * Usage: libmodbus_slave rtu PORT BAUD UNIT | tcp HOST PORT
 * Holding and input register k holds 1000*UNIT + k (UNIT 1 on TCP) for k below
 * 200, other addresses are refused. Prints "ready" when it serves.
 *
 * cc libmodbus_slave.c -o libmodbus_slave $(pkg-config --cflags --libs libmodbus)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <modbus.h>

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	int rtu = strcmp(argv[1], "rtu") == 0, unit = rtu && argc > 4 ? atoi(argv[4]) : 1;
	modbus_t *ctx = rtu ? modbus_new_rtu(argv[2], atoi(argv[3]), 'N', 8, 1)
			    : modbus_new_tcp(argv[2], atoi(argv[3]));
	modbus_mapping_t *map = modbus_mapping_new(200, 200, 200, 200);
	if (!ctx || !map || modbus_set_slave(ctx, unit) < 0)
		return 1;
	for (int k = 0; k < 200; k++)
		map->tab_registers[k] = map->tab_input_registers[k] = 1000 * unit + k;
	uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
	int listener = -1;
	if (rtu) {
		if (modbus_connect(ctx) < 0)
			return 1;
	} else if ((listener = modbus_tcp_listen(ctx, 4)) < 0) {
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (!rtu && modbus_tcp_accept(ctx, &listener) < 0)
			return 1;
		for (;;) {
			int n = modbus_receive(ctx, query);
			if (n > 0)
				modbus_reply(ctx, query, n, map);
			else if (n < 0 && !rtu)
				break;
			else if (n < 0 && errno == EIO)
				return 0;
		}
		modbus_close(ctx);
	}
}
