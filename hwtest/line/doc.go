// Package line is the bench's wire: RS-485 lines as pseudo-terminals (RTU or
// ASCII), Modbus TCP gateways and serial servers (RTU over TCP), with units on them that answer, are late, lie or die.
//
// A pty moves bytes at once; a Line gives back the time that they would take.
// A request's last bit is held to arrive len × character time after its first
// byte was seen; the unit acts after 3.5 characters of silence, its answer
// begins one turnaround later, and each byte is written when its stop bit would
// have ended, never before.
//
// The package never imports anything of firmware or drivers: its CRC, its
// framing and its answers are written from the standard alone, so that an error
// in ours cannot cancel itself out. It never asks for anything: it is only ever
// the slave.
//
// Sources: MODBUS over Serial Line V1.02 (2.5.1.1: 3.5 characters of silence,
// 1.75 ms above 19200 Bd; 2.5.2.1: ASCII frames; 6.2.1: LRC; 6.2.2: CRC), MODBUS Application Protocol V1.1b3
// (section 6: functions 1-6, 8, 15-17, 43/14; section 7: exception codes), MODBUS
// Messaging on TCP/IP V1.0b (3.1.3: MBAP header).
package line
