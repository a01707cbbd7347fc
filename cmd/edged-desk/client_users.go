package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/firmware/phrase"
	"tocsin/firmware/serve/api"
)

// UserCmd manages who may sign in on the page.
type UserCmd struct {
	List     UserListCmd     `cmd:"" default:"1" help:"列出账号 · List the accounts"`
	Add      UserAddCmd      `cmd:"" help:"添加账号，密码从键盘或标准输入读 · Add an account; the password is read from the keyboard or standard input"`
	Role     UserRoleCmd     `cmd:"" help:"改角色，会退出其所有登录 · Change a role, which signs them out"`
	Password UserPasswordCmd `cmd:"" help:"重设密码，会退出其所有登录 · Set a password anew, which signs them out"`
	Remove   UserRemoveCmd   `cmd:"" help:"删除账号 · Remove an account"`
	Sessions UserSessionsCmd `cmd:"" help:"谁正登录着；--end 结束一个 · Who is signed in; --end ends one"`
}

// by is who acts: the journal and the audit want a name.
type by struct {
	Who string `short:"w" help:"操作人姓名，默认为系统用户 · name of the acting person, by default the system's user"`
}

func (b by) name() string {
	if b.Who != "" {
		return b.Who
	}
	for _, env := range []string{"SUDO_USER", "USER"} {
		if s := os.Getenv(env); s != "" {
			return s
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// UserListCmd lists.
type UserListCmd struct {
	JSON bool `name:"json" help:"输出 JSON · Print JSON"`
}

// Run prints.
func (c *UserListCmd) Run(g *Globals) error {
	if c.JSON {
		return g.raw("/users")
	}
	var all []api.User
	if err := g.get("/users", nil, &all); err != nil {
		return err
	}
	if len(all) == 0 {
		g.say(phrase.M("users.none"))
		return nil
	}
	l := g.lang()
	t := table{{phrase.M("users.col_account").In(l), phrase.M("users.col_name").In(l), phrase.M("users.col_role").In(l), phrase.M("users.col_changed").In(l)}}
	for _, u := range all {
		t = append(t, []string{api.Clean(u.Account, 40), api.Clean(u.Name, 40), u.Role.String(), local(u.Changed).Format(time.DateTime)})
	}
	return t.write(g.out(), -1)
}

// UserAddCmd adds one.
type UserAddCmd struct {
	by
	Account string `arg:"" help:"账号 · what is typed to sign in"`
	Role    string `required:"" short:"r" enum:"viewer,cadre,operator,technician,owner" help:"角色 viewer、cadre、operator、technician、owner · the role"`
	Name    string `short:"n" help:"姓名 · what people call them"`
}

// Run adds.
func (c *UserAddCmd) Run(g *Globals) error {
	pw, err := g.password()
	if err != nil {
		return err
	}
	var u api.User
	if err := g.get("/users", api.NewUser{Account: c.Account, Name: c.Name, Role: c.Role, Password: pw, Who: c.name()}, &u); err != nil {
		return err
	}
	g.say(phrase.M("users.added", "account", u.Account, "role", u.Role.String()))
	return nil
}

// UserRoleCmd changes a role.
type UserRoleCmd struct {
	by
	Account string `arg:""`
	Role    string `arg:"" enum:"viewer,cadre,operator,technician,owner" help:"viewer、cadre、operator、technician、owner"`
}

// Run changes.
func (c *UserRoleCmd) Run(g *Globals) error {
	var u api.User
	if err := g.get("/users/"+url.PathEscape(c.Account), api.UserChange{Role: c.Role, Who: c.name()}, &u); err != nil {
		return err
	}
	g.say(phrase.M("users.changed", "account", u.Account, "role", u.Role.String()))
	return nil
}

// UserPasswordCmd sets a password.
type UserPasswordCmd struct {
	by
	Account string `arg:""`
}

// Run sets.
func (c *UserPasswordCmd) Run(g *Globals) error {
	pw, err := g.password()
	if err != nil {
		return err
	}
	if err := g.get("/users/"+url.PathEscape(c.Account)+"/password", api.NewPassword{Password: pw, Who: c.name()}, nil); err != nil {
		return err
	}
	g.say(phrase.M("users.password", "account", c.Account))
	return nil
}

// UserRemoveCmd removes one.
type UserRemoveCmd struct {
	by
	Account string `arg:""`
}

// Run removes.
func (c *UserRemoveCmd) Run(g *Globals) error {
	if err := g.get("/users/"+url.PathEscape(c.Account)+"/remove", api.Named{Who: c.name()}, nil); err != nil {
		return err
	}
	g.say(phrase.M("users.removed", "account", c.Account))
	return nil
}

// UserSessionsCmd lists sessions or ends one.
type UserSessionsCmd struct {
	by
	End string `help:"结束这一个 · end this one" placeholder:"ID"`
}

// Run lists.
func (c *UserSessionsCmd) Run(g *Globals) error {
	if c.End != "" {
		return g.get("/sign-ins/"+url.PathEscape(c.End)+"/end", api.Named{Who: c.name()}, nil)
	}
	var all []api.SignIn
	if err := g.get("/sign-ins", nil, &all); err != nil {
		return err
	}
	l := g.lang()
	t := table{{"ID", phrase.M("users.col_account").In(l), phrase.M("users.col_since").In(l), phrase.M("users.col_idle").In(l), phrase.M("users.col_addr").In(l), phrase.M("users.col_agent").In(l)}}
	for _, s := range all {
		t = append(t, []string{api.Clean(s.ID, 20), api.Clean(s.Account, 40), s.Since.Round(time.Second).String(), s.Idle.Round(time.Second).String(), api.Clean(s.Addr, 60), api.Clean(s.Agent, 40)})
	}
	return t.write(g.out(), -1)
}

// password reads one: unseen and twice from a keyboard, one line from anything else.
func (g *Globals) password() (string, error) {
	in := g.In
	if in == nil {
		in = os.Stdin
	}
	r := bufio.NewReader(io.LimitReader(in, 4096))
	line := func() (string, error) {
		s, err := r.ReadString('\n')
		if err != nil && (!errors.Is(err, io.EOF) || s == "") {
			return "", phrase.E("users.no_password")
		}
		return strings.TrimRight(s, "\r\n"), nil
	}
	fd := int(os.Stdin.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if g.In != nil || err != nil {
		return line()
	}
	quiet := *old
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
		return "", err
	}
	defer unix.IoctlSetTermios(fd, unix.TCSETS, old)
	fmt.Fprint(os.Stderr, phrase.M("users.type_password").In(g.lang())+" ")
	first, err := line()
	if err != nil {
		return "", err
	}
	fmt.Fprint(os.Stderr, "\n"+phrase.M("users.type_again").In(g.lang())+" ")
	again, err := line()
	fmt.Fprintln(os.Stderr)
	if err == nil && first != again {
		err = phrase.E("access.password_differ")
	}
	return first, err
}
