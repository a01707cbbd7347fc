// Package paper makes what people print and sign: the report of a commissioning, labels
// of terminals, the card with the telephone numbers. One Sheet, in one language, becomes
// a page for the browser's own printer (Page) or a PDF (PDF).
//
// The page has no script, no inline style and asks for nothing but its style sheet and
// the photos. The PDF needs a TrueType font with Chinese and digits, which is a file of
// the board (none is carried here). It is made by another program, in a process under a
// memory cap: this package makes its Order and reads what comes of it, paper/pdf draws.
//
// It knows no room of the box: the composition root fills the Sheet.
//
// Source: domain note on the web, section 5.
package paper

import "tocsin/firmware/phrase"

// Sheet is one thing to print, every text in the reader's language.
type Sheet struct {
	Lang  phrase.Lang `json:"lang"`
	Title string      `json:"title"`
	// Verdict says in one line how it stands; Good colours it.
	Verdict string  `json:"verdict,omitempty"`
	Good    bool    `json:"good,omitempty"`
	Facts   []Fact  `json:"facts,omitempty"`
	Parts   []Part  `json:"parts,omitempty"`
	Labels  []Label `json:"labels,omitempty"`
	// Sign are the roles that sign at the end.
	Sign []string `json:"sign,omitempty"`
	Foot string   `json:"foot,omitempty"`
	// Large is for what hangs on a door: few words, read from afar.
	Large bool `json:"large,omitempty"`
}

// Fact is one line of the head.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Part is one section.
type Part struct {
	Title string `json:"title"`
	// Mark is how it ended: a word, with Good, Bad or neither.
	Mark  string     `json:"mark,omitempty"`
	Good  bool       `json:"good,omitempty"`
	Bad   bool       `json:"bad,omitempty"`
	Note  string     `json:"note,omitempty"`
	Lines []string   `json:"lines,omitempty"`
	Head  []string   `json:"head,omitempty"`
	Rows  [][]string `json:"rows,omitempty"`
	Shots []Shot     `json:"shots,omitempty"`
}

// Shot is a photo: where the page finds it, and the file where the PDF does.
type Shot struct {
	URL    string `json:"url"`
	File   string `json:"file"`
	Kind   string `json:"kind"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Text   string `json:"text"`
}

// Label is one to cut out.
type Label struct {
	Big   string   `json:"big"`
	Small []string `json:"small,omitempty"`
}
