// Package console is how people meet the hub: a page of stations and receipts for
// officers, and the desk's socket by which hubd alert send reaches the daemon.
//
// The page is rendered by html/template, without script, Chinese or English as the
// reader prefers; it changes nothing and asks for nothing from elsewhere. On
// loopback it is open to whoever is on the machine; anywhere else it goes over TLS to
// a named officer with a token (RFC 7617 over TLS; digests by bcrypt). The socket is
// the owner's alone, by its mode, and who calls is asked of the kernel.
//
// It reads an alert only to see that it is one and that somebody signed it: whether
// the signature counts is each station's to judge.
package console
