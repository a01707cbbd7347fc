package station

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows is the literal table of which room may import which (of ours). A room
// that is not here may import nothing of ours; a trailing slash allows all below.
var arrows = map[string][]string{
	"drivers":                         {},
	"drivers/serial":                  {"drivers"},
	"drivers/modbus":                  {"drivers"},
	"drivers/text":                    {"drivers"},
	"drivers/gpio":                    {"drivers"},
	"drivers/audio":                   {"drivers"},
	"drivers/nmea":                    {"drivers"},
	"drivers/sdi12":                   {"drivers"},
	"drivers/i2c":                     {"drivers"},
	"drivers/onewire":                 {"drivers"},
	"drivers/pulse":                   {"drivers"},
	"drivers/beidou":                  {"drivers"},
	"drivers/meshtastic":              {"drivers"},
	"drivers/sbd":                     {"drivers"},
	"drivers/pps":                     {"drivers"},
	"drivers/rtc":                     {"drivers"},
	"drivers/modem":                   {"drivers"},
	"drivers/drivertest":              {"drivers"},
	"configs":                         {},
	"firmware/phrase":                 {},
	"firmware/clock":                  {},
	"firmware/clock/source":           {"firmware/clock", "firmware/phrase"},
	"firmware/point":                  {"firmware/clock", "firmware/phrase"},
	"firmware/guard":                  {"firmware/clock", "firmware/phrase"},
	"firmware/guard/power":            {"firmware/clock", "firmware/phrase"},
	"firmware/guard/blackbox":         {"firmware/guard"},
	"firmware/guard/wear":             {"firmware/phrase"},
	"firmware/trust":                  {"firmware/clock", "firmware/phrase"},
	"firmware/trust/xmldsig":          {"firmware/trust", "firmware/phrase"},
	"firmware/sense/profile":          {"drivers", "firmware/point", "firmware/clock", "firmware/phrase"},
	"firmware/sense/line":             {"drivers", "firmware/sense/profile", "firmware/point", "firmware/clock", "firmware/phrase", "firmware/guard"},
	"firmware/sense/setpoint":         {"firmware/point", "firmware/clock", "firmware/phrase"},
	"firmware/sense/scan":             {"drivers", "firmware/sense/profile", "firmware/point", "firmware/phrase"},
	"firmware/decide/rule":            {"firmware/point", "firmware/clock", "firmware/phrase"},
	"firmware/decide/alarm":           {"firmware/decide/rule", "firmware/point", "firmware/clock", "firmware/phrase"},
	"firmware/decide/command":         {"firmware/trust", "firmware/clock", "firmware/phrase"},
	"firmware/decide/intake":          {"firmware/point", "firmware/clock", "firmware/phrase"},
	"firmware/decide/intake/flood":    {"firmware/decide/intake", "firmware/clock"},
	"firmware/decide/alert/book":      {"firmware/decide/alert", "firmware/trust", "firmware/point", "firmware/clock", "firmware/phrase"},
	"firmware/decide/alert/book/walk": {"firmware/decide/alert", "firmware/decide/alert/book", "firmware/trust", "firmware/trust/xmldsig", "firmware/point", "firmware/clock"},
	"firmware/decide/plan":            {"firmware/point", "firmware/phrase"},
	"firmware/decide/alert/compact":   {"firmware/decide/alert", "firmware/trust", "firmware/phrase"},
	"firmware/decide/beacon":          {"firmware/trust", "firmware/point", "firmware/clock", "firmware/phrase"},
	"firmware/decide/alert":           {"firmware/trust", "firmware/trust/xmldsig", "firmware/point", "firmware/clock", "firmware/phrase"},
	"firmware/sound/order":            {"firmware/point", "firmware/clock", "firmware/phrase"},
	"firmware/sound/g711":             {},
	"firmware/sound/deadman":          {},
	"firmware/sound/live":             {"drivers"},
	"firmware/sound/speech":           {"drivers", "firmware/point", "firmware/phrase"},
	"firmware/sound/output":           {"drivers", "firmware/sound/order", "firmware/sound/speech", "firmware/point", "firmware/clock", "firmware/phrase", "firmware/guard"},
	"firmware/sound/announce":         {"firmware/sound/order", "firmware/sound/output", "firmware/point", "firmware/clock", "firmware/phrase", "firmware/guard"},
	"firmware/keep/journal":           {"firmware/clock", "firmware/phrase", "firmware/guard"},
	"firmware/keep/history":           {"firmware/point", "firmware/clock", "firmware/phrase", "firmware/guard"},
	"firmware/keep/config":            {"firmware/trust", "firmware/point", "firmware/phrase"},
	"firmware/keep/bundle":            {},
	"firmware/keep/diary":             {},
	"firmware/keep/swap":              {"firmware/phrase"},
	"firmware/keep/commission":        {"firmware/point", "firmware/clock", "firmware/phrase"},
	"firmware/keep/config/edit":       {"firmware/keep/config", "firmware/phrase"},
	"firmware/keep/config/managed":    {"firmware/keep/config", "firmware/keep/config/edit", "firmware/keep/config/revision", "firmware/clock", "firmware/phrase"},
	"firmware/keep/config/revision":   {"firmware/clock", "firmware/phrase"},
	"firmware/reach/feed":             {"firmware/clock", "firmware/phrase"},
	"firmware/reach/inbox":            {"firmware/clock", "firmware/phrase"},
	"firmware/reach/network":          {"firmware/phrase"},
	"firmware/update":                 {"firmware/phrase"},
	"firmware/update/directory":       {"firmware/update", "firmware/clock", "firmware/phrase"},
	"firmware/update/slots":           {"firmware/update", "firmware/update/pack", "firmware/clock", "firmware/phrase"},
	"firmware/update/stick":           {},
	"firmware/update/board":           {"firmware/update", "firmware/update/pack", "firmware/update/slots", "firmware/clock", "firmware/phrase", "firmware/trust"},
	"firmware/update/pack":            {"firmware/update", "firmware/phrase", "firmware/trust"},
	"firmware/reach/mqtt":             {"firmware/phrase"},
	"firmware/reach/letter":           {"firmware/phrase"},
	"firmware/reach/fetch":            {},
	"firmware/reach/ntp":              {"firmware/phrase"},
	"firmware/reach/talk":             {"firmware/trust", "firmware/phrase"},
	"firmware/reach/wire":             {"firmware/phrase"},
	"firmware/reach/account":          {"firmware/reach/wire", "firmware/phrase"},
	"firmware/reach/courier":          {"firmware/keep/journal", "firmware/clock", "firmware/phrase", "firmware/guard"},
	"firmware/reach/courier/world":    {"firmware/reach/courier", "firmware/keep/journal", "firmware/clock"},
	"firmware/reach/narrow":           {"drivers", "firmware/reach/wire", "firmware/reach/courier", "firmware/clock", "firmware/phrase"},
	"firmware/reach/rollcall":         {"firmware/point", "firmware/phrase"},
	"firmware/reach/narrow/forge":     {"configs", "firmware/trust", "firmware/decide/alert", "firmware/decide/alert/compact", "firmware/reach/narrow", "firmware/reach/letter", "firmware/reach/wire", "firmware/phrase"},
	"firmware/reach/uplink":           {"firmware/reach/letter", "firmware/phrase"},
	"firmware/serve/secret":           {},
	"firmware/serve/access":           {"firmware/serve/secret", "firmware/clock", "firmware/phrase"},
	"firmware/serve/audit":            {"firmware/serve/secret", "firmware/clock", "firmware/phrase", "firmware/guard"},
	"firmware/serve/certificate":      {"firmware/serve/secret", "firmware/clock", "firmware/phrase"},
	"firmware/serve/api":              {"firmware/serve/access", "firmware/serve/audit", "firmware/point", "firmware/clock", "firmware/phrase", "firmware/guard"},
	"firmware/serve/page/ui":          {},
	"firmware/serve/page":             {"firmware/serve/access", "firmware/serve/api", "firmware/serve/hypertext", "firmware/serve/page/ui", "firmware/point", "firmware/clock", "firmware/phrase", "firmware/guard"},
	"firmware/serve/hypertext":        {},
	"firmware/serve/paper":            {"firmware/serve/hypertext", "firmware/phrase"},
	"firmware/serve/paper/pdf":        {"firmware/serve/paper", "firmware/phrase"},
	"firmware/serve/proxy":            {"drivers", "firmware/phrase", "firmware/guard"},
	"firmware/serve/api/apitest":      {"firmware/serve/access", "firmware/serve/audit", "firmware/serve/api", "firmware/point", "firmware/phrase"},
	"firmware/video":                  {"firmware/video/", "firmware/clock", "firmware/phrase", "firmware/guard"},
	"firmware/video/whep":             {"firmware/video/stream", "firmware/video/ladder", "firmware/phrase"},
	"firmware/video/ladder":           {"firmware/phrase"},
	"firmware/video/terms":            {"firmware/clock", "firmware/phrase"},
	"firmware/video/stream":           {},
	"firmware/video/source":           {"firmware/video/stream", "firmware/phrase"},
	"firmware/video/source/onvif":     {"firmware/phrase"},
	"firmware/video/source/rtsp":      {"firmware/video/source", "firmware/video/stream", "firmware/phrase"},
	"firmware/video/gb28181":          {"firmware/video/gb28181/mans", "firmware/video/gb28181/ps", "firmware/video/stream", "firmware/phrase"},
	"firmware/video/gb28181/mans":     {},
	"firmware/video/source/gb28181":   {"firmware/video/gb28181/mans", "firmware/video/gb28181/ps", "firmware/video/source", "firmware/video/stream", "firmware/phrase"},
	"firmware/video/gb28181/ps":       {"firmware/video/stream"},
	"firmware/video/recorder/shelf":   {"firmware/video/recorder"},
	"firmware/video/squeeze":          {"firmware/video", "firmware/video/stream", "firmware/video/terms", "firmware/video/whep", "firmware/clock", "firmware/guard"},
	"firmware/video/recorder/drill":   {"firmware/video/recorder", "firmware/video/stream", "firmware/clock", "firmware/guard"},
	"firmware/video/recorder":         {"firmware/video/stream", "firmware/video/terms", "firmware/clock", "firmware/phrase"},
	"firmware/video/source/srt":       {"firmware/video/source", "firmware/video/source/ts", "firmware/video/stream", "firmware/phrase"},
	"firmware/video/source/ts":        {"firmware/video/source", "firmware/video/stream", "firmware/phrase"},
	"firmware/video/source/rtmp":      {"firmware/video/source", "firmware/video/stream", "firmware/phrase"},
	"firmware/station":                {"firmware/", "drivers", "drivers/", "configs"},
	"cmd/edged-video":                 {"firmware/guard", "firmware/phrase", "firmware/video", "firmware/video/terms"},
	"cmd/edged":                       {"firmware/guard", "firmware/station", "firmware/serve/api", "firmware/keep/config", "firmware/phrase"},
	"cmd/edged-desk":                  {"firmware/serve/audit", "firmware/serve/paper/pdf", "firmware/trust", "firmware/trust/xmldsig", "firmware/decide/command", "firmware/guard", "firmware/station", "firmware/serve/api", "firmware/sound/speech", "firmware/keep/config", "firmware/keep/config/edit", "firmware/phrase", "firmware/point", "configs"},
	// The hub is of stations' rooms only where both must agree; never station, line, output.
	"cmd/hubd":            {"cmd/hubd/", "firmware/keep/config", "firmware/phrase", "firmware/clock", "firmware/guard", "firmware/trust", "firmware/reach/letter", "firmware/reach/narrow", "firmware/reach/wire", "firmware/video/whep"},
	"cmd/hubd/hubfile":    {"configs", "firmware/decide/alert", "firmware/decide/alert/compact", "firmware/keep/config", "firmware/phrase", "firmware/reach/letter", "firmware/reach/wire", "firmware/trust"},
	"cmd/hubd/engine":     {"cmd/hubd/hubfile", "firmware/phrase", "firmware/reach/letter"},
	"cmd/hubd/post":       {"cmd/hubd/engine", "cmd/hubd/hubfile", "firmware/phrase", "firmware/reach/letter"},
	"cmd/hubd/logbook":    {"cmd/hubd/hubfile", "firmware/decide/alert", "firmware/phrase", "firmware/reach/letter", "firmware/reach/wire", "firmware/trust", "firmware/trust/xmldsig"},
	"cmd/hubd/gateway":    {"cmd/hubd/hubfile", "cmd/hubd/logbook", "configs", "drivers", "drivers/beidou", "drivers/meshtastic", "drivers/modem", "drivers/sbd", "drivers/serial", "firmware/decide/alert/compact", "firmware/guard", "firmware/phrase", "firmware/reach/letter", "firmware/reach/narrow", "firmware/reach/wire"},
	"cmd/hubd/issue":      {"cmd/hubd/hubfile", "firmware/decide/alert", "firmware/decide/alert/compact", "firmware/decide/command", "firmware/phrase", "firmware/reach/letter", "firmware/reach/wire", "firmware/trust"},
	"cmd/hubd/console":    {"drivers", "firmware/clock", "firmware/guard", "firmware/serve/access", "firmware/serve/audit", "firmware/serve/page/ui", "cmd/hubd/gateway", "cmd/hubd/hubfile", "cmd/hubd/issue", "cmd/hubd/logbook", "cmd/hubd/post", "firmware/decide/alert", "firmware/decide/alert/compact", "firmware/trust/xmldsig", "firmware/phrase", "firmware/reach/letter", "firmware/reach/wire"},
	"cmd/hubd/pictures":   {"cmd/hubd/engine", "cmd/hubd/hubfile", "cmd/hubd/relay", "firmware/guard", "firmware/phrase", "firmware/reach/letter", "firmware/video/recorder", "firmware/video/recorder/shelf", "firmware/video/stream", "firmware/video/whep"},
	"cmd/hubd/relay":      {"firmware/phrase"},
	"cmd/hubd/releases":   {"firmware/update/pack", "firmware/reach/letter", "firmware/phrase"},
	"cmd/hubd/talk":       {"cmd/hubd/hubfile", "firmware/decide/command", "firmware/trust", "firmware/reach/talk", "firmware/reach/letter", "firmware/sound/g711", "firmware/sound/speech", "firmware/guard", "firmware/phrase"},
	"images":              {"images/bench"},
	"images/deb":          {},
	"images/init":         {"firmware/update", "firmware/update/slots", "firmware/update/pack", "firmware/trust"},
	"images/bench":        {"images/loader", "hwtest/ear", "hwtest/line", "hwtest/gauge", "firmware/update", "firmware/update/pack", "firmware/trust", "firmware/phrase"},
	"images/bench/broken": {},
	"images/bench/pry":    {},
	"images/loader":       {},
	"images/build":        {"images/loader", "firmware/update", "firmware/update/pack", "firmware/update/slots", "firmware/trust", "firmware/phrase"},
	"cmd/makeclips":       {"firmware/sound/speech"},
	"cmd/village":         {"hwtest/"},
	"cmd/accept":          {"hwtest/acceptance"},
	// The figures sign as a county's desk does, and run the queue's flood, the book's
	// walks and the reader of alerts, which are the firmware's own, and try its ways in.
	"cmd/figures":       {"hwtest/", "images/bench", "configs", "firmware/trust", "firmware/trust/xmldsig", "firmware/decide/alert", "firmware/decide/alert/book/walk", "firmware/decide/alert/compact", "firmware/decide/intake", "firmware/decide/intake/flood", "firmware/reach/wire", "firmware/reach/narrow/forge", "firmware/reach/letter", "firmware/reach/courier", "firmware/reach/courier/world", "firmware/clock", "firmware/video/recorder/drill", "firmware/video/squeeze", "firmware/serve/api", "firmware/serve/api/apitest", "firmware/serve/page"},
	"hwtest/line":       {},
	"hwtest/gauge":      {"hwtest/"},
	"hwtest/flight":     {},
	"hwtest/ear":        {},
	"hwtest/built":      {},
	"hwtest/acceptance": {},
	"hwtest/release":    {},
	"hwtest/storm":      {"hwtest/"},
	"hwtest/powercut":   {},
	"hwtest/nmea":       {},
	"hwtest/sdi12":      {},
	"hwtest/capgen":     {},
	"hwtest/days":       {},
	"hwtest/port":       {},
	"hwtest/beidou":     {},
	"hwtest/mesh":       {},
	"hwtest/sbd":        {},
	"hwtest/cell":       {},
	"hwtest/broker":     {},
	"hwtest/camera":     {},
	"hwtest/impair":     {},
	"hwtest/relay":      {},
	"hwtest/timeserver": {},
	"hwtest/platform":   {},
	"hwtest/chromium":   {},
}

