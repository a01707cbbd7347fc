// Package pdf draws a sheet of package paper as a PDF (ISO 32000-1, by go-pdf/fpdf). It is
// used by the process that draws alone, under a memory cap: the library panics on fonts
// that it cannot cut, and a font of 5 MB is held while it does. A font without Chinese or
// digits is refused before anything is drawn, since its digits would come out as boxes.
package pdf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-pdf/fpdf"
	"golang.org/x/image/font/sfnt"

	"tocsin/firmware/serve/paper"
)

// Bounds of a drawing. Photos beyond are named, and left to the page.
const (
	mostFont   = 32 << 20
	mostPhotos = 12 << 20
	mostPages  = 200
)

// Draw reads an Order and writes the PDF, or why there is none: the work of a process that
// has no other.
func Draw(r io.Reader, w io.Writer) error {
	b, err := io.ReadAll(io.LimitReader(r, paper.MostOrder+1))
	if err != nil {
		return err
	}
	if len(b) > paper.MostOrder {
		return fmt.Errorf("an order of more than %d bytes", paper.MostOrder)
	}
	var o paper.Order
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	for _, f := range o.Fonts {
		if font, err := ReadFont(f); err == nil {
			return PDF(o.Sheet, font, w)
		}
	}
	return json.NewEncoder(w).Encode(paper.Undrawn(o.Fonts))
}

// probe is what a font must have: 警 for Chinese, and digits.
const probe = "警钟转移0123456789.A"

// ReadFont reads a TrueType font that has what is printed.
func ReadFont(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostFont+1))
	if err != nil {
		return nil, err
	}
	if len(b) > mostFont || len(b) < 12 || string(b[:4]) != "\x00\x01\x00\x00" && string(b[:4]) != "true" {
		return nil, fmt.Errorf("%s is no single TrueType font", file) // .ttc and CFF cannot be embedded
	}
	x, err := sfnt.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, c := range probe {
		if i, err := x.GlyphIndex(nil, c); err != nil || i == 0 {
			return nil, fmt.Errorf("%s lacks %q", file, c)
		}
	}
	return b, nil
}

// PDF draws a sheet with a font.
func PDF(s paper.Sheet, font []byte, w io.Writer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("drawing: %v", r) // the library panics on fonts that it cannot cut
		}
	}()
	d := &drawing{Fpdf: fpdf.New("P", "mm", "A4", ""), left: mostPhotos}
	d.AddUTF8FontFromBytes("box", "", font)
	d.SetMargins(15, 15, 15)
	d.SetAutoPageBreak(true, 15)
	d.SetTitle(s.Title, true)
	d.SetFooterFunc(func() {
		d.SetY(-12)
		d.SetFont("box", "", 8)
		d.SetTextColor(90, 90, 90)
		d.CellFormat(0, 5, fmt.Sprintf("%s  %d", s.Foot, d.PageNo()), "", 0, "R", false, 0, "")
	})
	d.AddPage()
	size := 10.0
	if s.Large {
		size = 16
	}
	d.text(size*1.8, s.Title)
	if s.Verdict != "" {
		if s.Good {
			d.SetTextColor(10, 90, 34)
		} else {
			d.SetTextColor(160, 0, 0)
		}
		d.text(size*1.2, s.Verdict)
		d.SetTextColor(0, 0, 0)
	}
	for _, f := range s.Facts {
		d.text(size, f.Name+"  "+f.Value)
	}
	if len(s.Facts) > 0 {
		d.Ln(2)
	}
	d.labels(s.Labels)
	for _, p := range s.Parts {
		d.part(p, size)
	}
	for _, who := range s.Sign {
		d.Ln(8)
		d.text(size, who+"  ______________________")
	}
	if err := d.Error(); err != nil {
		return err
	}
	if d.PageCount() > mostPages {
		return errors.New("too many pages")
	}
	var b bytes.Buffer
	if err := d.Output(&b); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

type drawing struct {
	*fpdf.Fpdf
	left int64 // bytes of photos that may yet be drawn
	n    int
}

const width = 180

func (d *drawing) text(size float64, s string) {
	d.SetFont("box", "", size)
	d.MultiCell(width, size*0.5, s, "", "L", false)
}

