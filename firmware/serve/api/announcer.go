package api

import (
	"context"
	"net/http"
	"time"

	"tocsin/firmware/serve/access"
)

// Announcer is what can be announced by hand, by what, and what is heard of it now.
type Announcer struct {
	Outputs []Speaker `json:"outputs"`
	// Zones are where outputs can be heard, with the outputs of each.
	Zones    []Zone   `json:"zones"`
	Messages []Preset `json:"messages"`
	// Recordings are the village's own, the oldest first; those in use are among Messages too. RecordMost is the longest.
	Recordings []Recording   `json:"recordings"`
	RecordMost time.Duration `json:"record_most_ns"`
	// Levels are those that a person may raise, the lowest first, with what the plan says.
	Levels []Raisable `json:"levels"`
	// Evacuate is the level of the two steps; Confirm is how long the second is waited for.
	Evacuate string        `json:"evacuate"`
	Confirm  time.Duration `json:"confirm_ns"`
	Test     TestBounds    `json:"test"`
	// Testing is the test that somebody makes now.
	Testing *SoundTest `json:"testing,omitempty"`
	// Talking is who speaks by the loudspeakers now, and how long one may.
	Talking  *Talk         `json:"talking,omitempty"`
	TalkMost time.Duration `json:"talk_most_ns"`
	// Maintenance stands now; MaintenanceMost is the longest that one may ask for.
	Maintenance     *Maintenance  `json:"maintenance,omitempty"`
	MaintenanceMost time.Duration `json:"maintenance_most_ns"`
}

// Speaker is one output as it is now.
type Speaker struct {
	ID string `json:"id"`
	// Text names it for people, KindText what it is.
	Text     Text     `json:"text"`
	Kind     string   `json:"kind"`
	KindText Text     `json:"kind_text"`
	Zones    []string `json:"zones"`
	// Speaks: it says words, and can be quieter; what does not is a siren or a light.
	Speaks bool `json:"speaks"`
	// MeasuredBy is what can tell that it sounds: current, input, or "" for nothing.
	MeasuredBy string `json:"measured_by"`
	// State: silent, ordered, started, heard, failed.
	State string `json:"state"`
	// Measured is by what it was measured to sound now, "" where it was not.
	Measured string `json:"measured"`
	// Cause and Kind (real, drill, test) of what it sounds.
	Cause  string `json:"cause,omitempty"`
	OfKind string `json:"of_kind,omitempty"`
	Why    *Text  `json:"why,omitempty"`
	Faults []Text `json:"faults,omitempty"`
}

// Zone is a part of the place with the outputs that can be heard there.
type Zone struct {
	Name    string   `json:"name"`
	Outputs []string `json:"outputs"`
}

// Preset is what can be said with one button.
type Preset struct {
	ID   string `json:"id"`
	Text Text   `json:"text"`
	// Words is what the recordings say, as far as that is known.
	Words   Text     `json:"words"`
	Outputs []string `json:"outputs"`
	// Langs are the languages that it is said in, Missing those of the site in which it is not.
	Langs   []string      `json:"langs"`
	Missing []string      `json:"missing,omitempty"`
	For     time.Duration `json:"for_ns"`
}

// Raisable is a level that a person may raise.
type Raisable struct {
	Level string `json:"level"`
	Text  Text   `json:"text"`
	Words Text   `json:"words"`
}

// TestBounds is what a test may be.
type TestBounds struct {
	Most   time.Duration `json:"most_ns"`
	Volume int           `json:"volume"`
	// Beat is how often whoever holds is to say so; Silent is how soon after the last proof that
	// somebody holds it is ended.
	Beat   time.Duration `json:"beat_ns"`
	Silent time.Duration `json:"silent_ns"`
	// QuietFrom and QuietTo are when neighbours sleep. Quiet is "yes" or "no" now, "unknown" where
	// the box does not know the time.
	QuietFrom string `json:"quiet_from"`
	QuietTo   string `json:"quiet_to"`
	Quiet     string `json:"quiet" enum:"yes,no,unknown"`
}