func allowed(from, to string) bool {
	for _, a := range arrows[from] {
		if a == to || strings.HasSuffix(a, "/") && strings.HasPrefix(to, a) {
			return true
		}
	}
	return false
}

// eachFile visits every Go file of the repository.
func eachFile(t *testing.T, mode parser.Mode, visit func(dir, path string, f *ast.File, fset *token.FileSet)) {
	t.Helper()
	root := "../.."
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); strings.HasPrefix(n, ".") && p != root || n == "out" || n == "testdata" || n == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, mode)
		if err != nil {
			return err
		}
		dir, _ := filepath.Rel(root, filepath.Dir(p))
		visit(filepath.ToSlash(dir), p, f, fset)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryImportFollowsTheArrows(t *testing.T) {
	seen := map[string]bool{}
	eachFile(t, parser.ImportsOnly, func(dir, path string, f *ast.File, _ *token.FileSet) {
		seen[dir] = true
		if _, ok := arrows[dir]; !ok {
			t.Errorf("%s: the room %s is not in the table", path, dir)
		}
		for _, im := range f.Imports {
			to, _ := strconv.Unquote(im.Path.Value)
			to, ours := strings.CutPrefix(to, "tocsin/")
			if !ours || to == dir {
				continue
			}
			// A test may use the bench and the drivers' conformance; nothing
			// that runs in a box may.
			if strings.HasSuffix(path, "_test.go") && (strings.HasPrefix(to, "hwtest") || to == "drivers/drivertest" || to == "firmware/serve/api/apitest" || strings.HasPrefix(dir, "drivers/") && to == "drivers/serial" || dir == "firmware/reach/narrow" && (strings.HasPrefix(to, "drivers/") || to == "firmware/keep/journal") || dir == "firmware/decide/alert/compact" && (to == "firmware/decide/alert/book" || to == "firmware/clock") || dir == "firmware/serve/page" && to == "firmware/serve/certificate" || dir == "firmware/update/slots" && to == "firmware/trust" || dir == "images/init" && (to == "firmware/reach/network" || to == "firmware/clock" || to == "firmware/phrase" || strings.HasPrefix(to, "firmware/update/")) || dir == "configs" || to == "configs" || to == "firmware/guard" || to == "drivers" || strings.HasPrefix(dir, "cmd/hubd") && to == "firmware/clock" || dir == "cmd/hubd/pictures" && to == "firmware/serve/page/ui" || dir == "cmd/hubd/releases" && (to == "firmware/update" || to == "firmware/trust") || dir == "cmd/hubd" && (to == "firmware/reach/uplink" || strings.HasPrefix(to, "firmware/update") || to == "firmware/video" || to == "firmware/video/terms" || strings.HasPrefix(to, "firmware/trust"))) && !strings.HasPrefix(dir, "hwtest") {
				continue
			}
			if !allowed(dir, to) {
				t.Errorf("%s: %s may not import %s", path, dir, to)
			}
		}
	})
	for room := range arrows {
		if !seen[room] {
			t.Errorf("the table has %s, which is not there", room)
		}
	}
}

