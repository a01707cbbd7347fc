package wear

import (
	"io"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Reading is what a board says of itself.
type Reading struct {
	Zones []Zone
	Disks []Disk
}

// Zone is a thermal zone; OK tells that it could be read and says what a board can be.
type Zone struct {
	Name    string
	Celsius float64
	OK      bool
}

// Disk is a flash.
type Disk struct {
	Name string
	// Bytes is its size, Written what was written since the board booted.
	Bytes, Written uint64
	Counted        bool
	// Life is how much of its life is used as it says itself, in percent at the most: 10, 20, … 110; 0 where it does not.
	Life int
	// EOL is JEDEC's PRE_EOL_INFO: 1 normal, 2 warning, 3 urgent; 0 not said.
	EOL int
	// Unread tells that it has registers that cannot be read, or that make no sense.
	Unread bool
}

// Bounds of what is read.
const (
	fileMost  = 4 << 10
	zonesMost = 32
	disksMost = 8
	sector    = 512
	coldest   = -60.0
	hottest   = 150.0
)

var (
	zoneName = regexp.MustCompile(`^thermal_zone[0-9]{1,3}$`)
	diskName = regexp.MustCompile(`^mmcblk[0-9]{1,3}$`) // not its boot partitions
)

// Read reads a file system that looks like /sys.
func Read(sys fs.FS) (r Reading) {
	for _, name := range names(sys, "class/thermal", zoneName, zonesMost) {
		dir := path.Join("class/thermal", name)
		z := Zone{Name: name}
		if t, err := text(sys, path.Join(dir, "type")); err == nil && t != "" {
			z.Name = plain(t)
		}
		if t, err := text(sys, path.Join(dir, "temp")); err == nil {
			n, err := strconv.ParseInt(t, 10, 64)
			z.Celsius = float64(n) / 1000
			z.OK = err == nil && z.Celsius >= coldest && z.Celsius <= hottest
		}
		r.Zones = append(r.Zones, z)
	}
	for _, name := range names(sys, "block", diskName, disksMost) {
		dir := path.Join("block", name)
		d := Disk{Name: name}
		if t, err := text(sys, path.Join(dir, "size")); err == nil {
			n, _ := strconv.ParseUint(t, 10, 54)
			d.Bytes = n * sector
		}
		if t, err := text(sys, path.Join(dir, "stat")); err == nil {
			if f := strings.Fields(t); len(f) >= 11 {
				n, err := strconv.ParseUint(f[6], 10, 54)
				d.Written, d.Counted = n*sector, err == nil
			}
		}
		d.Life, d.EOL, d.Unread = registers(sys, path.Join(dir, "device"))
		r.Disks = append(r.Disks, d)
	}
	return r
}

// registers reads what an eMMC says of its life.
func registers(sys fs.FS, dir string) (life, eol int, unread bool) {
	if t, err := text(sys, path.Join(dir, "life_time")); err == nil {
		f := strings.Fields(t)
		if unread = len(f) == 0 || len(f) > 2; !unread {
			for _, x := range f {
				n, err := strconv.ParseUint(strings.TrimPrefix(x, "0x"), 16, 8)
				if err != nil || n > 11 { // 0x0B: exceeded
					unread = true
					continue
				}
				life = max(life, int(n)*10)
			}
		}
	}
	if t, err := text(sys, path.Join(dir, "pre_eol_info")); err == nil {
		n, err := strconv.ParseUint(strings.TrimPrefix(t, "0x"), 16, 8)
		if err != nil || n > 3 {
			return life, 0, true
		}
		eol = int(n)
	}
	return life, eol, unread
}

func names(sys fs.FS, dir string, like *regexp.Regexp, most int) (all []string) {
	es, err := fs.ReadDir(sys, dir)
	if err != nil {
		return nil // a board without
	}
	for _, e := range es {
		if like.MatchString(e.Name()) && len(all) < most {
			all = append(all, e.Name())
		}
	}
	return all
}

func text(sys fs.FS, name string) (string, error) {
	f, err := sys.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, fileMost))
	return strings.TrimSpace(string(b)), err
}

// plain keeps what a name of a thermal zone may hold.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, s[:min(len(s), 40)])
}
