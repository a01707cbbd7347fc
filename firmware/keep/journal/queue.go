package journal

import "slices"

// queue holds what waits for the disk, one line a weight, within bounds.
type queue struct {
	lines   [weights]line
	n, size int
	ticket  uint64
}

type line struct {
	head  int
	items []queued
}

type queued struct {
	r      Record
	size   int
	ticket uint64
}

func (l *line) len() int { return len(l.items) - l.head }

func (l *line) pop() queued {
	q := l.items[l.head]
	l.items[l.head] = queued{}
	l.head++
	switch {
	case l.head == len(l.items):
		l.head, l.items = 0, l.items[:0]
	case l.head >= 1024 && 2*l.head >= len(l.items):
		l.items = append(l.items[:0], l.items[l.head:]...)
		clear(l.items[len(l.items):cap(l.items)])
		l.head = 0
	}
	return q
}

func (q *queue) len() int { return q.n }

// push takes a record; where there is no room, the oldest of the lowest weight goes,
// be it the new one. It gives what was lost by weight, nil where nothing was.
func (q *queue) push(r Record, w Weight, most, mostBytes int) *[weights]int64 {
	size := r.size()
	q.lines[w].items = append(q.lines[w].items, queued{r, size, q.ticket})
	q.ticket++
	q.n++
	q.size += size
	return q.trim(most, mostBytes)
}

func (q *queue) trim(most, mostBytes int) *[weights]int64 {
	var lost *[weights]int64
	for q.n > 0 && (q.n > most || q.size > mostBytes) {
		for i := range q.lines {
			if q.lines[i].len() > 0 {
				q.size -= q.lines[i].pop().size
				q.n--
				if lost == nil {
					lost = new([weights]int64)
				}
				lost[i]++
				break
			}
		}
	}
	return lost
}

// list gives the records in the order in which they came.
func (q *queue) list() []Record {
	all := make([]queued, 0, q.n)
	for i := range q.lines {
		all = append(all, q.lines[i].items[q.lines[i].head:]...)
	}
	slices.SortFunc(all, func(a, b queued) int { return int(int64(a.ticket) - int64(b.ticket)) })
	out := make([]Record, len(all))
	for i := range all {
		out[i] = all[i].r
	}
	return out
}

// putBack puts what was taken earlier before what came since. It gives what found
// no room.
func (q *queue) putBack(old queue, most, mostBytes int) [weights]int64 {
	for i := range q.lines {
		l := &old.lines[i]
		l.items = append(l.items[l.head:], q.lines[i].items[q.lines[i].head:]...)
		l.head = 0
		q.lines[i] = *l
	}
	q.n += old.n
	q.size += old.size
	if lost := q.trim(most, mostBytes); lost != nil {
		return *lost
	}
	return [weights]int64{}
}
