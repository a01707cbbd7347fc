// Package journal keeps what happened and what stands: every raise, level
// change, sounding, receipt and operator's act as a Record, and the state that a
// restart resumes from as named values, in one SQLite file.
//
// The file is in WAL mode with synchronous=FULL, so that a transaction that has
// committed survives a power cut at any instant. What belongs together (a raise
// and the alarm's new state) goes into one Batch and commits or is lost as one.
// Records are numbered when they commit; a number is never used twice, also
// when the file is replaced. Letters, the rows of the outbox, are kept in the same
// way and commit with the record that caused them; no cap removes one.
//
// The alarm path never waits for this package: Append, Commit and Put only lock
// a mutex that is never held over a system call. One goroutine of the guard owns
// the file. A disk that is missing, full, read-only, corrupt or gone never is an
// error to the caller: the journal goes on in RAM within bounds, says so by
// State, keeps trying, and brings over what it holds. A corrupt file is set aside
// under a dated name, never deleted at once. Of a journal that stood in for this one while its
// disk could not be used (Opts.Beside) the values that must not be lost are taken over, once.
//
// Only what is durable is given by Read and Follow. Recent also gives what still
// waits, with number 0.
//
// The file is opened by SQLite's unix-excl VFS: the index of the WAL lies on the heap
// and not in a mapped file, whose page that cannot be read would kill the process
// with SIGBUS; and a second process cannot write the same file. (SQLite, "The
// SQLite OS Interface or VFS", "unix-excl"; "Write-Ahead Logging", section 8,
// "Use of WAL Without Shared-Memory".)
//
// It never decides anything, never judges time, and never deletes a record that
// somebody still has to deliver (Opts.Hold).
package journal
