package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/firmware/serve/access"
)

// Revision is one state that the site's document has had.
type Revision struct {
	Number int       `json:"number"`
	At     time.Time `json:"at"`
	// By is the way that it came: hand, page, county, undone, or lapsed: an override ended.
	By     string `json:"by" enum:"hand,page,county,undone,lapsed"`
	ByText Text   `json:"by_text"`
	Who    string `json:"who,omitempty"`
	Why    string `json:"why,omitempty"`
	// Of is the revision whose text this is again; UndoneBy the one that came in its place
	// because nobody confirmed it.
	Of       int    `json:"of,omitempty"`
	UndoneBy int    `json:"undone_by,omitempty"`
	Size     int    `json:"size"`
	SHA256   string `json:"sha256"`
	Trial    *Trial `json:"trial,omitempty"`
}

// Trial says that a revision waits for its confirmation.
type Trial struct {
	// Left is how long it waits yet; then the revision before it comes back.
	Left time.Duration `json:"left_ns"`
	// Before is that one.
	Before int `json:"before"`
	// Restart says that the box has yet to begin anew with it.
	Restart bool `json:"restart,omitempty"`
}

// RevisionText is a revision with its document.
type RevisionText struct {
	Revision
	Document string `json:"document"`
	// Managed says what of the document in force is the county's.
	Managed *ManagedView `json:"managed,omitempty"`
}

// ManagedView is what of a document is the county's.
type ManagedView struct {
	By    Text   `json:"by"`
	Since string `json:"since,omitempty"`
	// Revision is the one that brought it from the county; 0: it came with the file.
	Revision int              `json:"revision,omitempty"`
	Least    time.Duration    `json:"least_ns"`
	Most     time.Duration    `json:"most_ns"`
	Settings []ManagedSetting `json:"settings"`
	// Overrides stand in place of the county's values.
	Overrides []Overridden `json:"overrides"`
}

// ManagedSetting is one place, as a JSON Pointer.
type ManagedSetting struct {
	Path string `json:"path"`
}

// Overridden is a county-managed setting that was changed here for a while.
type Overridden struct {
	Path string `json:"path"`
	// Index is its place in the document's managed: overrides:.
	Index int `json:"index"`
	// County is what comes back; absent: the setting is taken out.
	County any           `json:"county,omitempty"`
	Who    string        `json:"who"`
	Why    string        `json:"why"`
	From   time.Time     `json:"from"`
	Until  time.Time     `json:"until"`
	Left   time.Duration `json:"left_ns"`
}

// Proposal is what somebody wants the document to be.
type Proposal struct {
	Base     int    `json:"base" minimum:"1" doc:"the revision that it was made from"`
	Document string `json:"document,omitempty" maxLength:"1048576"`
	Again    int    `json:"again,omitempty" doc:"instead of a document: the revision whose text comes back"`
	Who      string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
	Why      string `json:"why" minLength:"1" maxLength:"200"`
	// Session is a secret of the caller's own making; who knows it confirms.
	Session string        `json:"session,omitempty" maxLength:"64" doc:"a random word that is said again to confirm"`
	Within  time.Duration `json:"within_ns,omitempty" doc:"how soon it must be confirmed; 0: it stays at once"`
	// Override lets it change what is the county's for this long.
	Override time.Duration `json:"override_ns,omitempty" doc:"how long county-managed settings that it changes stand so; then the county's values come back by themselves"`
}

// Judgement is what is wrong with a document.
type Judgement struct {
	// Good says that the box would run with it.
	Good     bool    `json:"good"`
	Restart  bool    `json:"restart" doc:"the box begins anew to take it over"`
	Problems []Wrong `json:"problems"`
	// Managed are the county's settings that it changes: it can only be proposed as an override.
	Managed []ManagedSetting `json:"managed,omitempty"`
	// Rules and Plans are what the document would say, where it is good.
	Rules []RuleView `json:"rules,omitempty"`
	Plans []PlanView `json:"plans,omitempty"`
}

// Wrong is one thing wrong in a document.
type Wrong struct {
	Line    int  `json:"line,omitempty"`
	Column  int  `json:"column,omitempty"`
	Warning bool `json:"warning,omitempty"`
	Text    Text `json:"text"`
}

// Configurable is a box whose document can be read and changed.
type Configurable interface {
	// Revisions lists the revisions that are kept, the oldest first.
	Revisions() ([]Revision, error)
	// Revision gives one with its document; 0 is the one in force. ErrUnknown where it
	// is not kept.
	Revision(number int) (RevisionText, error)
	// Judge proves a document as a start would.
	Judge(ctx context.Context, document string) (Judgement, error)
	// Propose changes the document; with Within on trial.
	Propose(ctx context.Context, p Proposal, who Who) (Revision, error)
	// Confirm lets a trial's revision stay; TakeBack brings the one before it back.
	Confirm(number int, session string, who Who) error
	TakeBack(number int, who Who) (Revision, error)
}

// bodyConfig bounds a request with a document in it, in bytes.
const bodyConfig = 2 << 20

func (s *Server) registerRevisions() {
	big := func(op *huma.Operation) { op.MaxBodyBytes = bodyConfig }
	add(s, access.Technician, http.MethodGet, "/config/revisions", "revisions", "What the site's document has been, oldest first", func(context.Context, *none) (*body[[]Revision], error) {
		all, err := s.box.Revisions()
		if err != nil {
			return nil, s.refused(http.StatusServiceUnavailable, err)
		}
		return &body[[]Revision]{full(all)}, nil
	})
	add(s, access.Technician, http.MethodGet, "/config/revisions/{number}", "revision", "One of them with its text; 0 is the one in force", func(_ context.Context, in *struct {
		Number int `path:"number" minimum:"0"`
	}) (*body[RevisionText], error) {
		r, err := s.box.Revision(in.Number)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return &body[RevisionText]{r}, nil
	})
	add(s, access.Technician, http.MethodPost, "/config/check", "check-config", "Prove a document without using it", func(ctx context.Context, in *struct {
		Body struct {
			Document string `json:"document" maxLength:"1048576"`
		}
	}) (*body[Judgement], error) {
		v, err := s.box.Judge(ctx, in.Body.Document)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		v.Problems = full(v.Problems)
		return &body[Judgement]{v}, nil
	}, big)
	add(s, access.Technician, http.MethodPost, "/config", "propose-config", "Change the site's document; with a trial it comes back by itself unless it is confirmed", func(ctx context.Context, in *struct{ Body Proposal }) (*body[Revision], error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		in.Body.Why = Clean(in.Body.Why, 200)
		r, err := s.box.Propose(ctx, in.Body, who)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return &body[Revision]{r}, nil
	}, big)
	add(s, access.Technician, http.MethodPost, "/config/revisions/{number}/confirm", "confirm-config", "Let a revision on trial stay", func(ctx context.Context, in *struct {
		Number int `path:"number" minimum:"1"`
		Body   struct {
			Who     string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
			Session string `json:"session" minLength:"1" maxLength:"64"`
		}
	}) (*struct{}, error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		if err := s.box.Confirm(in.Number, in.Body.Session, who); err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return nil, nil
	})
	add(s, access.Technician, http.MethodPost, "/config/revisions/{number}/back", "undo-config", "Take a revision on trial back at once", func(ctx context.Context, in *struct {
		Number int `path:"number" minimum:"1"`
		Body   struct {
			Who string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
		}
	}) (*body[Revision], error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		r, err := s.box.TakeBack(in.Number, who)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return &body[Revision]{r}, nil
	})
}