// TestOnlyTheirOwnersNameThePackagesThatTheUserFixed holds tarm/serial,
// goburrow and periph behind one room each (T11, G12 of the domain note).
func TestOnlyTheirOwnersNameThePackagesThatTheUserFixed(t *testing.T) {
	owner := map[string]string{
		"github.com/tarm/serial":     "drivers/serial",
		"github.com/goburrow/modbus": "drivers/modbus",
		"github.com/goburrow/serial": "",
		"periph.io/x/devices":        "drivers/i2c",
		"periph.io/x/conn/v3/i2c":    "drivers/i2c",
		"periph.io/x/conn/v3/gpio":   "drivers/gpio",
		"periph.io/x/host":           "drivers/gpio",
	}
	eachFile(t, parser.ImportsOnly, func(dir, path string, f *ast.File, _ *token.FileSet) {
		for _, im := range f.Imports {
			to, _ := strconv.Unquote(im.Path.Value)
			for pkg, room := range owner {
				// The figures run the peers' own handlers beside the box, to
				// compare.
				if path == "../../cmd/figures/peers.go" {
					continue
				}
				if strings.HasPrefix(to, pkg) && dir != room {
					t.Errorf("%s imports %s, which belongs to %s", path, to, room)
				}
			}
			if to == "C" {
				t.Errorf("%s uses cgo", path)
			}
		}
	})
}

