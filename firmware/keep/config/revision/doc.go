// Package revision changes a site's document so that nobody locks himself out and nothing
// that was there is lost.
//
// Every state that the document has had is a numbered revision: its bytes, who, when, why,
// and by what way (a hand in the file, the page, the county). A change is proposed against
// the revision that it was made from (else it is stale), proved, kept, and only then put
// in the file's place. It stays only when whoever proposed it confirms it in time, from
// the same session; else the one before it comes back by itself:
//
//	propose: proof → revision N on the disk → "N is tried" on the disk → the file
//	confirm: "N is tried" goes
//	back:    the file → "N was undone" on the disk → "N is tried" goes
//
// Each arrow is a flushed and renamed file, so that a cut of the power leaves either the
// old document or the new one, whole, and knows which of them is on trial. A start while
// one is on trial goes on with it once, where the change needs a restart, and otherwise
// takes it back before anything of it is run: a document that the box does not survive
// cannot stay.
//
// The file is the truth. An edit by hand while the box is off, or during a trial, is never
// overwritten: it becomes a revision of its own, and ends the trial.
package revision
