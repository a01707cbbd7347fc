package access

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The county's hub keeps its officers by the same door, with other roles and no label.
func TestAnotherProgramKeepsItsOwnAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		o := DoorOpts{Dir: dir, Sessions: filepath.Join(dir, "sessions"), Roles: []Role{Viewer, Operator, Owner}, Accounts: 3, Idle: 2 * time.Hour, Lifetime: 3 * time.Hour, NoSetup: true, Command: "hubd officer add"}
		d, err := OpenDoor(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, setupFile)); err == nil || d.SetupLeft() != 0 || d.SetupSecret() != "" {
			t.Error("there is a label's secret")
		}
		for id, c := range map[string]struct {
			role Role
			want string
		}{"boss": {Owner, "<nil>"}, "wang": {Operator, "<nil>"}, "tech": {Technician, "access.bad_role"}, "cadre": {Cadre, "access.bad_role"}, "none": {Nobody, "access.bad_role"}} {
			_, err := d.Add(t.Context(), "", id, "", c.role, good)
			if codeOf(err) != c.want {
				t.Errorf("%s: %v", id, err)
			}
			if c.want != "<nil>" && !strings.Contains(err.Error(), "viewer, operator, owner") {
				t.Errorf("which there are is not said: %v", err)
			}
		}
		if _, err := d.SetRole("wang", Technician); codeOf(err) != "access.bad_role" {
			t.Error(err)
		}
		add(t, d, "third", Viewer)
		if _, err := d.Add(t.Context(), "", "fourth", "", Viewer, good); codeOf(err) != "access.accounts_full" {
			t.Error(err)
		}
		e, err := d.SignIn(t.Context(), "10.0.0.1:1", "", "", "wang", good)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		again, err := OpenDoor(o)
		if err != nil {
			t.Fatal(err)
		}
		if g, ok := again.Grant(e.Token, "page", "", true); !ok || g.IdleLeft != 2*time.Hour {
			t.Errorf("after an hour and a restart: %+v %v", g, ok)
		}
		time.Sleep(2*time.Hour + time.Second)
		if _, ok := again.Grant(e.Token, "page", "", true); ok {
			t.Error("it outlives its end")
		}
	})
}

func TestADamagedFileNamesTheProgramsOwnCommand(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, accountsFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenDoor(DoorOpts{Dir: dir, NoSetup: true, Command: "hubd officer add"})
	if err == nil || !strings.Contains(err.Error(), "hubd officer add") {
		t.Error(err)
	}
}
