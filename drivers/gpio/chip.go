package gpio

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"

	"tocsin/drivers"
)

// request takes a line of this board: by the name that the kernel has for it
// ("GPIO17"), or by chip and number ("gpiochip0/17").
func request(name string, dir gpioioctl.LineDir, edge gpio.Edge, pull gpio.Pull) (line, error) {
	if chips, _ := filepath.Glob("/dev/gpiochip*"); len(chips) == 0 {
		return nil, fmt.Errorf("gpio %s: %w: there is no /dev/gpiochip*", name, drivers.ErrAbsent)
	} else if err := readable(chips); err != nil {
		return nil, fmt.Errorf("gpio %s: %w", name, err)
	}
	if _, err := load(); err != nil {
		return nil, fmt.Errorf("gpio %s: %w", name, err)
	}
	for _, c := range gpioioctl.Chips {
		l := pick(c, name)
		if l == nil {
			continue
		}
		// A LineSet is asked for by name, the first line of which it takes.
		if c.ByName(l.Name()) != l || l.Name() == "" {
			return nil, fmt.Errorf("gpio %s: the kernel has no name of its own for this line: name it in the device tree (gpio-line-names)", name)
		}
		set, err := c.LineSet(dir, edge, pull, l.Name())
		if err != nil {
			if used := l.Consumer(); used != "" {
				return nil, fmt.Errorf("gpio %s: in use by %s: %w", name, used, err)
			}
			return nil, fmt.Errorf("gpio %s: %w", name, err)
		}
		return &requested{set, name}, nil
	}
	return nil, fmt.Errorf("gpio %s: %w: no chip has this line (write GPIO17, or gpiochip0/17)", name, drivers.ErrAbsent)
}

// load registers the board's chips, once: periph keeps them for the process.
var load = sync.OnceValues(driverreg.Init)

func pick(c *gpioioctl.GPIOChip, name string) *gpioioctl.GPIOLine {
	if chip, num, ok := strings.Cut(name, "/"); ok {
		n, err := strconv.Atoi(num)
		if chip != c.Name() || err != nil || n < 0 || n >= c.LineCount() {
			return nil
		}
		return c.ByNumber(n)
	}
	return c.ByName(name)
}

func readable(chips []string) error {
	for _, c := range chips {
		f, err := os.Open(c)
		if err == nil {
			f.Close()
			return nil
		}
		if !os.IsPermission(err) {
			return err
		}
	}
	return fmt.Errorf("this user may not open %s: add it to the group gpio: %w", strings.Join(chips, ", "), fs.ErrPermission)
}
