// Command figures measures the box: the real edged binary on the bench's lines
// with true wire time, a loudspeaker with ears, disks that die and processes
// that are killed. It prints one JSON line a figure on standard output and what
// it is doing on standard error.
//
// It takes its instants from the bench alone: the last bit of an answer on the
// wire, the coil's own history, the first sample that an ear heard. It never
// believes the box about its own speed, but for two figures that the box alone
// can know: when it was armed and how long its lines' first round took.
//
// Where a peer can do the same, its figure stands beside ours, of the same run and
// under the same name with the peer's (acquire.line_cpu_pct.goburrow): the
// libraries' own handlers as bare loops in processes of their own. No goal is
// held to them.
//
// A figure that does not hold is reported and is no error; the exit code is 1
// only where a figure could not be measured.
package main
