package pack

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"tocsin/firmware/phrase"
	"tocsin/firmware/trust"
	"tocsin/firmware/update"
)

func signer(t testing.TB, k trust.Kind) *trust.PrivateKey {
	t.Helper()
	s, err := trust.NewSigner(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// images are an old one and a new one as a build makes them: code that moved (bytes put in, and every address
// behind it other by the same amount), a part that is the same at another place, empty space, and something new.
func images(seed uint64, size int) (old, news []byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	old = make([]byte, size)
	for i := 0; i+64 <= size/2; i += 64 { // "code": instructions, and one address among sixteen
		for j := 0; j < 60; j += 4 {
			binary.LittleEndian.PutUint32(old[i+j:], 0x94000000|r.Uint32N(1<<14)<<5)
		}
		binary.LittleEndian.PutUint32(old[i+60:], uint32(0x400000+r.IntN(1<<20)))
	}
	for i := size / 2; i < size*3/4; i++ {
		old[i] = byte(r.Uint32())
	}
	cut := size / 3 &^ 63
	news = append(news, old[:cut]...)
	fresh := make([]byte, 5000)
	for i := range fresh {
		fresh[i] = byte(r.Uint32())
	}
	news = append(news, fresh...)
	moved := bytes.Clone(old[cut : size/2])
	for i := 60; i+4 <= len(moved); i += 64 {
		binary.LittleEndian.PutUint32(moved[i:], binary.LittleEndian.Uint32(moved[i:])+5000)
	}
	news = append(append(append(news, moved...), old[size*5/8:size*3/4]...), old[size/2:size*5/8]...)
	return old, append(news, make([]byte, size/4)...)
}

// made gives a package of an image and its parsed header.
func made(t testing.TB, image, base []byte, s ...trust.Signer) ([]byte, *Header) {
	t.Helper()
	if len(s) == 0 {
		s = []trust.Signer{signer(t, trust.Ed25519)}
	}
	var w bytes.Buffer
	if _, err := Write(&w, update.Release{Version: "2.1.0", Number: 7, Hardware: []string{"pi"}}, image, base, s...); err != nil {
		t.Fatal(err)
	}
	h, err := ReadHeader(bytes.NewReader(w.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if h.Offset(len(h.Chunks)) != int64(w.Len()) {
		t.Fatalf("the header says %d bytes, it has %d", h.Offset(len(h.Chunks)), w.Len())
	}
	return w.Bytes(), h
}

// standing is the image as far as it is made.
type standing struct{ b *[]byte }

func (s standing) ReadAt(b []byte, at int64) (int, error) { return bytes.NewReader(*s.b).ReadAt(b, at) }

// whole reads every chunk.
func whole(h *Header, pkg []byte, base []byte) ([]byte, error) {
	var at io.ReaderAt
	if base != nil {
		at = bytes.NewReader(base)
	}
	var out []byte
	r := NewReader(h, at, standing{&out})
	for n := range h.Chunks {
		b, err := r.Chunk(n, pkg[h.Offset(n):h.Offset(n+1)])
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

func TestAPackageGivesItsImageBack(t *testing.T) {
	seeds := uint64(8)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		old, news := images(seed, 1<<20*int(1+seed%4)+int(seed)*977)
		for _, base := range [][]byte{nil, old, news, {1}} {
			pkg, h := made(t, news, base)
			got, err := whole(h, pkg, base)
			if err != nil || !bytes.Equal(got, news) {
				t.Fatalf("seed %d, base of %d: %v", seed, len(base), err)
			}
			if sha256.Sum256(got) != h.SHA256 {
				t.Fatal("the sum of the whole is wrong")
			}
		}
	}
}

// long leaves to the full run what measures sizes of many megabytes, in one goroutine.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("sizes are measured in the full run")
	}
}

func TestADeltaOfMovedCodeIsSmall(t *testing.T) {
	long(t)
	old, news := images(3, 4<<20)
	full, _ := made(t, news, nil)
	delta, _ := made(t, news, old)
	// 5000 bytes are new, and the addresses of a third of the code are others by one and the same amount.
	if len(delta) > len(full)/15 {
		t.Fatalf("a delta of %d bytes, whole %d", len(delta), len(full))
	}
	same, h := made(t, news, news)
	if len(same) > 8<<10 {
		t.Fatalf("nothing changed, and %d bytes travel in %d chunks", len(same), len(h.Chunks))
	}
}

// twice is two programs of one release: the second has the first one's functions, with other calls.
func twice(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 2))
	one := make([]byte, 3*ChunkSize/2)
	for i := 0; i < len(one); i += 4 {
		binary.LittleEndian.PutUint32(one[i:], 0xa9000000|r.Uint32N(1<<16)<<5)
		if i%64 == 0 {
			binary.LittleEndian.PutUint32(one[i:], 0x94000000|r.Uint32N(1<<20))
		}
	}
	two := bytes.Clone(one)
	for i := 0; i < len(two); i += 64 {
		binary.LittleEndian.PutUint32(two[i:], binary.LittleEndian.Uint32(two[i:])-77)
	}
	return append(append(one, 1, 2, 3), two...)
}

func TestASecondProgramOfTheSameCodeTakesLittle(t *testing.T) {
	long(t)
	both := twice(1)
	one, _ := made(t, both[:3*ChunkSize/2], nil)
	pkg, h := made(t, both, nil)
	if len(pkg) > len(one)*11/10 {
		t.Fatalf("one program is %d bytes, both are %d", len(one), len(pkg))
	}
	if got, err := whole(h, pkg, nil); err != nil || !bytes.Equal(got, both) {
		t.Fatal(err)
	}
}

// What is copied was proved before: a chunk that is not there yet, or is another, makes none.
func TestAChunkIsNotMadeOfChunksThatDoNotStand(t *testing.T) {
	both := twice(2)
	pkg, h := made(t, both, nil)
	last := len(h.Chunks) - 2 // the very last is three bytes
	if h.Chunks[last].Form != Patch {
		t.Fatalf("it is no patch but %s", h.Chunks[last].Form)
	}
	for name, own := range map[string]io.ReaderAt{"none": nil, "empty": bytes.NewReader(nil), "others": bytes.NewReader(make([]byte, len(both)))} {
		if _, err := NewReader(h, nil, own).Chunk(last, pkg[h.Offset(last):h.Offset(last+1)]); err == nil || phrase.Of(err).Code != "update.bad_chunk" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewReader(h, nil, bytes.NewReader(both)).Chunk(last, pkg[h.Offset(last):h.Offset(last+1)]); err != nil {
		t.Fatal(err)
	}
}

func TestCallsComeBackAsTheyWere(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for n := range 200 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
			if r.IntN(3) == 0 {
				b[i] = 0x94 | byte(r.IntN(4))
			}
		}
		was := bytes.Clone(b)
		for align := range 4 {
			calls(b, align)
			jumps(b, align)
			if !bytes.Equal(b, was) {
				t.Fatalf("%d bytes from %d", n, align)
			}
		}
	}
	// In a root without compression code lies at any byte: where it does is found.
	code := twice(4)[:4096]
	for align := range 4 {
		if got, _ := aligned(append(make([]byte, align), code...)); got != align {
			t.Errorf("words from %d on are seen from %d on", align, got)
		}
	}
}