// SayAsk asks for a message.
type SayAsk struct {
	Who     string   `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
	Outputs []string `json:"outputs,omitempty" maxItems:"64"`
	Zones   []string `json:"zones,omitempty" maxItems:"64" doc:"without outputs and zones it is where the message says"`
	Key     string   `json:"key,omitempty" maxLength:"64" doc:"a word of the caller's own; asked twice with the same one it is said once"`
}

// Said is what became of an asking.
type Said struct {
	Cause   string   `json:"cause"`
	Outputs []string `json:"outputs"`
	// Again: this key was asked before, and nothing more was said.
	Again bool `json:"again,omitempty"`
}

// Arming is the first step of an evacuation.
type Arming struct {
	// Word is said in the second step. It is good once, until Left has gone.
	Word      string        `json:"word"`
	Left      time.Duration `json:"left_ns"`
	Level     string        `json:"level"`
	LevelText Text          `json:"level_text"`
	// Words is what people will hear.
	Words   Text     `json:"words"`
	Outputs []string `json:"outputs"`
}

// Evacuated is the alarm that the second step raised.
type Evacuated struct {
	Alarm string `json:"alarm"`
	// Again: it stood already, or this word was said before.
	Again bool `json:"again,omitempty"`
}

// TestAsk asks to try outputs while a button is held.
type TestAsk struct {
	Who     string   `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
	Outputs []string `json:"outputs" minItems:"1" maxItems:"64"`
	Volume  int      `json:"volume,omitempty" minimum:"1" maximum:"100" doc:"percent, of loudspeakers; without it the site's low one"`
	Seconds int      `json:"seconds,omitempty" minimum:"1" maximum:"60" doc:"how long at the longest; the site's own bound holds"`
	Clear   bool     `json:"clear" doc:"nobody stands by the outputs, and nobody is up the pole"`
	Told    bool     `json:"told,omitempty" doc:"the neighbours know; needed in the quiet hours"`
}

// SoundTest is one test.
type SoundTest struct {
	ID    string `json:"id"`
	Cause string `json:"cause"`
	Who   Who    `json:"who"`
	// State: armed (nothing sounds before the first beat has come back), sounding, over.
	State string `json:"state"`
	// Beat is to be said in the next hold.
	Beat    uint64        `json:"beat"`
	Left    time.Duration `json:"left_ns"`
	Volume  int           `json:"volume"`
	Outputs []string      `json:"outputs"`
	// Sounded are outputs that began, Measured those that were heard by what measures them,
	// Failed those that did not sound.
	Sounded  []string `json:"sounded"`
	Measured []string `json:"measured"`
	Failed   []string `json:"failed"`
	Why      *Text    `json:"why,omitempty"`
}

// Maintenance says that somebody works here: what the box decides by itself below the level of an
// evacuation begins silent.
type Maintenance struct {
	By    Who           `json:"by"`
	Why   string        `json:"why"`
	Since time.Time     `json:"since"`
	Left  time.Duration `json:"left_ns"`
	// Muted are the alarms that began silent.
	Muted []string `json:"muted"`
}

// MaintenanceAsk asks for it.
type MaintenanceAsk struct {
	Who     string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
	Why     string `json:"why" minLength:"1" maxLength:"200"`
	Minutes int    `json:"minutes" minimum:"1" maximum:"720" doc:"how long at the longest; the site's own bound holds"`
}

// Announcing is a box through which people announce by hand.
type Announcing interface {
	Recorder
	// Announcer gives what can be announced and what is heard now.
	Announcer() Announcer
	// Say says a message; ErrUnknown is wrapped where there is none. A key is the actor's own,
	// and good for what it was given with.
	Say(message string, a SayAsk, who Who, by Actor) (Said, error)
	// ArmEvacuation is the first step, of a level ("" for the site's own); Evacuate the second,
	// by the same actor.
	ArmEvacuation(level string, who Who, by Actor) (Arming, error)
	Evacuate(word, reason string, who Who, by Actor) (Evacuated, error)
	// OpenTest begins a test, HoldTest says that the button is held, EndTest that it is not.
	OpenTest(a TestAsk, who Who) (SoundTest, error)
	HoldTest(id string, beat uint64) (SoundTest, error)
	EndTest(id string) (SoundTest, error)
	// Maintain begins maintenance, EndMaintenance ends it before its time.
	Maintain(a MaintenanceAsk, who Who) (Maintenance, error)
	EndMaintenance(who Who) error
}

