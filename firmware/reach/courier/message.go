package courier

import (
	"slices"
	"time"

	"tocsin/firmware/clock"
	"tocsin/firmware/phrase"
)

// Class says how urgent a message is; lower goes first. The numbers are those of the
// envelope.
type Class uint8

// The classes.
const (
	Warning   Class = iota // red or orange warning
	Command                // command
	Receipt                // receipt
	Alarm                  // threshold crossed at the station
	Telemetry              // readings
	Bulk                   // pictures, logs, firmware
	classes   = iota
)

var classNames = [classes]string{"warning", "command", "receipt", "alarm", "telemetry", "bulk"}

// String gives the class's code.
func (c Class) String() string { return classNames[min(c, Bulk)] }

var classTexts = [classes]phrase.Message{
	phrase.M("courier.class_warning"), phrase.M("courier.class_command"), phrase.M("courier.class_receipt"),
	phrase.M("courier.class_alarm"), phrase.M("courier.class_telemetry"), phrase.M("courier.class_bulk"),
}

// Message names the class for people.
func (c Class) Message() phrase.Message { return classTexts[min(c, Bulk)] }

// ParseClass reads a class's code.
func ParseClass(code string) (Class, bool) {
	i := slices.Index(classNames[:], code)
	return Class(max(i, 0)), i >= 0
}

// Kind says what becomes of a message when a newer one of its key is posted.
type Kind uint8

// The kinds. Classes 0 to 3 keep all, always.
const (
	// KeepAll: each is delivered. Where it has a key, only the newest one's short form is
	// worth a narrow link; the others wait for a wide one.
	KeepAll Kind = iota
	// NewestWins: a newer one of the same class and key takes the place of an
	// undelivered older one.
	NewestWins
)

// Message is what Post takes.
type Message struct {
	// ID names the message for ever (the envelope's id). At most IDMost bytes.
	ID    string
	Class Class
	Kind  Kind
	Key   string
	// Urgent is for receipts of a warning: they go on all links at once as it did. So does an alarm that is the last
	// word before a box goes off.
	Urgent bool
	// Made is when; the zero Stamp is filled in.
	Made clock.Stamp
	// Deadline is how long after Made it should have arrived; 0 takes the class's.
	Deadline time.Duration
	// Payload is the message. Short is its form for narrow links: of classes 0 to 3 the same
	// message said shorter (nil: Payload itself); of telemetry a summary, whose receipt
	// does not end the wait for the whole (nil: it waits for a wide link).
	Payload, Short []byte
}

// Bounds of a message.
const (
	IDMost      = 256
	KeyMost     = 256
	ShortMost   = 1024
	PayloadMost = 1 << 20
)

// check gives what is wrong with the message, nil where nothing is.
func (m *Message) check() error {
	switch {
	case m.ID == "" || len(m.ID) > IDMost || len(m.Key) > KeyMost:
		return phrase.E("courier.name", "most", IDMost)
	case m.Class > Bulk || m.Kind > NewestWins:
		return phrase.E("courier.class", "class", int(m.Class))
	case m.Kind == NewestWins && (m.Class < Telemetry || m.Key == ""):
		return phrase.E("courier.newest", "id", m.ID)
	case m.Urgent && m.Class != Receipt && m.Class != Alarm:
		return phrase.E("courier.urgent", "id", m.ID)
	case len(m.Payload) == 0 || len(m.Payload) > PayloadMost || len(m.Short) > ShortMost:
		return phrase.E("courier.long", "id", m.ID, "bytes", len(m.Payload), "most", PayloadMost)
	case m.Deadline < 0:
		return phrase.E("courier.deadline", "id", m.ID)
	}
	return nil
}

// everywhere tells whether it goes on all links at once.
func (m *Message) everywhere() bool { return m.Class == Warning || m.Urgent }

// Ack is the county's own receipt of one message, already found genuine.
type Ack struct {
	ID string
	// Short: only the short form is there.
	Short bool
	// Via is the link by which the county first got it, where the receipt says so.
	Via string
}