func (d *drawing) part(p paper.Part, size float64) {
	if d.GetY() > 250 {
		d.AddPage()
	}
	d.SetDrawColor(150, 150, 150)
	y := d.GetY() + 1.5
	d.Line(15, y, 15+width, y)
	d.Ln(3)
	title := p.Title
	if p.Mark != "" {
		title += "  [" + p.Mark + "]"
	}
	if p.Bad {
		d.SetTextColor(160, 0, 0)
	}
	d.text(size*1.15, title)
	d.SetTextColor(0, 0, 0)
	if p.Note != "" {
		d.SetTextColor(80, 80, 80)
		d.text(size*0.9, p.Note)
		d.SetTextColor(0, 0, 0)
	}
	for _, l := range p.Lines {
		d.text(size, "- "+l)
	}
	d.rows(p, size)
	d.shots(p.Shots)
}

func (d *drawing) rows(p paper.Part, size float64) {
	all := p.Rows
	if len(p.Head) > 0 && len(all) > 0 {
		all = append([][]string{p.Head}, all...)
	}
	for _, r := range all {
		if len(r) == 0 {
			continue
		}
		d.SetFont("box", "", size)
		cell, high := float64(width)/float64(len(r)), 1
		for _, c := range r {
			high = max(high, len(d.SplitText(c, cell-2)))
		}
		h := size * 0.5
		if d.GetY()+h*float64(high) > 280 {
			d.AddPage()
		}
		x, y := d.GetX(), d.GetY()
		for i, c := range r {
			d.Rect(x+cell*float64(i), y, cell, h*float64(high), "D")
			d.SetXY(x+cell*float64(i), y)
			d.MultiCell(cell, h, c, "", "L", false)
		}
		d.SetXY(x, y+h*float64(high))
	}
}

func (d *drawing) shots(all []paper.Shot) {
	const each, gap = 86.0, 4.0
	for i := 0; i < len(all); i += 2 {
		row, high := all[i:min(i+2, len(all))], 0.0
		for _, s := range row {
			high = max(high, min(90, each*float64(s.Height)/float64(max(s.Width, 1))))
		}
		if d.GetY()+high+8 > 280 {
			d.AddPage()
		}
		x, y := d.GetX(), d.GetY()+1
		for k, s := range row {
			at := x + float64(k)*(each+gap)
			if b, err := d.photo(s); err == nil {
				d.n++
				name := fmt.Sprint("photo", d.n)
				o := fpdf.ImageOptions{ImageType: map[string]string{"jpeg": "JPG", "png": "PNG"}[s.Kind]}
				d.RegisterImageOptionsReader(name, o, bytes.NewReader(b))
				w, h := each, each*float64(s.Height)/float64(max(s.Width, 1))
				if h > 90 {
					w, h = w*90/h, 90
				}
				d.ImageOptions(name, at, y, w, h, false, o, 0, "")
			}
			d.SetXY(at, y+high)
			d.SetFont("box", "", 8)
			d.MultiCell(each, 4, s.Text, "", "L", false)
		}
		d.SetXY(x, y+high+8)
	}
}

func (d *drawing) photo(s paper.Shot) ([]byte, error) {
	f, err := os.Open(s.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, d.left+1))
	if err == nil && int64(len(b)) > d.left {
		err = errors.New("no room for more photos")
	}
	if err == nil {
		d.left -= int64(len(b))
	}
	return b, err
}

func (d *drawing) labels(all []paper.Label) {
	const w, h = 60.0, 24.0
	for i, l := range all {
		col := i % 3
		if col == 0 && d.GetY()+h > 280 {
			d.AddPage()
		}
		x, y := 15+w*float64(col), d.GetY()
		d.SetDashPattern([]float64{1, 1}, 0)
		d.Rect(x, y, w, h, "D")
		d.SetDashPattern(nil, 0)
		d.SetXY(x+1, y+1)
		d.SetFont("box", "", 13)
		d.MultiCell(w-2, 6, l.Big, "", "L", false)
		d.SetFont("box", "", 9)
		for _, s := range l.Small {
			d.SetX(x + 1)
			d.MultiCell(w-2, 4.2, s, "", "L", false)
		}
		if d.SetXY(15, y); col == 2 || i == len(all)-1 {
			d.SetXY(15, y+h)
		}
	}
}
