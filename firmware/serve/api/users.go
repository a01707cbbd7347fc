package api

import (
	"context"
	"net/http"
	"time"

	"tocsin/firmware/serve/access"
)

// User is somebody who may sign in.
type User struct {
	Account string      `json:"account"`
	Name    string      `json:"name"`
	Role    access.Role `json:"role"`
	Changed time.Time   `json:"changed"`
}

// NewUser asks for an account.
type NewUser struct {
	Account  string `json:"account" minLength:"1" maxLength:"64" doc:"what is typed to sign in"`
	Name     string `json:"name,omitempty" maxLength:"64" doc:"what people call them"`
	Role     string `json:"role" enum:"viewer,cadre,operator,technician,owner"`
	Password string `json:"password" minLength:"1" maxLength:"1024"`
	Who      string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
}

// UserChange changes an account; what is empty stays.
type UserChange struct {
	Name string `json:"name,omitempty" maxLength:"64"`
	Role string `json:"role,omitempty" enum:"viewer,cadre,operator,technician,owner"`
	Who  string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
}

// NewPassword replaces a password.
type NewPassword struct {
	Password string `json:"password" minLength:"1" maxLength:"1024"`
	Who      string `json:"who,omitempty" maxLength:"64" doc:"name of the acting person; of who is signed in the account says it"`
}

// SignIn is one session.
type SignIn struct {
	// ID names it and opens nothing.
	ID      string `json:"id"`
	Account string `json:"account"`
	Addr    string `json:"addr"`
	Agent   string `json:"agent"`
	// Since is how long ago it began, Idle how long ago something was done in it.
	Since time.Duration `json:"since_ns"`
	Idle  time.Duration `json:"idle_ns"`
	// Own: it is the caller's.
	Own bool `json:"own"`
}

// Label is what stands on the unit.
type Label struct {
	// Open is how long set-up is open yet; 0 where it is closed, and then there is no secret.
	Open   time.Duration `json:"open_ns"`
	Secret string        `json:"secret,omitempty"`
	// Addresses are where the page is, the best first.
	Addresses []string `json:"addresses"`
	Site      Text     `json:"site"`
	Station   string   `json:"station"`
	// Fingerprint is the SHA-256 of the certificate of the box's own authority; "" without TLS.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Stop is the stop token: for who stands at the box, and never for the network.
	Stop string `json:"stop,omitempty" doc:"the stop token; on the box's own socket alone"`
}

// Users is a box with accounts.
type Users interface {
	// Users lists the accounts.
	Users() []User
	// AddUser makes one, ChangeUser and SetPassword change one and end its sessions;
	// RemoveUser takes one away. ErrUnknown is wrapped where there is none.
	AddUser(ctx context.Context, n NewUser, who Who) (User, error)
	ChangeUser(ctx context.Context, account string, c UserChange, who Who) (User, error)
	SetPassword(ctx context.Context, account, password string, who Who) error
	RemoveUser(ctx context.Context, account string, who Who) error
	// SignIns lists the sessions; EndSignIn ends one.
	SignIns() []SignIn
	EndSignIn(ctx context.Context, id string, who Who) error
	// Label gives what is printed on the unit; OpenSetup opens set-up anew with another secret.
	Label() Label
	OpenSetup(ctx context.Context, who Who) (Label, error)
}

func (s *Server) registerUsers() {
	add(s, access.Owner, http.MethodGet, "/users", "users", "Who may sign in", func(context.Context, *none) (*body[[]User], error) {
		return &body[[]User]{full(s.box.Users())}, nil
	})
	add(s, access.Owner, http.MethodPost, "/users", "add-user", "Make an account", func(ctx context.Context, in *struct{ Body NewUser }) (*body[User], error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		u, err := s.box.AddUser(ctx, in.Body, who)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return &body[User]{u}, nil
	})
	add(s, access.Owner, http.MethodPost, "/users/{id}", "change-user", "Change an account's name or role; another role ends its sessions", func(ctx context.Context, in *struct {
		ID   string `path:"id" maxLength:"128"`
		Body UserChange
	}) (*body[User], error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		u, err := s.box.ChangeUser(ctx, in.ID, in.Body, who)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return &body[User]{u}, nil
	})
	add(s, access.Owner, http.MethodPost, "/users/{id}/password", "set-password", "Give an account another password, which ends its sessions", func(ctx context.Context, in *struct {
		ID   string `path:"id" maxLength:"128"`
		Body NewPassword
	}) (*none, error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		if err := s.box.SetPassword(ctx, in.ID, in.Body.Password, who); err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return nil, nil
	})
	named := func(path, id, summary string, f func(ctx context.Context, id string, who Who) error) {
		add(s, access.Owner, http.MethodPost, path, id, summary, func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"128"`
			Body Named
		}) (*none, error) {
			who, err := whoOf(ctx, in.Body.Who)
			if err != nil {
				return nil, err
			}
			if err := f(ctx, in.ID, who); err != nil {
				return nil, s.refused(http.StatusConflict, err)
			}
			return nil, nil
		})
	}
	named("/users/{id}/remove", "remove-user", "Take an account and its sessions away", func(ctx context.Context, id string, who Who) error { return s.box.RemoveUser(ctx, id, who) })
	named("/sign-ins/{id}/end", "end-sign-in", "End a session", func(ctx context.Context, id string, who Who) error { return s.box.EndSignIn(ctx, id, who) })
	add(s, access.Owner, http.MethodGet, "/sign-ins", "sign-ins", "The sessions that last, the latest first", func(ctx context.Context, _ *none) (*body[[]SignIn], error) {
		l := s.box.SignIns()
		for i := range l {
			l[i].Own = l[i].ID == GrantOf(ctx).Session
		}
		return &body[[]SignIn]{full(l)}, nil
	})
	add(s, access.Owner, http.MethodGet, "/label", "label", "What is printed on the unit; the set-up secret while set-up is open", func(ctx context.Context, _ *none) (*body[Label], error) {
		return labelled(ctx, s.box.Label()), nil
	})
	add(s, access.Owner, http.MethodPost, "/label", "open-setup", "Open set-up anew with another secret", func(ctx context.Context, in *struct{ Body Named }) (*body[Label], error) {
		who, err := whoOf(ctx, in.Body.Who)
		if err != nil {
			return nil, err
		}
		l, err := s.box.OpenSetup(ctx, who)
		if err != nil {
			return nil, s.refused(http.StatusConflict, err)
		}
		return labelled(ctx, l), nil
	})
}

// labelled gives a label to who asks: the stop token, which works for everybody and for
// good, to the box's own socket alone.
func labelled(ctx context.Context, l Label) *body[Label] {
	l.Addresses = full(l.Addresses)
	if GrantOf(ctx).Via != ViaSocket {
		l.Stop = ""
	}
	return &body[Label]{l}
}
