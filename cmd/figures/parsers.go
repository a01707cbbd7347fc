package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	goprinter "go/printer"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// parserRooms are where what comes from outside is read on the way to a value.
var parserRooms = []string{
	"drivers", "drivers/serial", "drivers/modbus", "drivers/text", "drivers/nmea", "drivers/sdi12", "drivers/gpio", "drivers/i2c", "drivers/onewire",
	"drivers/pulse", "drivers/audio", "drivers/beidou", "drivers/meshtastic", "drivers/sbd", "drivers/modem", "firmware/sense/profile", "firmware/sense/line", "firmware/sense/scan", "firmware/sense/setpoint",
	"firmware/serve/proxy", "firmware/keep/config", "firmware/keep/history",
	"firmware/reach/wire", "firmware/reach/account", "firmware/reach/narrow", "firmware/reach/letter", "firmware/reach/talk", "firmware/reach/uplink", "cmd/hubd/hubfile",
}

// videoRooms are where pictures, and who sends or asks for them, are read.
var videoRooms = []string{
	"firmware/video/source/rtmp", "firmware/video/source/rtsp", "firmware/video/source/srt", "firmware/video/source/ts", "firmware/video/source/gb28181", "firmware/video/source/onvif",
	"firmware/video/gb28181", "firmware/video/gb28181/ps", "firmware/video/gb28181/mans", "firmware/video/stream", "firmware/video/whep", "firmware/video/recorder", "firmware/video/recorder/shelf",
	"firmware/video/ladder", "firmware/video", "cmd/hubd/pictures",
}

// bytesOf are the types by which bytes come in; lines count at exported doors.
var (
	bytesOf = []string{"[]byte", "[][]byte", "io.Reader", "*bufio.Reader", "net.Conn", "drivers.Chunk", "drivers.Answer", "[]drivers.Sample", "[]uint16"}
	linesOf = []string{"string", "[]string"}
)

