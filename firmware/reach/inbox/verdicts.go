package inbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"tocsin/firmware/phrase"
)

// digest is the SHA-256 of a file's bytes, cut to 128 bits.
type digest [16]byte

func digestOf(b []byte) digest {
	s := sha256.Sum256(b)
	return digest(s[:16])
}

// verdict is what became of a file.
type verdict struct {
	Accepted bool           `json:"ok"`
	Why      phrase.Message `json:"why,omitzero"`
}

// verdicts remembers what was judged and still lies where it was: of a stick
// what was accepted, of a folder what could not be moved. The oldest are
// forgotten, which costs a duplicate that the verifier counts.
type verdicts struct {
	mem   Memory
	name  string
	most  int
	order []digest // oldest first
	of    map[digest]verdict
}

type kept struct {
	Digest string `json:"d"`
	verdict
}

func loadVerdicts(m Memory, name string, most int) *verdicts {
	v := &verdicts{mem: m, name: name, most: most, of: map[digest]verdict{}}
	if m == nil {
		return v
	}
	var list []kept
	b, _ := m.Get(name)
	if json.Unmarshal(b, &list) != nil {
		return v
	}
	for _, k := range list {
		if d, err := hex.DecodeString(k.Digest); err == nil && len(d) == len(digest{}) {
			v.put(digest(d), k.verdict)
		}
	}
	return v
}

func (v *verdicts) put(d digest, w verdict) {
	if b, err := json.Marshal(w.Why); err != nil || len(b) > 2<<10 {
		w.Why = phrase.Message{}
	}
	if _, ok := v.of[d]; !ok {
		v.order = append(v.order, d)
	}
	v.of[d] = w
	for len(v.order) > v.most {
		delete(v.of, v.order[0])
		v.order = v.order[1:]
	}
}

func (v *verdicts) add(d digest, w verdict) {
	v.put(d, w)
	v.save()
}

func (v *verdicts) drop(d digest) {
	if _, ok := v.of[d]; !ok {
		return
	}
	delete(v.of, d)
	for i, o := range v.order {
		if o == d {
			v.order = append(v.order[:i:i], v.order[i+1:]...)
			break
		}
	}
	v.save()
}

func (v *verdicts) save() {
	if v.mem == nil {
		return
	}
	list := make([]kept, 0, len(v.order))
	for _, d := range v.order {
		list = append(list, kept{hex.EncodeToString(d[:]), v.of[d]})
	}
	if b, err := json.Marshal(list); err == nil {
		v.mem.Put(v.name, b)
	}
}