// A frame that claims or holds more than its chunk takes no memory beyond it.
func TestAFrameIsHeldToTheSizeOfItsChunk(t *testing.T) {
	_, h := made(t, bytes.Repeat([]byte{7, 8, 9, 1}, 1000), nil)
	h.Chunks[0].Form = Zstd
	z, err := packer()
	if err != nil {
		t.Fatal(err)
	}
	large := z.EncodeAll(make([]byte, 64<<20), nil)
	two := z.EncodeAll(make([]byte, 3000), nil)
	for name, coded := range map[string][]byte{"64 MiB": large, "two frames": append(two, two...), "too little": two, "nothing": {}, "no frame": []byte("no frame at all")} {
		var err error
		r := NewReader(h, nil, nil)
		_, _ = r.Chunk(0, two) // the decoder's own tables
		used := testing.AllocsPerRun(1, func() { _, err = r.Chunk(0, coded) })
		if err == nil {
			t.Errorf("%s: was taken", name)
		}
		if cap(r.out) > ChunkSize || used > 50 {
			t.Errorf("%s: took %d bytes, %.0f allocations", name, cap(r.out), used)
		}
	}
}

func TestEachChunkIsHeldToItsSum(t *testing.T) {
	old, news := images(5, 2<<20)
	pkg, h := made(t, news, old)
	r := rand.New(rand.NewPCG(9, 9))
	refused := 0
	for range 400 {
		n := r.IntN(len(h.Chunks))
		c := bytes.Clone(pkg[h.Offset(n):h.Offset(n+1)])
		if len(c) == 0 {
			continue
		}
		c[r.IntN(len(c))] ^= 1 << r.IntN(8)
		at, size := h.Span(n)
		got, err := NewReader(h, bytes.NewReader(old), bytes.NewReader(news)).Chunk(n, c)
		if err == nil && !bytes.Equal(got, news[at:at+int64(size)]) {
			t.Fatal("a broken chunk was believed")
		}
		if err != nil {
			refused++
			if phrase.Of(err).Code != "update.bad_chunk" {
				t.Fatal(err)
			}
		}
	}
	if refused < 100 {
		t.Fatalf("only %d were refused", refused)
	}
	// The wrong base: whatever comes out of it, it is refused.
	other := bytes.Clone(old)
	for i := range other {
		other[i] ^= 0x55
	}
	for n, c := range h.Chunks {
		if c.Form == Same || c.Form == Patch {
			if _, err := NewReader(h, bytes.NewReader(other), bytes.NewReader(news)).Chunk(n, pkg[h.Offset(n):h.Offset(n+1)]); err == nil {
				t.Fatalf("chunk %d came of the wrong base", n)
			}
		}
	}
}

