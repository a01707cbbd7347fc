// Package hubfile reads the county hub's one YAML file: where it listens, whom it
// knows and what it keeps.
//
// It reads by the rules of a site's file (keep/config): strict, bounded, each
// problem with file, line and column, the cause and the mend. Secrets that must be
// read back (keys of datagrams, of TLS) lie in files of their own beside it, which
// nobody else may read; of tokens only the bcrypt digest is written. It opens no
// port: Load proves that the files can be used, and nothing more.
package hubfile
