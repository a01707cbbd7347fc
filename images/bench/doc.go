// Package bench is an emulated board as somebody stands before it: a disk, a power switch,
// a console, a cable, RS-485 lines, a loudspeaker and a button, under qemu-system-aarch64
// with the boot loader that boards have. It knows nothing of what runs on the board but what
// comes out of it.
//
// What differs from a board on a pole, of QEMU 7.2:
//
//	RS-485            neither its FT232 nor its 16550A heeds the rate: what is sent is at the
//	                  other end at once. So the instruments take the time that request and
//	                  answer have on a wire (hwtest/line, Pace); without it an answer is back
//	                  sooner than its request could have travelled, and a Modbus line loses
//	                  three until it has found that out (drivers/modbus/early.go)
//	watchdog          i6300esb, which only runs while the emulator does (Stop)
//	a start anew      by kernel, watchdog or Reset leaves the memory as it was, but for what the
//	                  boot loader takes; a cut of the power leaves none
package bench
