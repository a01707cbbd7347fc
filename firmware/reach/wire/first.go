package wire

// Class is what a message is, in the order in which it goes out.
type Class uint8

// The classes. Strict order holds for the first three.
const (
	Warning   Class = iota // red and orange warnings, down
	Command                // signed commands, down
	Receipt                // receipts and acknowledgements
	Alarm                  // thresholds crossed at a station
	Telemetry              // readings
	Bulk                   // pictures, logs, firmware
	classes
)

// Form is what the first bits of a message say that it is.
type Form uint8

// The forms. Text for people, and whatever else is not ours, is Foreign.
const (
	Foreign         Form = iota
	CompactWarning       // decide/alert/compact: 0001
	Narrow               // 100
	EnvelopeForm         // 1100 0001
	DatagramForm         // 1100 0010
	envelopeFirst   = 0xC1
	datagramFirst   = 0xC2
	narrowVersion   = 0b100
	compactFirstNib = 0b0001
)

// FormOf tells messages apart by their first bits (see the table in doc.go).
func FormOf(b []byte) Form {
	switch {
	case len(b) == 0:
	case b[0]>>4 == compactFirstNib:
		return CompactWarning
	case b[0]>>5 == narrowVersion:
		return Narrow
	case b[0] == envelopeFirst:
		return EnvelopeForm
	case b[0] == datagramFirst:
		return DatagramForm
	}
	return Foreign
}
