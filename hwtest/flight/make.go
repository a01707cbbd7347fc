//go:build ignore

// Draws the flight and has ffmpeg encode it: go generate ./hwtest/flight.
package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"

	"tocsin/hwtest/flight"
)

const (
	land    = 512 // the land repeats after so many cells, both ways
	horizon = 96  // rows from the top
	far     = 420.0
)

type rgb struct{ r, g, b float64 }

var (
	height [land][land]float64
	colour [land][land]rgb
)

func main() {
	lay()
	cmd := exec.Command("ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", fmt.Sprintf("%dx%d", flight.Width, flight.Height), "-r", fmt.Sprint(flight.PerSecond), "-i", "-",
		"-c:v", "libx264", "-profile:v", "baseline", "-preset", "slow", "-pix_fmt", "yuv420p", "-g", "30", "-keyint_min", "30", "-sc_threshold", "0", "-bf", "0", "-refs", "1",
		"-b:v", "300k", "-maxrate", "340k", "-bufsize", "300k", "-threads", "1", "-x264-params", "slices=1", "-f", "h264", "flight.h264")
	in, err := cmd.StdinPipe()
	if err == nil {
		cmd.Stderr = os.Stderr
		err = cmd.Start()
	}
	if err == nil {
		err = fly(in)
		in.Close()
	}
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// fly draws picture after picture.
func fly(to io.Writer) error {
	const n = flight.PerSecond * flight.Seconds
	for i := range n {
		turn := float64(i) / n
		y := turn * land
		if _, err := to.Write(see(valley(y+24)+6*math.Sin(2*math.Pi*turn), y, 92+6*math.Sin(4*math.Pi*turn))); err != nil {
			return err
		}
	}
	return nil
}

// see looks along y from a point: each column's land is drawn from near to far, what is nearer hides what is behind.
func see(x0, y0, up float64) []byte {
	const w, h = flight.Width, flight.Height
	b := make([]byte, w*h*3)
	put := func(x, y int, c rgb) {
		at := (y*w + x) * 3
		b[at], b[at+1], b[at+2] = byte(min(255, c.r)), byte(min(255, c.g)), byte(min(255, c.b))
	}
	sky := rgb{150, 162, 172} // of a day of rain
	for x := range w {
		side := (float64(x) - w/2) / (w / 2) * 0.75
		low := h
		for d := 30.0; d < far && low > 0; d += 0.25 + d*0.004 {
			mx, my := x0+side*d, y0+d
			row := int(horizon + (up-at(mx, my))/d*270)
			if row >= low {
				continue
			}
			c, haze := colour[wrap(my)][wrap(mx)], math.Min(1, d/far)
			c = rgb{c.r + (sky.r-c.r)*haze*haze, c.g + (sky.g-c.g)*haze*haze, c.b + (sky.b-c.b)*haze*haze}
			for y := max(0, row); y < low; y++ {
				put(x, y, c)
			}
			low = max(0, row)
		}
		for y := range low {
			put(x, y, sky)
		}
	}
	return b
}

func at(x, y float64) float64 { return height[wrap(y)][wrap(x)] }

func wrap(v float64) int { return ((int(math.Floor(v)) % land) + land) % land }

// valley is where the river runs.
func valley(y float64) float64 {
	t := 2 * math.Pi * y / land
	return land/2 + 26*math.Sin(t) + 9*math.Sin(3*t+1)
}

// lay makes the land: hills to both sides, the river, a road beside it, fields and houses.
func lay() {
	for y := range land {
		for x := range land {
			fx, fy := float64(x), float64(y)
			off := math.Abs(fx - valley(fy))
			off = math.Min(off, land-off)
			rough := noise(fx, fy, 64)*0.6 + noise(fx, fy, 24)*0.3 + noise(fx, fy, 8)*0.1
			h := math.Max(0, off-20) * 0.55 * (0.35 + rough)
			c := rgb{58 + 40*rough, 92 + 46*rough, 48 + 20*rough} // wood
			if h < 16 {
				c = rgb{120 + 50*rough, 132 + 30*rough, 70 + 20*rough} // fields, in strips
				if (x/9+y/14)%2 == 0 {
					c = rgb{c.r - 26, c.g + 6, c.b - 14}
				}
			}
			switch {
			case off < 15+6*rough:
				h, c = 0, rgb{128 + 22*noise(fx, fy, 8), 104 + 18*noise(fx, fy, 8), 74} // brown water
			case off > 27 && off < 31 && fx > valley(fy):
				h, c = h+0.4, rgb{168, 166, 160} // the road
			}
			height[y][x], colour[y][x] = h, c
		}
	}
	for i := range 26 {
		y := float64((i*37 + 190) % land)
		x := valley(y) + 36 + float64((i*13)%22)
		if i%4 == 0 {
			x = valley(y) - 32 - float64((i*7)%12)
		}
		roof := []rgb{{164, 66, 52}, {92, 98, 112}, {196, 188, 172}}[i%3]
		for dy := range 8 {
			for dx := range 6 {
				hx, hy := wrap(x+float64(dx)), wrap(y+float64(dy))
				height[hy][hx] += 6
				colour[hy][hx] = roof
			}
		}
	}
}

// noise is smooth, from 0 to 1, and repeats with the land.
func noise(x, y float64, cell int) float64 {
	n := land / cell
	gx, gy := x/float64(cell), y/float64(cell)
	ix, iy := int(gx), int(gy)
	fx, fy := gx-float64(ix), gy-float64(iy)
	fx, fy = fx*fx*(3-2*fx), fy*fy*(3-2*fy)
	v := func(i, j int) float64 {
		i, j = i%n, j%n
		k := uint32(i*374761393+j*668265263+cell*974711) ^ 0x5bd1e995
		k = (k ^ k>>13) * 1274126177
		return float64((k^k>>16)&0xffff) / 0xffff
	}
	a, b := v(ix, iy)+(v(ix+1, iy)-v(ix, iy))*fx, v(ix, iy+1)+(v(ix+1, iy+1)-v(ix, iy+1))*fx
	return a + (b-a)*fy
}
