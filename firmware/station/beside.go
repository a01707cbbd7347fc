package station

import (
	"os"
	"path/filepath"

	"tocsin/firmware/phrase"
	"tocsin/firmware/video/terms"
)

// DeskProgram is what of the box the warning does not need, as a program beside edged: the
// technician's commands, PDFs, dry runs.
const DeskProgram = "edged-desk"

// Beside finds a program of the same release beside this one: an update replaces all. A
// missing one is told with the mend; nothing that warns ever asks for one.
func Beside(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return lies(filepath.Join(filepath.Dir(self), name))
}

func lies(at string) (string, error) {
	if st, err := os.Stat(at); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
		return at, nil
	}
	if filepath.Base(at) == terms.Program {
		return "", phrase.E("station.video_program", "file", at)
	}
	return "", phrase.E("station.program", "file", at, "name", filepath.Base(at))
}
