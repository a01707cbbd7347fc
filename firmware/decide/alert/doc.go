// Package alert turns what others send into one canonical Alert and says of it
// what can be said from the text alone: is it well-formed, is it genuine, is it
// trusted, does it concern this place, and what may this box do about it.
//
// It never sounds anything, keeps nothing, and asks no clock: whether an alert
// is in force is the book's matter (decide/alert/book). It believes no signature
// that it has not verified over the very bytes that it then parses, and it never
// takes an area that it cannot read for an area that is elsewhere without saying so.
package alert
