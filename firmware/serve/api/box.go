package api

import (
	"context"
	"errors"
	"io"
	"time"

	"tocsin/firmware/phrase"
	"tocsin/firmware/point"
	"tocsin/firmware/serve/access"
)

// Box is what the served surface may see of the box and ask of it. The
// composition root implements it. Every call is safe from any goroutine and
// none of them can hold up the alarm path: reads are of snapshots, and acts are
// requests that the room sound/order may refuse.
type Box interface {
	// Status gives the box at a glance.
	Status() Status
	// Identity gives who it is to others.
	Identity() Identity
	// Readings gives the latest reading of each point, in the site's order.
	Readings() []Reading
	// Lines gives the counters of each line and unit.
	Lines() []Line
	// Frames gives the last 200 frames of a line, the oldest first; ErrUnknown
	// where there is no such line.
	Frames(line string) ([]Frame, error)
	// Scan proves that a scan may begin; ErrUnknown where there is no such line.
	Scan(q ScanQuery, who Who) (ScanRun, error)
	// Profiles gives the kinds of device that the box knows; Profile what to ask
	// for one, ErrUnknown where there is none of the name.
	Profiles() []ProfileInfo
	Profile(name string) (ProfileForm, error)
	// Setpoints gives what people may set on devices.
	Setpoints() []Setpoint
	// Set sets a value on a device in a person's name, and reads it back before
	// it answers; ErrUnknown where there is no such thing to set. What sounds is
	// refused.
	Set(ctx context.Context, id string, a Asking, who Who) (Set, error)
	// Alarms gives the alarms that stand, worst first, then those that ended
	// within the last day.
	Alarms() []Alarm
	// Links gives the ways to the county and what waits for them.
	Links() Links
	// People gives who is told by telephone, and how far each alarm's roll-call is.
	// Numbers are masked unless full.
	People(full bool) People
	// Soundings gives what sounds now and the last receipts, newest first.
	Soundings() Soundings
	// Faults gives the faults that stand.
	Faults() []Fault
	// Journal gives committed records after a sequence number, oldest first, at
	// most limit (1000 at most).
	Journal(ctx context.Context, after int64, limit int) ([]Record, error)
	// History gives what was measured at one point, oldest first, with gaps as
	// gaps; ErrUnknown where the point was never measured.
	History(ctx context.Context, q HistoryQuery) (History, error)
	// FollowReadings calls f with each reading as it is made until ctx ends. A
	// follower that is too slow loses readings; f is told how many were lost.
	FollowReadings(ctx context.Context, f func(r Reading, lost int) error) error
	// FollowJournal calls f with each record after it was committed, from the
	// one after a sequence number on, until ctx ends.
	FollowJournal(ctx context.Context, after int64, f func(Record) error) error
	// LastSound writes the last sounding's programme as WAV; false where
	// nothing has sounded yet.
	LastSound(w io.Writer) (bool, error)

	Readier
	Compared
	Warnings
	Talks
	Announcing
	Restartable
	Resettable
	Configurable
	Editor
	Trier
	Ruled
	Users
	Accountable
	Outside
	Commissionable
	Supported
	Sealing
	Updatable
	Networked

	// Stop silences what sounds now. who is a person or a thing with a name.
	Stop(who Who) (Receipt, error)
	// Acknowledge says that a named person has taken an alarm in hand.
	Acknowledge(id string, who Who) error
	// Release gives the all-clear (解除) of an alarm by a named person.
	Release(id string, who Who, reason string) error
	// Raise lets a named person on the spot raise a level by hand.
	Raise(level string, who Who, reason string) (alarm string, err error)
}

// Who is a person or a thing that acts: the way it came (key, page, socket) and
// the name it gave.
type Who struct {
	Name string `json:"name"`
	Via  string `json:"via"`
}

// Actor is who stands behind an act, as the box proved them and not as they call themselves:
// what somebody began is theirs to go on with.
type Actor struct {
	// ID is the account's; of the box's own socket a word that no account has.
	ID   string
	Role access.Role
}

// ActorOf tells who acts.
func ActorOf(g access.Grant) Actor {
	if g.SignedIn() {
		return Actor{ID: g.Account, Role: g.Role}
	}
	return Actor{ID: "@" + g.Via, Role: g.Role}
}

// ErrOthers is wrapped where something was begun by somebody else.
var ErrOthers = errors.New("begun by somebody else")

// Text is a message in both languages with its code.
type Text struct {
	Code string `json:"code,omitempty"`
	ZH   string `json:"zh"`
	EN   string `json:"en"`
}

// TextOf renders a message in both languages.
func TextOf(m phrase.Message) Text {
	return Text{Code: m.Code, ZH: m.In(phrase.ZH), EN: m.In(phrase.EN)}
}

// Status is the box at a glance.
type Status struct {
	Version string      `json:"version"`
	Site    string      `json:"site"`
	Name    phrase.Text `json:"name"`
	// Armed: every configured line has been asked once and the first crossing
	// would sound. ArmedAfter counts from the start of the process, and
	// FirstRound is how much of it the lines' first round took.
	Armed      bool          `json:"armed"`
	ArmedAfter time.Duration `json:"armed_after_ns"`
	FirstRound time.Duration `json:"first_round_ns"`
	// NotArmed says what stands in the way, where Armed is false.
	NotArmed []Text    `json:"not_armed,omitempty"`
	Started  time.Time `json:"started"`
	Boot     string    `json:"boot"`
	Now      time.Time `json:"now"`
	Trust    string    `json:"clock_trust"`
	// Level is the worst level that stands, "" for none.
	Level     string `json:"level"`
	LevelText Text   `json:"level_text"`
	Blind     bool   `json:"blind"`
	Journal   Text   `json:"journal"`
	JournalOK bool   `json:"journal_ok"`
	// Commissioned: every step of the site's commissioning has passed.
	Commissioned bool `json:"commissioned"`
	// Maintenance says that somebody works here, and what that silences.
	Maintenance *Maintenance `json:"maintenance,omitempty"`
}

