// Package managed holds a document's changes against what in it is the county's.
//
// A document marks county-managed settings itself, in its part managed: by whom, since when, and
// which places (JSON Pointers). A change at the box may touch such a place only as an override:
// with a reason, for a bounded time. The override stands in the same document, with the county's
// value beside it, so that whoever reads the file or the diff sees both, and so that a trial
// which is taken back takes it along.
//
// The rule is one: a document with its overrides undone is the county's view of it, and the
// county's view of what is proposed must be that of what is in force, at every managed place. So
// nobody can write another “county's value” into an override, and nothing that a person could
// propose changes what comes back.
//
// An override ends at its time where the clock is trusted (or by the clock's floor), and in any
// case when it has stood for its length by the box's monotonic clock, of which Watch counts what
// passed before a restart. Time without power counts only where a trusted clock says so.
//
// It decides nothing about roles, levels or the disk: the composition root does.
package managed
