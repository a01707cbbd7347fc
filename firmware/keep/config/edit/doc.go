// Package edit changes a YAML document in single places and leaves every other byte as it
// was: comments, order, quotes, the way somebody lined up his columns. The page and the file
// are one document, and whoever wrote it by hand finds it again as they wrote it.
//
// An edit names its place by a JSON Pointer (RFC 6901) and is one of two: set and remove;
// “-” as the last part of a list's place adds to its end, as in RFC 6902. The syntax tree
// says where a place begins and what follows it; the text between is cut and filled.
//
// What was cut is not believed. The new text is read again, and must mean exactly what the
// old one meant with the edits made in it; else nothing is given, with the place and
// the mend. So a document that is written in a way which the cutting does not know
// is refused, never spoilt.
package edit