// TestTheBoxCarriesNoMediaAndNoDesk holds what reads pictures from strangers, draws PDFs and
// reads technicians' command lines to programs of their own: none of it is linked into the
// one that warns. Nor is what calls methods by name (kong, text/template), for which the
// linker keeps every exported method there is: 2.5 MiB.
func TestTheBoxCarriesNoMediaAndNoDesk(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "tocsin/cmd/edged").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "tocsin/firmware/station") {
		t.Fatalf("%d packages, and not the box's own", len(deps))
	}
	for _, d := range deps {
		for _, other := range []string{"github.com/pion/", "github.com/bluenviron/", "github.com/datarhei/", "github.com/emiago/", "tocsin/firmware/video/stream", "tocsin/firmware/video/source", "github.com/go-pdf/", "golang.org/x/image/", "github.com/alecthomas/kong"} {
			if strings.HasPrefix(d, other) || d == "tocsin/firmware/video" || d == "text/template" || d == "html/template" {
				t.Errorf("edged carries %s", d)
			}
		}
	}
}

// TestGoroutinesAreStartedOnlyByTheGuard finds bare go statements.
func TestGoroutinesAreStartedOnlyByTheGuard(t *testing.T) {
	eachFile(t, 0, func(dir, path string, f *ast.File, fset *token.FileSet) {
		if dir == "firmware/guard" || strings.HasSuffix(path, "_test.go") || !strings.HasPrefix(dir, "firmware") && !strings.HasPrefix(dir, "drivers/") || dir == "drivers/drivertest" {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s: a bare go statement; use guard.Go, or Opts.Start in a driver", fset.Position(g.Pos()))
			}
			return true
		})
	})
}

// TestNothingRegistersItself finds init functions.
func TestNothingRegistersItself(t *testing.T) {
	eachFile(t, 0, func(dir, path string, f *ast.File, fset *token.FileSet) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init()", fset.Position(fn.Pos()))
			}
		}
	})
}

// TestOnlyTheOutputRoomHoldsOutputs finds who names the capabilities that make
// noise. sense/line makes them (a coil is written through its line's owner) and
// station hands them over; neither may call Set or Open on one.
func TestOnlyTheOutputRoomHoldsOutputs(t *testing.T) {
	may := []string{"firmware/sound/output", "firmware/station", "firmware/sense/line"}
	eachFile(t, 0, func(dir, path string, f *ast.File, fset *token.FileSet) {
		if !strings.HasPrefix(dir, "firmware/") || slices.Contains(may, dir) || strings.HasSuffix(path, "_test.go") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "drivers" && slices.Contains([]string{"Output", "Timed", "Player", "Stream"}, s.Sel.Name) {
					t.Errorf("%s: %s names drivers.%s; only sound/output may", fset.Position(s.Pos()), dir, s.Sel.Name)
				}
			}
			return true
		})
	})
}
