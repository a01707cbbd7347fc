// Package secret opens files that are for the service's eyes alone: accounts, tokens, keys,
// the audit. It is the one place where that is done with care.
//
// No link is followed, so that nobody who may write the folder has another file read or
// changed. What is no plain file is refused, and a pipe holds nobody up. A file that others
// may read is closed to them, since it was put back from a copy, or written by hand. What is
// read has a bound.
//
// Sources: open(2) O_NOFOLLOW and O_NONBLOCK, chmod(2) of POSIX.1-2017 and of Linux;
// OWASP ASVS 4.0 V12.3.
package secret
