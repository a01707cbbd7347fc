// Package certificate is the box's own certificate authority and the certificate by which
// its page is encrypted.
//
// No public authority signs for 192.168.1.5, and a box on a pole has no way to ask one. So
// each box has an authority of its own from the first start, whose key never leaves it and
// whose name constraints (RFC 5280, 4.2.1.10) hold it to private addresses and local
// names: a phone that installs it trusts it for the box, and a stolen key opens no bank.
//
// A certificate must hold at the phone, whose clock is right, although the box's may not be.
// So an untrusted clock is not asked: a certificate is then dated from the last time that
// is certain (the build, or the floor that outlived the last run), and made anew once the
// clock is set. It lasts 820 days, since phones refuse more than 825 from authorities that
// a person installed (Apple, support.apple.com/103769), and is renewed by itself in time,
// and when the box has another name or address.
//
// Where the disk is dead the authority is held in RAM, and says so.
package certificate
