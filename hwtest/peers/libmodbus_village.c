/* A village's instruments behind one Modbus TCP address, by libmodbus 3.1
 * (Debian libmodbus-dev), a peer for tests. It serves several masters at once.
 *
 * Usage: libmodbus_village HOST PORT
 * Unit 1 a rain gauge (holding 0: total in 0.1 mm), unit 3 a radar (holding 0-1:
 * level in m as float32 ABCD, 2: status), unit 11 a relay board (coils 0-7;
 * discrete inputs 0-7, of which 4 follows coil 0 as a current switch in a siren's
 * feed does). Reads "rain MM" and "level M" from its standard input; prints
 * "ready", and "coil N on|off" for each change.
 *
 * cc libmodbus_village.c -o libmodbus_village $(pkg-config --cflags --libs libmodbus)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <modbus.h>

enum { RAIN = 1, RIVER = 3, BOARD = 11, UNITS = 12 };

static modbus_mapping_t *unit[UNITS];

static void told(void)
{
	static char line[128];
	static size_t have;
	ssize_t n = read(0, line + have, sizeof line - 1 - have);
	if (n <= 0)
		exit(0);
	line[have += n] = 0;
	for (char *end; (end = strchr(line, '\n'));) {
		float value;
		char what[16];
		*end = 0;
		if (sscanf(line, "%15s %f", what, &value) == 2) {
			if (!strcmp(what, "rain"))
				unit[RAIN]->tab_registers[0] = (uint16_t)(value * 10 + 0.5f);
			else if (!strcmp(what, "level"))
				modbus_set_float_abcd(value, unit[RIVER]->tab_registers);
		}
		have -= end + 1 - line;
		memmove(line, end + 1, have + 1);
	}
	if (have == sizeof line - 1)
		have = 0;
}

static void show(void)
{
	static uint8_t before[8];
	for (int i = 0; i < 8; i++)
		if (unit[BOARD]->tab_bits[i] != before[i])
			printf("coil %d %s\n", i, (before[i] = unit[BOARD]->tab_bits[i]) ? "on" : "off");
	unit[BOARD]->tab_input_bits[4] = unit[BOARD]->tab_bits[0];
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	modbus_t *ctx = modbus_new_tcp(argv[1], atoi(argv[2]));
	unit[RAIN] = modbus_mapping_new(0, 0, 1, 0);
	unit[RIVER] = modbus_mapping_new(0, 0, 3, 0);
	unit[BOARD] = modbus_mapping_new(8, 8, 0, 0);
	if (!ctx || !unit[RAIN] || !unit[RIVER] || !unit[BOARD])
		return 1;
	modbus_set_float_abcd(3.0f, unit[RIVER]->tab_registers);
	int listener = modbus_tcp_listen(ctx, 8), most = listener;
	if (listener < 0)
		return 1;
	fd_set all;
	FD_ZERO(&all);
	FD_SET(0, &all);
	FD_SET(listener, &all);
	puts("ready");
	fflush(stdout);
	for (;;) {
		fd_set now = all;
		if (select(most + 1, &now, NULL, NULL, NULL) < 0)
			return 1;
		for (int fd = 0; fd <= most; fd++) {
			if (!FD_ISSET(fd, &now))
				continue;
			if (fd == 0) {
				told();
			} else if (fd == listener) {
				int c = accept(listener, NULL, NULL);
				if (c >= 0 && c < FD_SETSIZE) {
					FD_SET(c, &all);
					most = c > most ? c : most;
				}
			} else {
				uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
				modbus_set_socket(ctx, fd);
				int n = modbus_receive(ctx, query);
				if (n < 0) {
					close(fd);
					FD_CLR(fd, &all);
					continue;
				}
				/* An MBAP header has the unit in its seventh byte. */
				uint8_t u = query[6];
				if (u < UNITS && unit[u])
					modbus_reply(ctx, query, n, unit[u]);
				else
					modbus_reply_exception(ctx, query, MODBUS_EXCEPTION_GATEWAY_TARGET);
				show();
			}
		}
	}
}
