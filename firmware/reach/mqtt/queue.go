package mqtt

import "sync"

// Message is one to be published.
type Message struct {
	Topic   string
	Payload []byte
	// Urgent goes before all that is not, in order, and is dropped last.
	Urgent bool
}

// queue holds the newest of each topic, bounded.
type queue struct {
	mu    sync.Mutex
	most  int // messages
	bytes int // of topics and payloads

	size    int
	urgent  []*Message // oldest first
	plain   []*Message
	at      map[string]*Message // waiting or under way, by topic
	flying  map[string]bool
	first   bool // one that is urgent is under way: nothing else sets out
	dropped uint64
	wake    chan struct{}
}

func newQueue(most, bytes int) *queue {
	return &queue{most: most, bytes: bytes, at: map[string]*Message{}, flying: map[string]bool{}, wake: make(chan struct{}, 1)}
}

func cost(m *Message) int { return len(m.Topic) + len(m.Payload) }

// put takes a message in place of an unsent one of its topic, and makes room for it.
func (q *queue) put(m Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if cost(&m) > q.bytes {
		q.dropped++
		return
	}
	if old := q.at[m.Topic]; old != nil {
		if old.Urgent == m.Urgent {
			q.size += cost(&m) - cost(old)
			old.Payload = m.Payload // it keeps its place
			q.shrink()
			q.tell()
			return
		}
		q.remove(old)
	}
	q.at[m.Topic] = &m
	q.size += cost(&m)
	if m.Urgent {
		q.urgent = append(q.urgent, &m)
	} else {
		q.plain = append(q.plain, &m)
	}
	q.shrink()
	q.tell()
}

func (q *queue) tell() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// shrink drops the oldest, urgent ones last.
func (q *queue) shrink() {
	for len(q.urgent)+len(q.plain) > q.most || q.size > q.bytes {
		m := (*Message)(nil)
		switch {
		case len(q.plain) > 0:
			m = q.plain[0]
		default:
			m = q.urgent[0]
		}
		q.remove(m)
		q.dropped++
	}
}

func (q *queue) remove(m *Message) {
	q.size -= cost(m)
	delete(q.at, m.Topic)
	for _, l := range []*[]*Message{&q.urgent, &q.plain} {
		for i, x := range *l {
			if x == m {
				*l = append((*l)[:i:i], (*l)[i+1:]...)
				return
			}
		}
	}
}

// take gives what is to be sent next; a topic of which one is under way waits, and all wait for one
// that is urgent, so that they arrive in order. ok is false where there is none.
func (q *queue) take() (m Message, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.first {
		return Message{}, false
	}
	for _, l := range [][]*Message{q.urgent, q.plain} {
		for _, x := range l {
			if !q.flying[x.Topic] {
				q.remove(x)
				q.flying[x.Topic], q.first = true, x.Urgent
				return *x, true
			}
		}
	}
	return Message{}, false
}

// done says what became of one that was taken: one that was not acknowledged comes back,
// unless a newer one of its topic waits.
func (q *queue) done(m Message, acknowledged bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.flying, m.Topic)
	if m.Urgent {
		q.first = false
	}
	if !acknowledged && q.at[m.Topic] == nil {
		q.at[m.Topic] = &m
		q.size += cost(&m)
		if m.Urgent {
			q.urgent = append([]*Message{&m}, q.urgent...)
		} else {
			q.plain = append([]*Message{&m}, q.plain...)
		}
		q.shrink()
	}
	q.tell()
}

// count gives how many are not acknowledged and how many were dropped.
func (q *queue) count() (waiting int, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.urgent) + len(q.plain) + len(q.flying), q.dropped
}