func TestAReleaseNeedsEveryKindOfSignatureThatIsAskedFor(t *testing.T) {
	ed, sm, stranger := signer(t, trust.Ed25519), signer(t, trust.SM2), signer(t, trust.SM2)
	image := bytes.Repeat([]byte("alarm "), 999)
	keys := []crypto.PublicKey{ed.Public(), sm.Public()}
	both := Rule{keys, []trust.Kind{trust.Ed25519, trust.SM2}}
	for _, c := range []struct {
		name string
		by   []trust.Signer
		rule Rule
		code string
	}{
		{"both", []trust.Signer{ed, sm}, both, ""},
		{"in any order", []trust.Signer{sm, ed}, both, ""},
		{"one is enough where one is asked for", []trust.Signer{ed}, Rule{keys, []trust.Kind{trust.Ed25519}}, ""},
		{"one of two", []trust.Signer{ed}, both, "update.bad_signature"},
		{"the same twice", []trust.Signer{ed, ed}, both, "update.bad_signature"},
		{"one a stranger's", []trust.Signer{ed, stranger}, both, "update.bad_signature"},
		{"a stranger's, and no keys", []trust.Signer{stranger}, Rule{Need: []trust.Kind{trust.SM2}}, "update.no_keys"},
		{"nothing is asked for", []trust.Signer{ed}, Rule{Keys: keys}, "update.no_keys"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, h := made(t, image, nil, c.by...)
			err := h.Verify(c.rule)
			if (err == nil) != (c.code == "") || err != nil && phrase.Of(err).Code != c.code {
				t.Fatalf("got %v, want %q", err, c.code)
			}
		})
	}
}

// forged gives a package's front with a manifest that f changed, under a signature that holds.
func forged(t testing.TB, h *Header, f func(map[string]any)) []byte {
	t.Helper()
	var m map[string]any
	b, err := json.Marshal(h.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	f(m)
	if b, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	e, err := trust.SealDSSE(PayloadType, b, signer(t, trust.Ed25519))
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32(mark[:], uint32(len(e))), e...)
}

