// Package console is how people meet the hub: a page of stations and receipts for
// officers, and the desk's socket by which hubd alert send reaches the daemon.
//
// The pages are rendered by html/template, without script, Chinese or English as the
// reader prefers; they ask for nothing from elsewhere, and wear the station's colours. On
// loopback they are open to whoever is on the machine; anywhere else they go over TLS to
// a named officer with a token (digests by bcrypt), who signs in on a page for a duty of
// twelve hours; programs bring the token with each request (RFC 7617). Officers with a role
// of page.send send an alert's file down by the page, and give the token again for it. The socket is
// the owner's alone, by its mode, and who calls is asked of the kernel.
//
// It reads an alert only to see that it is one and that somebody signed it: whether
// the signature counts is each station's to judge.
package console
