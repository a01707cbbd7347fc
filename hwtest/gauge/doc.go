// Package gauge is the bench's instruments as a line sees them: rain gauge,
// radar level gauge, gas transmitter, relay board with contacts, contactors and
// sirens behind it, and the hands that press keys.
//
// Each keeps the physical truth apart from what it says: rain that fell and
// rain that was counted, coil and contact, contact and sound. The bench is
// asked for the truth, the box sees only registers.
//
// Nothing here measures anything of the box, and nothing is imported from it.
//
// Register maps (0-based):
//
//	rain   holding 0x0000  total in 0.1 mm, uint16, rolls over
//	radar  holding 0x0000  level in metres above gauge zero, float32 ABCD (2 registers)
//	       holding 0x0002  bit 0 echo lost, bit 1 fault
//	gas    holding 0x0000  CH4 in 0.01 %LEL, uint16
//	       holding 0x0001  0 ok, 1 warming up, 2 fault
//	board  after Waveshare's wiki, see Board
package gauge
