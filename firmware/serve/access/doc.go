// Package access says who may do what on the served surface: roles, accounts and
// their sessions, the set-up of the first owner, and the stop token that lets
// somebody on the local network silence a sounding.
//
// There is no default password. A unit has two secrets of its own from the first
// start. The stop token opens STOP alone, which silences sound and never the
// level; it is printed once in the log. The set-up secret stands on the unit's
// label and makes the first owner, once, within an hour of a start; it is given
// to the local tools alone and never logged. Both are kept in files that only the
// service reads, and held in RAM where the disk is dead, as accounts are.
//
// Nobody is ever locked out: who fails waits, up to five seconds, and is then
// compared. Passwords are tried one at a time; of those who wait, who has failed least goes
// first, so that a network full of guessers holds up nobody who signs in from elsewhere. Who
// shares an address with a guesser shares its line (of IPv6 a /64 is one), which is told
// them. Sessions are counted by the monotonic clock, so that a wall clock that is put right ends
// none; they end with the boot, with the password, the role or the account.
//
// The package never sees a request; serve/api and serve/page bring it what they
// were given. So another program keeps its own accounts by it: the county's hub opens a
// Door on its own folder, with DoorOpts for what differs there (which roles there are, how
// many accounts, how long a session lasts, that there is no label, what its command is
// called), asks Grant for each request, and calls Sweep now and then. Its cookie needs
// another name than the box's, since a browser does not tell ports apart (RFC 6265, 8.5).
// The texts of refusals are phrase's access.*, the words for roles sign.role_*.
//
// Sources: ETSI EN 303 645 5.1 (no universal default passwords),
// IEC 62443-4-2 CR 1.1 (authentication must not impede emergency action), CR 1.5
// and 1.7 (authenticators), CR 1.11 (unsuccessful attempts), CR 2.5 and 2.6
// (session lock and end), OWASP ASVS 4.0 V2 and V3, NIST SP 800-63B 5.1.1.
package access