// noParser are the functions that take bytes or lines and parse nothing from
// outside, each with why. A new function is a parser until it is named here.
var noParser = map[string]string{
	"drivers.(*Reopener).Name":              "a word for a log",
	"drivers.ParseTable":                    "one of four words, of a profile that Parse has bounded",
	"drivers/serial.(*ear).Read":            "moves bytes",
	"drivers/serial.(*Port).Write":          "what we send",
	"drivers/serial.(*Port).write":          "what we send",
	"drivers/serial.(*Port).deliver":        "moves bytes",
	"drivers/serial.Open":                   "a path of the site",
	"drivers/serial.Holders":                "a path of the site; /proc is the kernel's",
	"drivers/serial.CharBits":               "a format that the site's proof has held to its shape",
	"drivers/modbus.(*Line).Send":           "what we send",
	"drivers/modbus.(*Line).raw":            "what we send",
	"drivers/modbus.(*Line).who":            "what we send",
	"drivers/modbus.(*rtu).send":            "what we send",
	"drivers/modbus.(*rtu).probe":           "what we send",
	"drivers/modbus.(*rtu).exchange":        "what we send; what comes goes through hear and take",
	"drivers/modbus.(*tcp).send":            "what we send",
	"drivers/modbus.(*tcp).probe":           "what we send; what comes goes through lookout.heard",
	"drivers/modbus.(*tcp).exchange":        "what we send; what comes goes through readFrame and shape.pdu",
	"drivers/modbus.(*tcp).rest":            "reads a bounded number of bytes for lookout.heard",
	"drivers/modbus.(*stream).deliver":      "moves bytes",
	"drivers/modbus.(*stream).Write":        "what we send",
	"drivers/modbus.(*ledger).sending":      "what we send",
	"drivers/modbus.(*ledger).owed":         "what we send",
	"drivers/modbus.(*Line).WriteRegisters": "what we send",
	"drivers/modbus.(*watch).tcp":           "shows what was parsed",
	"drivers/modbus.(*watch).stray":         "shows bytes as they are",
	"drivers/modbus.contextDeadline":        "sets a deadline",
	"drivers/modbus.DialStream":             "an address of the site",
	"drivers/modbus.NewTCP":                 "an address of the site",
	"drivers/gpio.OpenInput":                "a pin of the site",
	"drivers/gpio.OpenOutput":               "a pin of the site",
	"drivers/i2c.Open":                      "a path of the site",
	"drivers/i2c.(*Bus).Tx":                 "moves bytes",
	"drivers/i2c.(*guarded).Tx":             "moves bytes and compares two readings",
	"drivers/i2c.New":                       "a chip's word, of a profile",
	"drivers/onewire.New":                   "a path of the site",
	"drivers/pulse.(*Board).Contact":        "a pin of the site",
	"drivers/modem.parts":                   "what we send",
	"drivers/sbd.(*Device).try":             "what we send",
	"drivers/sbd.(*Device).deliver":         "hands on what message checked",
	"drivers/audio.(*FileStream).put":       "what we sound",
	"drivers/audio.long":                    "a part of a structure that the kernel gave",
	"firmware/sense/profile.Load":           "reads the file that Parse parses",
	"firmware/sense/line.(*Line).Output":    "looks ids up",
	"firmware/sense/line.(*Line).Sense":     "looks ids up",
	"firmware/sense/line.(*Line).Set":       "looks ids up; a value is held by Setting.Encode",
	"firmware/sense/line.(*Line).decoded":   "hands the bytes to Profile.Decode",
	"firmware/sense/line.(*Polled).decoded": "hands the samples to Profile.DecodeSamples",
	"firmware/sense/scan.Settings":          "rates and formats, which the API has bounded",
	"firmware/sense/scan.Skeleton":          "a name that Draft and Parse hold to its shape",
	"firmware/serve/proxy.(*Proxy).admit":   "counts connections",
	"firmware/serve/proxy.(*Proxy).leave":   "counts connections",
	"firmware/serve/proxy.(*Proxy).client":  "reads by readRequest, answers by answer",
	"firmware/keep/config.Load":             "reads the file that Parse parses",
	"firmware/keep/config.Read":             "reads the file that ParseTree parses",

	"drivers.NewHandover":                         "words of the driver's own",
	"cmd/hubd/hubfile.(over).Open":                "a path of the hub's file",
	"firmware/reach/letter.OfClass":               "what we ask for",
	"firmware/reach/wire.SealDatagram":            "what we send",
	"firmware/reach/wire.NewSplit":                "what we send",
	"firmware/reach/wire.AboutAlert":              "a digest",
	"firmware/reach/letter.Sum":                   "a digest",
	"firmware/reach/letter.(Station).Receipts":    "what we send",
	"firmware/reach/uplink.(*Datagrams).read":     "moves bytes to Key.Open, which reach/letter fuzzes",
	"firmware/reach/uplink.(*Datagrams).Send":     "what we send",
	"firmware/reach/uplink.(*NATS).answerTalker":  "what we send",
	"firmware/reach/uplink.(dialer).Dial":         "an address of the site",
	"firmware/reach/uplink.(*NATS).Send":          "what we send",
	"firmware/reach/uplink.(*NATS).Ask":           "what we send; what comes goes through readReceipt",
	"cmd/hubd/hubfile.Load":                       "reads the file that Parse parses",
	"firmware/reach/letter.(Station).Also":        "what we send",
	"firmware/reach/account.TextOf":               "what we send",
	"firmware/reach/account.(*Receipts).Stage":    "looks a name up",
	"firmware/reach/account.(*Telemetry).Arrived": "looks a name up",

	"firmware/video.(*Relay).Push":                      "looks a name up; the answer goes where whep.FuzzOffer's offers go",
	"firmware/video.(*Relay).Stop":                      "looks a name up",
	"firmware/video/gb28181.(*attachment).fromPlatform": "hands the bytes on, or drops them, by the sender's address",
	"firmware/video/ladder.(*Span).UnmarshalText":       "is called by the YAML of ParseRules",
	"firmware/video/ladder.(*Rate).UnmarshalText":       "is called by the YAML of ParseRules",
	"firmware/video/recorder.(*Film).Read":              "moves bytes",
	"firmware/video/recorder.(*paced).Read":             "moves bytes",
	"firmware/video/recorder.(*Recorder).Play":          "looks a run up",
	"firmware/video/recorder.(*Recorder).PlayClip":      "looks a name up",
	"firmware/video/recorder.Mend":                      "a path of the box; files are read by scan",
	"firmware/video.(records).List":                     "looks records up",
	"firmware/video.(records).Open":                     "looks a record up",
	"firmware/video/whep.(with).NewInterceptor":         "pion's own word for a connection",
	"firmware/video.Search":                             "the question is ours, and bounded; what cameras answer is read by source/onvif",
	"firmware/video.(*county).Put":                      "what we send",
	"firmware/video/recorder/shelf.(*Shelf).Of":         "looks names up",
	"firmware/video/recorder/shelf.(*Shelf).Film":       "looks names up; the film is read by recorder's FuzzOpenClip",
	"firmware/video/recorder/shelf.(*Shelf).File":       "looks names up",
	"firmware/video/source/gb28181.(*Server).permitted": "hands the bytes on, or drops them, by the sender's address",
	"firmware/video/source/gb28181.(*intake).packet":    "hands the bytes to ps.Receiver, which gb28181/ps fuzzes",
	"firmware/video/source/onvif.(*Camera).StreamURL":   "what we ask for",
	"firmware/video/source/onvif.(*Camera).SnapshotURL": "what we ask for",
	"firmware/video/source/onvif.(*Camera).AskKey":      "what we ask for",
	"firmware/video/source/onvif.(*Camera).Snapshot":    "an address that the camera's answer was held to; the picture is read by fit, of firmware/video",
	"firmware/video/source/rtsp.(*counted).Read":        "looks at the first four bytes and moves them",
	"firmware/video/whep.Answer":                        "what we answer",
	"firmware/video/whep.(*Server).End":                 "looks a name up",
	"firmware/video/whep.(*Server).Session":             "looks a name up",
	"firmware/video/whep.(*Session).SendStill":          "what we send",
	"firmware/video/whep.(*socket).ReadFromAddrPort":    "moves bytes",
	"firmware/video/whep.(*socket).WriteToAddrPort":     "what we send",
	"firmware/video/whep.media":                         "what we send",
	"firmware/video/whep.(quiet).NewLogger":             "words for a log",
	"firmware/video/whep.(quiet).Trace":                 "words for a log",
	"firmware/video/whep.(quiet).Tracef":                "words for a log",
	"firmware/video/whep.(quiet).Debug":                 "words for a log",
	"firmware/video/whep.(quiet).Debugf":                "words for a log",
	"firmware/video/whep.(quiet).Info":                  "words for a log",
	"firmware/video/whep.(quiet).Infof":                 "words for a log",
	"firmware/video/whep.(quiet).Warnf":                 "words for a log",
	"cmd/hubd/pictures.(WebRTC).View":                   "hands the offer to whep.View, which video/whep fuzzes",
	"cmd/hubd/pictures.(*Pictures).Told":                "hands the bytes to letter.ParseCatalogue, which reach/letter fuzzes",
}

