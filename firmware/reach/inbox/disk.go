package inbox

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/phrase"
)

// mark is what tells one state of a file from another.
type mark struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // ns
	mode         uint32
}

func markOf(st *unix.Stat_t) mark {
	return mark{uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano(), st.Mode}
}

func (m mark) regular() bool { return m.mode&unix.S_IFMT == unix.S_IFREG }

// same compares all but ctime, which a rename changes.
func (m mark) same(n mark) bool {
	m.ctime = n.ctime
	return m == n
}

// renamed tells whether the last thing that was done to the file was not a
// write: a write sets both times to the same instant; a rename, or setting the
// times after a copy, leaves ctime later.
func (m mark) renamed() bool { return m.ctime-m.mtime >= int64(time.Millisecond) }

// folder is an open directory.
type folder struct {
	fd    int
	touch func()
}

func openFolder(path string, touch func()) (*folder, error) {
	touch()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &folder{fd, touch}, nil
}

// sub opens a directory within, and makes it where it is missing.
func (f *folder) sub(name string) (*folder, error) {
	f.touch()
	if err := unix.Mkdirat(f.fd, name, 0o750); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, err
	}
	fd, err := unix.Openat(f.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &folder{fd, f.touch}, nil
}

func (f *folder) close() { unix.Close(f.fd) }

// names gives those that want likes, at most most of them out of at most all
// names; over says that there were more.
func (f *folder) names(want func(string) bool, most, all int) (got []string, over bool, err error) {
	f.touch()
	fd, err := unix.Openat(f.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false, err
	}
	d := os.NewFile(uintptr(fd), ".")
	defer d.Close()
	for n := 0; ; {
		f.touch()
		some, err := d.Readdirnames(512)
		for _, name := range some {
			if n++; n > all {
				return got, true, nil
			}
			if want(name) {
				if len(got) == most {
					return got, true, nil
				}
				got = append(got, name)
			}
		}
		if err == io.EOF {
			return got, false, nil
		}
		if err != nil {
			return got, false, err
		}
	}
}

// stat looks at a name without following it.
func (f *folder) stat(name string) (mark, error) {
	f.touch()
	var st unix.Stat_t
	if err := unix.Fstatat(f.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return mark{}, err
	}
	return markOf(&st), nil
}

// errMoving: the file is not what it was an instant ago.
var errMoving = errors.New("the file is changing")

// read gives the bytes of a plain file that is in the state m, before and after.
func (f *folder) read(name string, m mark) ([]byte, error) {
	f.touch()
	fd, err := unix.Openat(f.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	check := func() error {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if now := markOf(&st); now != m || !now.regular() {
			return errMoving
		}
		return nil
	}
	if err := check(); err != nil {
		return nil, err
	}
	b := make([]byte, m.size+1)
	n := 0
	for n < len(b) {
		f.touch()
		k, err := unix.Read(fd, b[n:min(len(b), n+64<<10)])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if k == 0 {
			break
		}
		n += k
	}
	if err := check(); err != nil {
		return nil, err
	}
	if int64(n) != m.size {
		return nil, errMoving
	}
	return b[:n], nil
}

// write makes a new small file; one that is there is left alone.
func (f *folder) write(name string, b []byte) error {
	f.touch()
	fd, err := unix.Openat(f.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o640)
	if err != nil {
		return err
	}
	w := os.NewFile(uintptr(fd), name)
	_, err = w.Write(b)
	if err = errors.Join(err, w.Close()); err != nil {
		unix.Unlinkat(f.fd, name, 0)
	}
	return err
}

// move renames without ever replacing, and makes sure that it was the file that
// was judged: another may have been put in its place meanwhile, and goes back.
func (f *folder) move(name string, to *folder, as string, m mark) error {
	f.touch()
	err := unix.Renameat2(f.fd, name, to.fd, as, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		// A file system without that flag: a second name never replaces either.
		if err = unix.Linkat(f.fd, name, to.fd, as, 0); err == nil {
			if now, err := to.stat(as); err != nil || !now.same(m) {
				unix.Unlinkat(to.fd, as, 0) // only the second name
				return errMoving
			}
			return unix.Unlinkat(f.fd, name, 0)
		}
	}
	if err != nil {
		return err
	}
	if now, err := to.stat(as); err == nil && !now.same(m) {
		if err := unix.Renameat2(to.fd, as, f.fd, name, unix.RENAME_NOREPLACE); err != nil {
			return err
		}
		return errMoving
	}
	return nil
}

func (f *folder) remove(name string) error {
	f.touch()
	return unix.Unlinkat(f.fd, name, 0)
}

// gone tells whether an error only says that a place or file is not there.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENOMEDIUM)
}

// said puts a disk's error into a person's words.
func said(err error) phrase.Message {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return phrase.M("inbox.full")
	case errors.Is(err, unix.EROFS):
		return phrase.M("inbox.read_only")
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return phrase.M("inbox.no_right")
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		return phrase.M("inbox.not_folder")
	case errors.Is(err, unix.EIO):
		return phrase.M("inbox.io")
	}
	return phrase.M("inbox.disk", "err", err.Error())
}