func (s *Server) registerAnnouncer() {
	get(s, "/announcer", "announcer", "What can be announced by hand, by what, and what is heard now", func() Announcer {
		a := s.box.Announcer()
		a.Outputs, a.Zones, a.Messages, a.Levels, a.Recordings = full(a.Outputs), full(a.Zones), full(a.Messages), full(a.Levels), full(a.Recordings)
		return a
	})
	add(s, access.Cadre, http.MethodPost, "/announcer/messages/{id}", "say", "Say a message of the site's", func(ctx context.Context, in *struct {
		ID   string `path:"id" maxLength:"64"`
		Body SayAsk
	}) (*body[Said], error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		x, err := s.box.Say(in.ID, in.Body, who, ActorOf(GrantOf(ctx)))
		return replied(s, x, err)
	})
	add(s, access.Cadre, http.MethodPost, "/announcer/evacuation", "arm-evacuation", "First step of an evacuation: gives the word of the second", func(ctx context.Context, in *struct {
		Body struct {
			Who   string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
			Level string `json:"level,omitempty" maxLength:"64" doc:"code of configs/levels.yaml; the site's evacuation without one"`
		}
	}) (*body[Arming], error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		x, err := s.box.ArmEvacuation(in.Body.Level, who, ActorOf(GrantOf(ctx)))
		return replied(s, x, err)
	})
	add(s, access.Cadre, http.MethodPost, "/announcer/evacuation/confirm", "evacuate", "Second step: raises the level in the person's name", func(ctx context.Context, in *struct {
		Body struct {
			Who    string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
			Word   string `json:"word" minLength:"1" maxLength:"64"`
			Reason string `json:"reason,omitempty" maxLength:"500"`
		}
	}) (*body[Evacuated], error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		x, err := s.box.Evacuate(in.Body.Word, Clean(in.Body.Reason, 500), who, ActorOf(GrantOf(ctx)))
		return replied(s, x, err)
	})
	add(s, access.Operator, http.MethodPost, "/announcer/tests", "open-test", "Try outputs while a button is held: nothing sounds before the first hold", func(ctx context.Context, in *struct{ Body TestAsk }) (*body[SoundTest], error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		x, err := s.box.OpenTest(in.Body, who)
		return replied(s, x, err)
	})
	add(s, access.Operator, http.MethodPost, "/announcer/tests/{id}/hold", "hold-test", "The button is held: says the beat that was told last", func(_ context.Context, in *struct {
		ID   string `path:"id" maxLength:"64"`
		Body struct {
			Beat uint64 `json:"beat"`
		}
	}) (*body[SoundTest], error) {
		x, err := s.box.HoldTest(in.ID, in.Body.Beat)
		return replied(s, x, err)
	})
	add(s, access.Operator, http.MethodPost, "/announcer/tests/{id}/end", "end-test", "The button was let go", func(_ context.Context, in *struct {
		ID string `path:"id" maxLength:"64"`
	}) (*body[SoundTest], error) {
		x, err := s.box.EndTest(in.ID)
		return replied(s, x, err)
	})
	add(s, access.Technician, http.MethodPost, "/announcer/maintenance", "maintain", "Somebody works here: what the box decides by itself below an evacuation begins silent, for a time", func(ctx context.Context, in *struct{ Body MaintenanceAsk }) (*body[Maintenance], error) {
		who, why, err := withReason(ctx, in.Body.Who, in.Body.Why)
		if err != nil {
			return nil, err
		}
		in.Body.Why = Clean(why, 200)
		x, err := s.box.Maintain(in.Body, who)
		return replied(s, x, err)
	})
	add(s, access.Cadre, http.MethodPost, "/announcer/maintenance/end", "end-maintenance", "The work is done", func(ctx context.Context, in *struct{ Body Named }) (*struct{}, error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		if err := s.box.EndMaintenance(who); err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return nil, nil
	})
}

// replied gives what the box answered, or the problem that it named.
func replied[T any](s *Server, x T, err error) (*body[T], error) {
	if err != nil {
		return nil, s.refused(http.StatusConflict, err)
	}
	return &body[T]{x}, nil
}
