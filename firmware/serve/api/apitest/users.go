package apitest

import (
	"context"
	"time"

	"tocsin/firmware/serve/access"
	"tocsin/firmware/serve/api"
	"tocsin/firmware/serve/audit"
)

var chen = api.User{Account: "chen", Name: "陈志强", Role: access.Cadre, Changed: At}

// Users gives two accounts.
func (b *Box) Users() []api.User {
	return []api.User{chen, {Account: "boss", Name: "李雷", Role: access.Owner, Changed: At}}
}

// AddUser makes none.
func (b *Box) AddUser(_ context.Context, n api.NewUser, who api.Who) (api.User, error) {
	return api.User{Account: n.Account, Name: n.Name, Role: access.Cadre, Changed: At}, b.act(Act{What: "add-user", ID: n.Account, Who: who})
}

// ChangeUser changes none.
func (b *Box) ChangeUser(_ context.Context, account string, _ api.UserChange, who api.Who) (api.User, error) {
	return chen, b.act(Act{What: "change-user", ID: account, Who: who})
}

// SetPassword sets none.
func (b *Box) SetPassword(_ context.Context, account, _ string, who api.Who) error {
	return b.act(Act{What: "set-password", ID: account, Who: who})
}

// RemoveUser removes none.
func (b *Box) RemoveUser(_ context.Context, account string, who api.Who) error {
	return b.act(Act{What: "remove-user", ID: account, Who: who})
}

// SignIns gives one session.
func (b *Box) SignIns() []api.SignIn {
	return []api.SignIn{{ID: "5f0c11aa", Account: "chen", Addr: "192.168.1.77", Agent: "Mozilla/5.0 (Linux; Android 10)", Since: 20 * time.Minute, Idle: time.Minute}}
}

// EndSignIn ends none.
func (b *Box) EndSignIn(_ context.Context, id string, who api.Who) error {
	return b.act(Act{What: "end-sign-in", ID: id, Who: who})
}

// Label gives a label without a secret.
func (b *Box) Label() api.Label {
	return api.Label{Addresses: []string{"https://192.168.1.5:8080"}, Station: "441882103201", Site: text("", "黄渡村", "Huangdu"), Stop: "STOPP-TOKEN"}
}

// OpenSetup opens nothing.
func (b *Box) OpenSetup(_ context.Context, who api.Who) (api.Label, error) {
	l := b.Label()
	l.Open, l.Secret = time.Hour, "ACDEF-34679"
	return l, b.act(Act{What: "open-setup", Who: who})
}

// AuditLog gives one entry.
func (b *Box) AuditLog(after int64, _ int) ([]audit.Entry, error) {
	if after > 0 {
		return nil, nil
	}
	return []audit.Entry{{N: 1, At: At, Trust: "set", Boot: "b0a1", Op: "POST /api/v1/users", Status: 200, Via: "page", Addr: "192.168.1.77", Account: "boss", Who: "李雷", Target: "chen", New: "cadre"}}, nil
}
