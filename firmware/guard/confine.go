package guard

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrUnconfined says that this kernel cannot confine a process (Landlock, Linux 5.13), or
// that this program is built so that it cannot be done for all its threads.
var ErrUnconfined = errors.New("this kernel does not confine processes")

// What may be done with files: read them and run them; and all that there is to writing.
const (
	confineRead  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	confineWrite = confineRead | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG
	confineAll = confineWrite | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
		unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	confineFile = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
)

// Confine takes from this process, and from all that it starts, every file but those
// below read (to read and run) and write, for good: landlock(7). What is not there is
// passed over. What is open already stays open. Hard links and renames between folders
// need the second version of Landlock and go on below write where the kernel has it.
func Confine(read, write []string) error {
	abi, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return fmt.Errorf("%w: %w", ErrUnconfined, e)
	}
	all, writing := uint64(confineAll), uint64(confineWrite)
	if abi >= 2 {
		all |= unix.LANDLOCK_ACCESS_FS_REFER
		writing |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		all |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
		writing |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	handled := all // the first field of landlock_ruleset_attr; kernels take it alone
	fd, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&handled)), unsafe.Sizeof(handled), 0)
	if e != 0 {
		return fmt.Errorf("%w: %w", ErrUnconfined, e)
	}
	defer unix.Close(int(fd))
	allow := func(path string, access uint64) error {
		f, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil // it is not there
		}
		defer unix.Close(f)
		if st, err := os.Stat(path); err == nil && !st.IsDir() {
			access &= confineFile | unix.LANDLOCK_ACCESS_FS_TRUNCATE&all
		}
		// The structure is packed: 64 bits, then 32.
		var rule [12]byte
		*(*uint64)(unsafe.Pointer(&rule[0])) = access
		*(*int32)(unsafe.Pointer(&rule[8])) = int32(f)
		if _, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, fd, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule[0])), 0, 0, 0); e != 0 {
			return fmt.Errorf("landlock %s: %w", path, e)
		}
		return nil
	}
	for _, p := range read {
		if err := allow(p, confineRead); err != nil {
			return err
		}
	}
	for _, p := range write {
		if err := allow(p, writing); err != nil {
			return err
		}
	}
	if _, _, e := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
		return fmt.Errorf("%w: %w", ErrUnconfined, e)
	}
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); e != 0 {
		return fmt.Errorf("%w: %w", ErrUnconfined, e)
	}
	return nil
}