// fuzzTarget is one fuzz target of a room.
type fuzzTarget struct{ room, name string }

// parsersIn reads rooms' source: every function that takes bytes or lines,
// and every fuzz target. bare are the parsers that no target of their room
// reaches, over the calls by name from its body on; stale the entries of noParser
// that name nothing, or that a target reaches after all.
func parsersIn(root string, rooms []string) (targets []fuzzTarget, bare, stale []string, err error) {
	seen := map[string]bool{}
	for _, room := range rooms {
		r, err := readRoom(filepath.Join(root, room))
		if err != nil {
			return nil, nil, nil, fmt.Errorf("%s: %w", room, err)
		}
		reached := r.reached()
		for _, name := range slices.Sorted(maps.Keys(r.targets)) {
			targets = append(targets, fuzzTarget{room, name})
		}
		for _, f := range r.parsers {
			id := room + "." + f.id
			seen[id] = true
			_, excused := noParser[id]
			switch {
			case !excused && !reached[f.name]:
				bare = append(bare, id)
			case excused && f.name != "New" && reached[f.name] && len(r.byName[f.name]) == 1:
				stale = append(stale, id+" (a target reaches it)")
			}
		}
	}
	for id := range noParser {
		if room := id[:strings.LastIndex(id, "/")+1+strings.IndexByte(id[strings.LastIndex(id, "/")+1:], '.')]; slices.Contains(rooms, room) && !seen[id] {
			stale = append(stale, id+" (there is none)")
		}
	}
	slices.Sort(stale)
	return targets, bare, stale, nil
}

