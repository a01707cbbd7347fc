package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/access"
)

// ScanQuery asks for a scan of a line.
type ScanQuery struct {
	Line string `json:"line" minLength:"1" maxLength:"64" doc:"the line's name in the site file"`
	// Units, Bauds and Formats are what is tried; empty for all that are usual.
	Units   []int    `json:"units,omitempty" maxItems:"247" minimum:"1" maximum:"247"`
	Bauds   []int    `json:"bauds,omitempty" maxItems:"16" minimum:"300" maximum:"4000000"`
	Formats []string `json:"formats,omitempty" maxItems:"8" pattern:"^[78][NEO][12]$"`
	// WaitMS is how long a unit may take to begin its answer.
	WaitMS int `json:"wait_ms,omitempty" minimum:"20" maximum:"5000"`
	// First ends the scan with the first unit that the site does not have.
	First bool `json:"first,omitempty"`
	// Sweep shows the registers of what is found; Ranges are where, at most 64.
	Sweep  bool        `json:"sweep,omitempty"`
	Ranges []ScanRange `json:"ranges,omitempty" maxItems:"64"`
	// Ask also asks devices that the site has.
	Ask bool `json:"ask,omitempty"`
	// Force scans while a level stands, or where keys hang on the line.
	Force bool   `json:"force,omitempty"`
	Who   string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
}

// ScanRange is some registers or bits of one table.
type ScanRange struct {
	Table string `json:"table" enum:"coil,discrete,holding,input"`
	Addr  int    `json:"addr" minimum:"0" maximum:"65535"`
	Count int    `json:"count" minimum:"1" maximum:"125"`
}

// The kinds of a ScanEvent.
const (
	ScanProgress = "progress"
	ScanFound    = "found"
	ScanDone     = "done"
	ScanEnded    = "ended" // before its end; Why says why
)

// ScanEvent is one line of a scan's stream. The last one is done or ended.
type ScanEvent struct {
	Kind    string `json:"kind" enum:"progress,found,done,ended"`
	Setting string `json:"setting,omitempty"`
	Unit    int    `json:"unit,omitempty"`
	// Done of Total askings are behind, the rest takes about LeftMS.
	Done   int        `json:"done"`
	Total  int        `json:"total"`
	LeftMS int64      `json:"left_ms,omitempty"`
	Found  *FoundUnit `json:"found,omitempty"`
	Why    *Text      `json:"why,omitempty"`
}

// FoundUnit is a unit that a scan found.
type FoundUnit struct {
	Baud   int    `json:"baud,omitempty"`
	Format string `json:"format,omitempty"`
	Unit   int    `json:"unit"`
	// How: answers, refuses (it is alive), garbled, foreign, known.
	How    string `json:"how"`
	Device string `json:"device,omitempty"`
	Hint   *Text  `json:"hint,omitempty"`
	// Matches are profiles that fit, the likeliest first.
	Matches []ScanMatch `json:"matches,omitempty"`
	// Identity is what it says of itself; absent where it says nothing.
	Identity *ScanIdentity `json:"identity,omitempty"`
	Blocks   []ScanBlock   `json:"blocks,omitempty"`
	// Rows are the registers in every type and order.
	Rows []ScanRow `json:"rows,omitempty"`
}

// ScanIdentity is what a unit says of itself: the maker's text, and no proof.
type ScanIdentity struct {
	Vendor      string   `json:"vendor,omitempty"`
	Product     string   `json:"product,omitempty"`
	Revision    string   `json:"revision,omitempty"`
	URL         string   `json:"url,omitempty"`
	Name        string   `json:"name,omitempty"`
	Model       string   `json:"model,omitempty"`
	Application string   `json:"application,omitempty"`
	Other       []string `json:"other,omitempty"`
	// Server is the answer to function 17 in hex, Text what of it can be read.
	Server string `json:"server,omitempty"`
	Text   string `json:"text,omitempty"`
}

// ScanMatch is a profile that fits a unit.
type ScanMatch struct {
	Profile     string       `json:"profile"`
	Name        phrase.Text  `json:"name"`
	Fingerprint bool         `json:"fingerprint"`
	Values      []FrameValue `json:"values,omitempty"`
}

// ScanBlock is one read of a sweep; bits are words of 0 and 1.
type ScanBlock struct {
	Table string   `json:"table"`
	Addr  int      `json:"addr"`
	Words []uint16 `json:"words"`
	// Sent and Heard are RTU frames in hex.
	Sent  string `json:"sent"`
	Heard string `json:"heard"`
}

// ScanRow is one register; where another follows it, both are read together in
// the orders ABCD, CDAB, BADC, DCBA.
type ScanRow struct {
	Table  string     `json:"table"`
	Addr   int        `json:"addr"`
	Uint16 uint16     `json:"uint16"`
	Int16  int16      `json:"int16"`
	Hex    string     `json:"hex"`
	Text   string     `json:"text,omitempty"`
	Moved  bool       `json:"moved,omitempty"`
	Uint32 []uint32   `json:"uint32,omitempty"`
	Int32  []int32    `json:"int32,omitempty"`
	Float  []*float64 `json:"float32,omitempty"`
	// Likely names what would be plausible, such as "float32 CDAB".
	Likely []string `json:"likely,omitempty"`
}

// ScanRun is a scan that may begin: it calls f with each event until its end.
type ScanRun func(ctx context.Context, f func(ScanEvent) error) error

func (s *Server) registerScan() {
	add(s, access.Technician, http.MethodPost, "/scan", "scan", "Search a line for units; one JSON object a line (ScanEvent). Ends with the request",
		func(ctx context.Context, in *struct{ Body ScanQuery }) (*huma.StreamResponse, error) {
			who, err := whoOf(ctx, in.Body.Who)
			if err != nil {
				return nil, err
			}
			run, err := s.box.Scan(in.Body, who)
			if err != nil {
				return nil, s.refused(http.StatusConflict, err)
			}
			return s.stream(func(ctx context.Context, line func(any) error) error {
				return s.scanned(ctx, run, line)
			}), nil
		}, lines)
}

// scanned streams a scan and says at its end, in words, where it broke off.
func (s *Server) scanned(ctx context.Context, run ScanRun, line func(any) error) error {
	lost := false
	err := run(ctx, func(e ScanEvent) error {
		err := line(e)
		lost = err != nil
		return err
	})
	if err == nil || lost || ctx.Err() != nil {
		return err
	}
	var said *phrase.Error
	why := TextOf(phrase.M("serve.internal"))
	if errors.As(err, &said) {
		why = TextOf(said.Message)
	} else {
		s.log.Error("a scan broke off", "err", err)
	}
	return line(ScanEvent{Kind: ScanEnded, Why: &why})
}

// Wait gives the query's wait; 0 where it has none.
func (q ScanQuery) Wait() time.Duration { return time.Duration(q.WaitMS) * time.Millisecond }
