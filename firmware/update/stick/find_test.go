package stick

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestOnlyWhatIsOnUSBIsAStick(t *testing.T) {
	root := t.TempDir()
	put := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, real := range map[string]string{"sda": "devices/pci/usb1/1-1/block/sda", "sdb": "devices/pci/ata1/block/sdb", "sdc": "devices/usb2/2-1/block/sdc"} {
		put(filepath.Join(real, "size"), "8192\n")
		put(filepath.Join(real, "diskseq"), "7\n")
		if err := os.MkdirAll(filepath.Join(root, "block"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(root, real), filepath.Join(root, "block", name)); err != nil {
			t.Fatal(err)
		}
	}
	put("devices/pci/usb1/1-1/block/sda/sda1/size", "4096\n")
	put("devices/pci/usb1/1-1/block/sda/sda2/size", "nonsense\n")
	got := fmt.Sprint(Find(filepath.Join(root, "block"), "/dev"))
	if want := "[{/dev/sda1 2097152 sda1/7} {/dev/sdc 4194304 sdc/7}]"; got != want {
		t.Fatal(got, want)
	}
	if got := Find(filepath.Join(root, "nowhere"), "/dev"); got != nil {
		t.Fatal(got)
	}
}