// roomSource is what is known of one room's functions.
type roomSource struct {
	parsers []struct{ id, name string }
	byName  map[string][]map[string]bool // the names that the functions of a name call
	targets map[string]map[string]bool
}

func readRoom(dir string) (*roomSource, error) {
	r := &roomSource{byName: map[string][]map[string]bool{}, targets: map[string]map[string]bool{}}
	set := token.NewFileSet()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		f, err := parser.ParseFile(set, filepath.Join(dir, e.Name()), nil, 0)
		if err != nil {
			return nil, err
		}
		test := strings.HasSuffix(e.Name(), "_test.go")
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			name, calls := fn.Name.Name, called(fn.Body)
			if test && strings.HasPrefix(name, "Fuzz") && fn.Recv == nil {
				r.targets[name] = calls
				continue
			}
			r.byName[name] = append(r.byName[name], calls)
			if !test && takes(set, fn) {
				r.parsers = append(r.parsers, struct{ id, name string }{ident(set, fn), name})
			}
		}
	}
	return r, nil
}

// called gives the names of what is called, or handed on, in a body.
func called(b *ast.BlockStmt) map[string]bool {
	out := map[string]bool{}
	ast.Inspect(b, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			for _, x := range append([]ast.Expr{n.Fun}, n.Args...) {
				switch x := x.(type) {
				case *ast.Ident:
					out[x.Name] = true
				case *ast.SelectorExpr:
					out[x.Sel.Name] = true
				}
			}
		}
		return true
	})
	return out
}

// takes tells whether a function takes bytes, or lines at an exported door.
func takes(set *token.FileSet, fn *ast.FuncDecl) bool {
	for _, p := range fn.Type.Params.List {
		t := spelled(set, p.Type)
		if slices.Contains(bytesOf, t) || fn.Name.IsExported() && slices.Contains(linesOf, t) {
			return true
		}
	}
	return false
}

func ident(set *token.FileSet, fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	return "(" + spelled(set, fn.Recv.List[0].Type) + ")." + fn.Name.Name
}

func spelled(set *token.FileSet, n ast.Node) string {
	var b strings.Builder
	if goprinter.Fprint(&b, set, n) != nil {
		return ""
	}
	return b.String()
}

// reached follows the calls from the room's fuzz targets.
func (r *roomSource) reached() map[string]bool {
	out := map[string]bool{}
	var todo []string
	for _, calls := range r.targets {
		todo = append(todo, slices.Collect(maps.Keys(calls))...)
	}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if out[name] {
			continue
		}
		out[name] = true
		for _, calls := range r.byName[name] {
			todo = append(todo, slices.Collect(maps.Keys(calls))...)
		}
	}
	return out
}

// withoutCorpus gives the targets that keep no corpus in the tree.
func withoutCorpus(root string, targets []fuzzTarget) (out []string) {
	for _, t := range targets {
		kept, _ := fs.Glob(os.DirFS(root), t.room+"/testdata/fuzz/"+t.name+"/*")
		if len(kept) == 0 {
			out = append(out, t.room+"."+t.name)
		}
	}
	return out
}