func TestAManifestIsHeldToItsBounds(t *testing.T) {
	old, news := images(2, 1<<20)
	_, h := made(t, news, old)
	chunk := func(n int, key string, v any) func(map[string]any) {
		return func(m map[string]any) { m["chunks"].([]any)[n].(map[string]any)[key] = v }
	}
	set := func(key string, v any) func(map[string]any) { return func(m map[string]any) { m[key] = v } }
	if _, err := ReadHeader(bytes.NewReader(forged(t, h, func(map[string]any) {}))); err != nil {
		t.Fatal("the control does not read:", err)
	}
	for name, f := range map[string]func(map[string]any){
		"a format of tomorrow":      set("format", 2),
		"no number":                 set("number", 0),
		"no version":                set("version", ""),
		"no boards":                 set("hardware", []string{}),
		"a field that nobody knows": set("also", 1),
		"an image of no size":       set("size", 0),
		"an image of a terabyte":    set("size", int64(1)<<40),
		"a size below nothing":      set("size", -1),
		"fewer chunks than image":   set("chunks", []any{}),
		"a base of no size":         set("base", map[string]any{"sha256": strings.Repeat("0", 64), "size": 0}),
		"the same and no base": func(m map[string]any) {
			delete(m, "base")
			m["chunks"] = []any{map[string]any{"sha256": strings.Repeat("0", 64), "form": "same"}, m["chunks"].([]any)[1]}
		},
		"a chunk of no known form":  chunk(0, "form", "brotli"),
		"a chunk of a gigabyte":     chunk(0, "bytes", 1<<30),
		"a chunk below nothing":     chunk(0, "bytes", -1),
		"a zero chunk that travels": chunk(0, "form", "zero"),
		"a sum that is cut":         chunk(0, "sha256", "00"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadHeader(bytes.NewReader(forged(t, h, f)))
			if err == nil || phrase.Of(err).Code != "update.bad_manifest" {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestWhatIsNoPackageIsRefusedInWords(t *testing.T) {
	pkg, h := made(t, []byte("x"), nil)
	for name, b := range map[string][]byte{
		"nothing":                {},
		"a page":                 []byte("<!doctype html><title>404</title>"),
		"line ends changed":      bytes.Replace(pkg, []byte("\r\n"), []byte("\n"), 1),
		"a header without end":   append(bytes.Clone(mark[:]), 0xff, 0xff, 0xff, 0xff),
		"a header of no length":  append(bytes.Clone(mark[:]), 0, 0, 0, 0),
		"cut within the header":  pkg[:h.Length-1],
		"cut within the mark":    pkg[:5],
		"another kind of thing":  append(binary.BigEndian.AppendUint32(mark[:], 2), "{}"...),
		"an envelope of a drill": append(binary.BigEndian.AppendUint32(mark[:], 78), `{"payload":"e30=","payloadType":"application/x","signatures":[{"sig":"AAAA"}]}`...),
	} {
		if _, err := ReadHeader(bytes.NewReader(b)); err == nil || phrase.Of(err).Code == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A patch is signed with its sums, but it is opened before its sum is known.
func TestAHostilePatchStaysWithinItsBounds(t *testing.T) {
	pkg, h := made(t, bytes.Repeat([]byte{7, 8, 9, 1}, 1000), []byte("base of some bytes that is short"))
	_ = pkg
	h.Chunks[0].Form = Patch
	z, err := packer()
	if err != nil {
		t.Fatal(err)
	}
	steps := func(v ...int64) []byte {
		var raw []byte
		for _, x := range v {
			raw = binary.AppendVarint(raw, x)
		}
		return sized(z, raw)
	}
	for name, coded := range map[string][]byte{
		"nothing":              {},
		"four gigabytes":       {0xff, 0xff, 0xff, 0xff, 1},
		"more than it says":    append(steps(0), 1, 2, 3),
		"steps without end":    steps(1 << 40),
		"fewer than it says":   steps(3, 1),
		"copies before 0":      steps(1, 0, 4000, -5),
		"copies beyond":        steps(1, 0, 4000, 1<<50),
		"copies of a terabyte": steps(1, 0, 1<<40, 0),
		"copies below nothing": steps(1, 0, -4000, 0),
		"of chunks to come":    steps(1, 0, 4000, int64(h.Base.Size)),
		"overflowing sizes":    steps(2, 1<<62, 1<<62, 0, 1<<62, 1<<62, 0),
	} {
		if _, err := NewReader(h, strings.NewReader("base of some bytes that is short"), bytes.NewReader(make([]byte, 1<<20))).Chunk(0, coded); err == nil {
			t.Errorf("%s: was taken", name)
		} else if errors.Is(err, io.EOF) && name != "nothing" {
			t.Errorf("%s: says only %v", name, err)
		}
	}
}

func FuzzHeader(f *testing.F) {
	old, news := images(1, 2<<10) // small seeds: the fuzzer spends its time on making large ones smaller
	pkg, h := made(f, news, old)
	f.Add(pkg[:h.Length])
	f.Add(forged(f, h, func(m map[string]any) { m["size"] = 1 }))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ReadHeader(bytes.NewReader(b))
		if err != nil {
			if phrase.Of(err).Code == "" {
				t.Fatal("no words:", err)
			}
			return
		}
		for n := range h.Chunks {
			if at, size := h.Span(n); at < 0 || size <= 0 || size > ChunkSize || h.Offset(n+1)-h.Offset(n) > mostChunk {
				t.Fatal("out of bounds")
			}
		}
	})
}

func FuzzA64(f *testing.F) {
	both := twice(5)[:2<<10]
	pkg, h := made(f, both, nil)
	f.Add(pkg[h.Offset(0):h.Offset(1)])
	f.Fuzz(func(t *testing.T, coded []byte) {
		h.Chunks[0].Form = A64
		if b, err := NewReader(h, nil, nil).Chunk(0, coded); err == nil && !bytes.Equal(b, both) {
			t.Fatal("other bytes were believed")
		}
	})
}

func FuzzPatch(f *testing.F) {
	old, news := images(4, 2<<10)
	pkg, h := made(f, news, old)
	f.Add(pkg[h.Offset(0):h.Offset(1)])
	f.Fuzz(func(t *testing.T, coded []byte) {
		h.Chunks[0].Form = Patch
		if b, err := NewReader(h, bytes.NewReader(old), nil).Chunk(0, coded); err == nil && !bytes.Equal(b, news) {
			t.Fatal("other bytes were believed")
		}
	})
}
