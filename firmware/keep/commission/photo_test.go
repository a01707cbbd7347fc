package commission

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"slices"
	"testing"
)

func scene(w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, color.RGBA{uint8(x * 7), uint8(y * 5), uint8(x * y), 255})
		}
	}
	return m
}

func photo(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, scene(w, h), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fromPhone puts an Exif segment before the picture: the orientation, and a place.
func fromPhone(b []byte, o byte) []byte {
	tiff := []byte{'I', 'I', 42, 0, 8, 0, 0, 0, 2, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, o, 0, 0, 0, 0x25, 0x88, 4, 0, 1, 0, 0, 0, 38, 0, 0, 0, 0, 0, 0, 0}
	tiff = append(tiff, "GPS N24.7812 E112.3790"...)
	seg := append([]byte("Exif\x00\x00"), tiff...)
	head := binary.BigEndian.AppendUint16([]byte{0xFF, 0xD8, 0xFF, 0xE1}, uint16(len(seg)+2))
	return slices.Concat(head, seg, b[2:], []byte("a film after the end, with GPS too"))
}

func TestAPhotoKeepsItsPictureAndOrientationAndLosesItsPlace(t *testing.T) {
	most := Bounds{Bytes: 1 << 20, Pixels: 1e6}
	plain := photo(t, 64, 48)
	p, err := Clean(fromPhone(plain, 6), most)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(p.Bytes, []byte("GPS")) || bytes.Contains(p.Bytes, []byte("film")) {
		t.Error("where it was taken is still in it")
	}
	if !bytes.Contains(p.Bytes, turn(6)) {
		t.Error("it would be shown lying on its side")
	}
	want, _ := jpeg.Decode(bytes.NewReader(plain))
	got, err := jpeg.Decode(bytes.NewReader(p.Bytes))
	if err != nil || got.At(20, 20) != want.At(20, 20) || p.Width != 64 || p.Height != 48 {
		t.Errorf("the picture has changed: %v", err)
	}
	if again, err := Clean(p.Bytes, most); err != nil || !bytes.Equal(again.Bytes, p.Bytes) {
		t.Error("cleaning twice changes it")
	}

	var b bytes.Buffer
	png.Encode(&b, scene(30, 20))
	text := []byte("tEXtGPS N24.7812")
	chunk := binary.BigEndian.AppendUint32(slices.Concat([]byte{0, 0, 0, 12}, text), crc32.ChecksumIEEE(text))
	p, err = Clean(slices.Concat(b.Bytes()[:33], chunk, b.Bytes()[33:]), most)
	if err != nil || !bytes.Equal(p.Bytes, b.Bytes()) {
		t.Errorf("PNG: %v", err)
	}
}

func TestWhatIsNoPhotoIsRefused(t *testing.T) {
	most := Bounds{Bytes: 1 << 20, Pixels: 1e6}
	good := photo(t, 64, 48)
	huge := slices.Clone(good)
	at := bytes.Index(huge, []byte{0xFF, 0xC0})
	binary.BigEndian.PutUint16(huge[at+5:], 60000)
	binary.BigEndian.PutUint16(huge[at+7:], 60000)
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"nothing":                    {nil, "commission.photo_kind"},
		"a page":                     {[]byte("<html><script>alert(1)</script>"), "commission.photo_kind"},
		"cut short":                  {good[:len(good)/2], "commission.photo_kind"},
		"an image of 3.6 gigapixels": {huge, "commission.photo_pixels"},
		"too many bytes":             {append(slices.Clone(good), make([]byte, 1<<20)...), "commission.photo_large"},
	} {
		if _, err := Clean(c.b, most); code(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add(photo(f, 8, 8))
	f.Add(fromPhone(photo(f, 8, 8), 3))
	var b bytes.Buffer
	png.Encode(&b, scene(4, 4))
	f.Add(b.Bytes())
	most := Bounds{Bytes: 64 << 10, Pixels: 1e6}
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := Clean(in, most)
		if err != nil {
			return
		}
		if len(p.Bytes) > len(in)+64 {
			t.Errorf("%d bytes became %d", len(in), len(p.Bytes))
		}
		c, kind, err := image.DecodeConfig(bytes.NewReader(p.Bytes))
		if err != nil || kind != p.Kind || c.Width != p.Width || c.Height != p.Height {
			t.Errorf("what was kept is another picture: %v %s %dx%d", err, kind, c.Width, c.Height)
		}
		if again, err := Clean(p.Bytes, Bounds{Bytes: 1 << 20, Pixels: 1e6}); err != nil || !bytes.Equal(again.Bytes, p.Bytes) {
			t.Errorf("cleaning twice: %v", err)
		}
	})
}
