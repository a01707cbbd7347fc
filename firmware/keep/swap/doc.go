// Package swap makes of a box's documents, tables and secrets one file that only who knows its
// passphrase can open: what a board needs that takes the place of another.
//
// The key is drawn from the passphrase by Argon2id (RFC 9106) with a salt of each file's own; the
// content is AES-256-GCM (NIST SP 800-38D) with the head as additional data. Each key is used once,
// so the nonce is fixed. The parameters belong to the version and are not read from the file: nobody
// can make a board take more memory than that by what he hands in.
//
// Open reads anybody's bytes: it bounds the whole before it works at all, each part before it keeps
// it, and takes no name but a plain relative one. It writes nothing; who puts the parts in place
// looks at their names again.
package swap
