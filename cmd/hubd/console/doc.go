// Package console is how people meet the hub: what the county's console in the browser
// (firmware/serve/page/ui, county) asks for, and the desk's socket by which hubd alert
// send and hubd state reach the daemon.
//
// People have accounts, as at a station (firmware/serve/access): no default password, a
// set-up secret that the socket alone gives, argon2id, sign-ins that end. A role says what
// one may do: a viewer looks, an operator sends warnings down and gives the password again
// for it, an owner keeps accounts and reads the audit, in which every changing act stands.
// Duties are the county's own words beside it (fire, chief): who may see which picture goes
// by them (hubfile: pictures: views). Ways in are one table, each with its least role; what
// is not in it is not served. Without TLS the page serves this machine alone; hosts are held
// to the hub's names, and nothing is done that another site's page asks for.
//
// The county comes as one document in both languages, gathered once a second however many
// look, and not sent again while it stays the same. What a station did not say is not known,
// and the document has no word for it that could be taken for calm. The socket is the
// owner's alone, by its mode, and who calls is asked of the kernel.
//
// It reads an alert only to see that it is one and that somebody signed it: whether
// the signature counts is each station's to judge.
package console