// Reading is the latest of one point.
type Reading struct {
	Point point.ID    `json:"point"`
	Name  phrase.Text `json:"name"`
	// Value is absent where nothing was measured.
	Value *float64 `json:"value"`
	// Text is what the device says in letters, such as a serial number.
	Text    string        `json:"text,omitempty"`
	Unit    string        `json:"unit"`
	Quality point.Quality `json:"quality"`
	Why     *Text         `json:"why,omitempty"`
	At      time.Time     `json:"at"`
	// Age is how long ago it was measured, by the monotonic clock.
	Age time.Duration `json:"age_ns"`
	// Mono is when it was measured on the boot's monotonic clock.
	Mono time.Duration `json:"mono_ns"`
}

// Line is one line's counters.
type Line struct {
	Name   string `json:"name"`
	Port   string `json:"port"`
	Up     bool   `json:"up"`
	Fault  *Text  `json:"fault,omitempty"`
	Asked  int64  `json:"asked"`
	Units  []Unit `json:"units"`
	Opened int64  `json:"opened"`
}

// Unit is one unit's counters on its line.
type Unit struct {
	Device string `json:"device"`
	Unit   int    `json:"unit"`
	Asked  int64  `json:"asked"`
	Good   int64  `json:"good"`
	// Faults counts failures by kind: timeout, garbled, foreign, refused, …
	Faults map[string]int64 `json:"faults,omitempty"`
	// Quarantined says that the unit is asked only in idle time; Cost is what
	// one failed asking takes of the line.
	Quarantined bool          `json:"quarantined"`
	Cost        time.Duration `json:"cost_ns"`
}

// Alarm is one alarm's state.
type Alarm struct {
	ID     string `json:"id"`
	Hazard string `json:"hazard"`
	// HazardText names the hazard for people; empty where it has no name.
	HazardText Text `json:"hazard_text"`
	// Level is the one that stands now, Peak the worst so far; codes of
	// configs/levels.yaml.
	Level     string `json:"level"`
	LevelText Text   `json:"level_text"`
	Peak      string `json:"peak"`
	PeakText  Text   `json:"peak_text"`
	// State: raised, acknowledged, subsided (the measurements have fallen, the
	// all-clear was not given), released.
	State   string    `json:"state"`
	Blind   bool      `json:"blind"`
	Because []Text    `json:"because"`
	Raised  time.Time `json:"raised"`
	Changed time.Time `json:"changed"`
	By      *Who      `json:"by,omitempty"`
	// County is what the county has of it, the first by each link.
	County []CountyReceipt `json:"county,omitempty"`
}

// Soundings is what sounds now and what has.
type Soundings struct {
	Now  []Sounding `json:"now"`
	Last []Receipt  `json:"last"`
}

// Sounding is what sounds now and why.
type Sounding struct {
	Cause  string `json:"cause"`
	Hazard string `json:"hazard"`
	// HazardText and LevelText name both for people.
	HazardText Text     `json:"hazard_text"`
	Level      string   `json:"level"`
	LevelText  Text     `json:"level_text"`
	Kind       string   `json:"kind"` // real, drill, test
	Why        Text     `json:"why"`
	Outputs    []string `json:"outputs"`
	// OutputTexts name the outputs for people, in their order.
	OutputTexts []Text    `json:"output_texts,omitempty"`
	Since       time.Time `json:"since"`
}

// Receipt says truthfully what became of one sounding on one output.
type Receipt struct {
	Cause  string `json:"cause"`
	Order  string `json:"order"`
	Output string `json:"output"`
	// OutputText names the output for people.
	OutputText Text   `json:"output_text"`
	Kind       string `json:"kind"`
	// State: ordered, started, heard, finished, stopped, failed.
	State string `json:"state"`
	Why   *Text  `json:"why,omitempty"`
	// Measured says by what the sounding was measured: "current", "input",
	// "ear", or "" where it was not measured at all.
	Measured string    `json:"measured"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended"`
}

// Fault is something that is wrong and called.
type Fault struct {
	// Thing is what is wrong: a point, a line, an output, the journal; Name says
	// it for people.
	Thing string    `json:"thing"`
	Name  Text      `json:"name"`
	Why   Text      `json:"why"`
	Since time.Time `json:"since"`
}

// Record is one committed line of the journal.
type Record struct {
	Seq   int64          `json:"seq"`
	Kind  string         `json:"kind"`
	Cause string         `json:"cause,omitempty"`
	Who   *Who           `json:"who,omitempty"`
	Text  Text           `json:"text"`
	Body  map[string]any `json:"body,omitempty"`
	At    time.Time      `json:"at"`
	Mono  time.Duration  `json:"mono_ns"`
	Boot  string         `json:"boot"`
	Trust string         `json:"clock_trust"`
}
