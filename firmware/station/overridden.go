package station

import (
	"sync"

	"tocsin/firmware/keep/config/managed"
	"tocsin/firmware/phrase"
)

// overridden is what the house knows of overrides beside the document.
type overridden struct {
	mu     sync.Mutex
	watch  managed.Watch
	unsaid []phrase.Message          // what the county is yet to be told
	whys   map[string]phrase.Message // by place: why an override ended that the house itself knows of
}

// ends says why the override of a place is about to be gone.
func (x *overridden) ends(path string, why phrase.Message) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.whys == nil || len(x.whys) > managed.MostOverrides {
		x.whys = map[string]phrase.Message{}
	}
	x.whys[path] = why
}

// why gives why the override of a place is gone.
func (x *overridden) why(path string) phrase.Message {
	x.mu.Lock()
	defer x.mu.Unlock()
	if m, ok := x.whys[path]; ok {
		delete(x.whys, path)
		return m
	}
	return phrase.M("managed.gone", "path", path)
}
