package configs_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"tocsin/firmware/sense/profile"
)

// document writes profiles/README.md: one row a device, in both languages.
func document(ps []*profile.Profile) []byte {
	var b bytes.Buffer
	generic := 0
	for _, p := range ps {
		if strings.HasPrefix(p.Name, "generic-") {
			generic++
		}
	}
	fmt.Fprintf(&b, `<!-- Written by go test ./configs -run Documentation -update; change the profiles instead. -->

# 设备文件 · Device profiles

共 %d 种设备，其中 %d 种为通用（generic）：没有可引用的厂家寄存器表，使用前必须与说明书核对。
%d devices, of which %d are generic: there is no maker's table to cite, so compare with the manual before use.

添加一种设备：复制最接近的一个文件，写上说明书出处和实录，见 [CONTRIBUTING.md](../../CONTRIBUTING.md)。
To add one, copy the nearest file, name its manual and record a proof; see [CONTRIBUTING.md](../../CONTRIBUTING.md).

加粗的测点优先读取。The points in bold are read first.

| 设备 · Device | 线路 · Line | 测点 · Points | 输出 · Outputs | 来源 · Source |
| --- | --- | --- | --- | --- |
`, len(ps), generic, len(ps), generic)
	for _, p := range ps {
		fmt.Fprintf(&b, "| [`%s`](%s.yaml)<br>%s<br>%s | %s | %s | %s | %s |\n", p.Name, p.Name, cell(p.Title.ZH), cell(p.Title.EN),
			line(p), strings.Join(points(p), "<br>"), strings.Join(writes(p), "<br>"), cell(p.Manual))
	}
	return b.Bytes()
}

func line(p *profile.Profile) string {
	if p.Via != profile.Modbus && p.Via != profile.Text {
		return string(p.Via)
	}
	return fmt.Sprintf("%s %d %s", p.Via, p.Line.Baud, p.Line.Format)
}

var digits = regexp.MustCompile(`[0-9]+`)

// points tells a device's points; those that one entry made share a line.
func points(p *profile.Profile) []string {
	var out []string
	for i := 0; i < len(p.Points); {
		pt := &p.Points[i]
		n := 1
		for i+n < len(p.Points) && alike(pt, &p.Points[i+n]) {
			n++
		}
		id := "`" + pt.ID + "`"
		zh, en := cell(pt.Name.ZH), cell(pt.Name.EN)
		if n > 1 {
			last := &p.Points[i+n-1]
			id += "…`" + last.ID + "`"
			zh, en = digits.ReplaceAllString(zh, "n"), digits.ReplaceAllString(en, "n")
		}
		if pt.Alarm {
			id = "**" + id + "**"
		}
		s := id + " " + zh + " · " + en
		if pt.Unit != "1" && pt.Unit != "on/off" {
			s += ", " + string(pt.Unit)
		}
		if pt.Range != nil {
			s += " " + number(pt.Range.Min) + "…" + number(pt.Range.Max)
		}
		out = append(out, s)
		i += n
	}
	return out
}

// numbered tells whether a name ends in a number, as those of one list do.
func numbered(name string) bool { return regexp.MustCompile(`(^| )[0-9]+$`).MatchString(name) }

// alike tells whether two points differ by their number alone.
func alike(a, b *profile.Point) bool {
	return a.Table == b.Table && a.Type == b.Type && a.Unit == b.Unit && a.Alarm == b.Alarm && numbered(a.Name.EN) &&
		digits.ReplaceAllString(a.Name.EN, "n") == digits.ReplaceAllString(b.Name.EN, "n")
}

func writes(p *profile.Profile) []string {
	if len(p.Writes) == 0 {
		return []string{"—"}
	}
	first, last := &p.Writes[0], &p.Writes[len(p.Writes)-1]
	if len(p.Writes) == 1 {
		return []string{"`" + first.ID + "` " + cell(first.Name.ZH) + " · " + cell(first.Name.EN)}
	}
	return []string{"`" + first.ID + "`…`" + last.ID + "` " + cell(digits.ReplaceAllString(first.Name.ZH, "n")) + " · " + cell(digits.ReplaceAllString(first.Name.EN, "n"))}
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// cell keeps a text from ending its cell of the table.
func cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(s) }
