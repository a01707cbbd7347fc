package drivers

import "context"

// Identified is a Registers whose units can be asked what they are. Both
// questions only read. Many units know neither and refuse, or stay silent.
type Identified interface {
	// ServerID asks function 17 (Modbus Application Protocol v1.1b3, section
	// 6.13). Data is what follows the byte count: the maker's own.
	ServerID(ctx context.Context, unit uint8) (Answer, error)
	// Identification asks function 43 with MEI type 14 (section 6.21) for the
	// objects of a category (code 1 basic, 2 regular) from one on. Data begins
	// with the conformity level.
	Identification(ctx context.Context, unit uint8, code, object byte) (Answer, error)
}
