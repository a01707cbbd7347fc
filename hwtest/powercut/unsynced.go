package powercut

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Unsynced keeps writing to a file in dir that nobody syncs and has the kernel send it to the disk, so that
// a cut finds writes that no flush has covered. It ends with stop, which may be nil, or when the disk is gone.
func Unsynced(dir string, stop <-chan struct{}) {
	f, err := os.Create(filepath.Join(dir, "unsynced"))
	if err != nil {
		return
	}
	defer f.Close()
	const most, chunk = 2 << 20, 8 << 10
	for b := make([]byte, chunk); ; time.Sleep(time.Duration(1+rand.IntN(6)) * time.Millisecond) {
		select {
		case <-stop:
			return
		default:
		}
		b[rand.IntN(chunk)]++
		at := rand.Int64N(most/chunk) * chunk
		if _, err := f.WriteAt(b, at); err != nil {
			return
		}
		if unix.SyncFileRange(int(f.Fd()), at, chunk, unix.SYNC_FILE_RANGE_WRITE) != nil {
			return
		}
	}
}
