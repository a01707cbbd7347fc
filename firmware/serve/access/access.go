package access

import (
	"fmt"
	"time"
)

// Role is what somebody may do; a higher role may all that a lower one may.
// The zero Role may nothing, so that what was forgotten is refused.
type Role uint8

// The roles.
const (
	// Nobody may do nothing.
	Nobody Role = iota
	// Viewer sees readings, alarms, faults and the journal.
	Viewer
	// Cadre announces, evacuates and stops: the village's own people.
	Cadre
	// Operator acknowledges, tests, releases and raises.
	Operator
	// Technician changes the configuration.
	Technician
	// Owner changes users and keys.
	Owner
)

var roleNames = [...]string{"nobody", "viewer", "cadre", "operator", "technician", "owner"}

// Roles lists every role, least first.
var Roles = []Role{Nobody, Viewer, Cadre, Operator, Technician, Owner}

// String gives the role's code.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// ParseRole reads a role's code.
func ParseRole(s string) (Role, error) {
	for i, n := range roleNames {
		if n == s {
			return Role(i), nil
		}
	}
	return Nobody, fmt.Errorf("no role is named %q", s)
}

// Allows tells whether r may do what needs at least the role need. What needs
// no role at all was forgotten, and is refused.
func (r Role) Allows(need Role) bool {
	return need > Nobody && need <= Owner && r >= need && r <= Owner
}

// MarshalText writes the code.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a code.
func (r *Role) UnmarshalText(b []byte) error {
	v, err := ParseRole(string(b))
	if err == nil {
		*r = v
	}
	return err
}

// Grant is what one caller has been found to be: the role, the way it came
// ("page", "socket") and its address, which stands for it where it gave no name.
type Grant struct {
	Role Role
	Via  string
	Addr string
	// Account is who is signed in, "" where nobody is; Name what people call them.
	Account, Name string
	// Session names the sign-in among others. It is no secret and opens nothing.
	Session string
	// IdleLeft is how long the session lasts if nothing is done in it.
	IdleLeft time.Duration
}

// SignedIn tells whether an account stands behind the caller.
func (g Grant) SignedIn() bool { return g.Account != "" }
