package video

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"tocsin/firmware/video/source/onvif"
	"tocsin/firmware/video/stream"
)

// Bounds of making stills.
const (
	stillIn     = 3 * time.Second
	stillBytes  = 512 << 10
	cameraBytes = 8 << 20
	stillPixels = 8192 * 4320
	stillLevel  = 60 // JPEG quality
)

var errNoStill = errors.New("no still can be made: the camera makes none and there is no ffmpeg, or no key picture has come")

// Camera makes a still itself.
type Camera interface {
	Snapshot(ctx context.Context) ([]byte, error)
}

// cameraOf is a camera's own stills by ONVIF; where they are is asked once.
type cameraOf struct {
	cam *onvif.Camera
	at  string
}

// Snapshot is of one goroutine at a time.
func (c *cameraOf) Snapshot(ctx context.Context) ([]byte, error) {
	if c.at == "" {
		profile := ""
		ps, err := c.cam.Profiles(ctx)
		if err != nil {
			return nil, err
		}
		if len(ps) > 0 {
			profile = ps[0].Token
		}
		if c.at, err = c.cam.SnapshotURL(ctx, profile); err != nil {
			return nil, err
		}
	}
	b, err := c.cam.Snapshot(ctx, c.at, cameraBytes)
	if err != nil {
		c.at = "" // it may have moved
	}
	return b, err
}

// stills makes them, one at a time, and keeps the last of each stream and width.
type stills struct {
	ffmpeg string
	turn   chan struct{}

	mu   sync.Mutex
	last map[string]made
}

type made struct {
	number uint64
	jpeg   []byte
}

func newStills(ffmpeg string) *stills {
	return &stills{ffmpeg: ffmpeg, turn: make(chan struct{}, 1), last: map[string]made{}}
}

// canStill says that stills of a stream can be made.
func (r *Relay) canStill(e *entry) bool { return e.camera != nil || r.stills.ffmpeg != "" }

// makeStill is a still of w×h pixels at most: the camera's own, else one of the last
// key picture by ffmpeg. It is kept as the stream's latest.
func (r *Relay) makeStill(ctx context.Context, e *entry, w, h int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, stillIn+time.Second)
	defer cancel()
	select {
	case r.stills.turn <- struct{}{}:
		defer func() { <-r.stills.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var err error
	if e.camera != nil {
		var raw []byte
		if raw, err = e.camera.Snapshot(ctx); err == nil {
			if raw, err = fit(raw, w, h); err == nil {
				return raw, e.stream.Show(raw)
			}
		}
	}
	u := e.stream.Key()
	if u == nil || r.stills.ffmpeg == "" {
		return nil, errors.Join(errNoStill, err)
	}
	at := e.plan.Name + "/" + strconv.Itoa(w)
	r.stills.mu.Lock()
	old := r.stills.last[at]
	r.stills.mu.Unlock()
	if old.number == u.Number() {
		return old.jpeg, nil
	}
	b, err := r.stills.decode(ctx, u, w, h)
	if err != nil {
		return nil, err
	}
	r.stills.mu.Lock()
	r.stills.last[at] = made{u.Number(), b}
	r.stills.mu.Unlock()
	return b, e.stream.Show(b)
}

// decode has ffmpeg make a JPEG of a key picture: fixed arguments, bounded in time and
// output, and it inherits the caps of this process.
func (s *stills) decode(ctx context.Context, u *stream.Unit, w, h int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, stillIn)
	defer cancel()
	format := "h264"
	if u.Codec == stream.H265 {
		format = "hevc"
	}
	var in bytes.Buffer
	for _, n := range u.NALs {
		in.Write([]byte{0, 0, 0, 1})
		in.Write(n)
	}
	scale := "scale=w=" + strconv.Itoa(w) + ":h=" + strconv.Itoa(h) + ":force_original_aspect_ratio=decrease:force_divisible_by=2"
	cmd := exec.CommandContext(ctx, s.ffmpeg, "-nostdin", "-v", "error", "-threads", "1", "-f", format, "-i", "pipe:0", "-frames:v", "1", "-vf", scale, "-q:v", "7", "-f", "mjpeg", "pipe:1")
	cmd.Stdin = &in
	cmd.Env = []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(out, stillBytes+1))
	if len(b) > stillBytes {
		cmd.Process.Kill()
	}
	if werr := cmd.Wait(); err == nil {
		err = werr
	}
	if err != nil {
		return nil, err
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(b))
	if err != nil || len(b) > stillBytes || c.Width > w || c.Height > h {
		return nil, errors.Join(errNoStill, err)
	}
	return b, nil
}

// fit makes a camera's JPEG fit w×h and no bigger than it must be; what is no JPEG or
// too big to be one is refused.
func fit(raw []byte, w, h int) ([]byte, error) {
	c, err := jpeg.DecodeConfig(bytes.NewReader(raw))
	if err != nil || c.Width <= 0 || c.Height <= 0 || c.Width*c.Height > stillPixels {
		return nil, errors.Join(errNoStill, err)
	}
	img, err := jpeg.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = jpeg.Encode(&out, shrink(img, w, h), &jpeg.Options{Quality: stillLevel})
	return out.Bytes(), err
}

// shrink averages a picture down to at most w×h; a smaller one stays as it is.
func shrink(img image.Image, w, h int) image.Image {
	b := img.Bounds()
	if b.Dx() <= w && b.Dy() <= h {
		return img
	}
	tw, th := w, b.Dy()*w/b.Dx()
	if th > h {
		tw, th = b.Dx()*h/b.Dy(), h
	}
	tw, th = max(tw, 1), max(th, 1)
	out := image.NewRGBA(image.Rect(0, 0, tw, th))
	for y := range th {
		y0, y1 := b.Min.Y+y*b.Dy()/th, b.Min.Y+(y+1)*b.Dy()/th
		for x := range tw {
			x0, x1 := b.Min.X+x*b.Dx()/tw, b.Min.X+(x+1)*b.Dx()/tw
			var r, g, bl, n uint32
			for sy := y0; sy < max(y1, y0+1); sy++ {
				for sx := x0; sx < max(x1, x0+1); sx++ {
					cr, cg, cb, _ := img.At(sx, sy).RGBA()
					r, g, bl, n = r+cr>>8, g+cg>>8, bl+cb>>8, n+1
				}
			}
			out.SetRGBA(x, y, color.RGBA{uint8(r / n), uint8(g / n), uint8(bl / n), 255})
		}
	}
	return out
}
