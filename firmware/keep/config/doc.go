// Package config loads a site's document and tells where in it things stand.
//
// One YAML file is one site. It is the one truth: the page and the file edit the
// same document. Load decodes it strictly (an unknown key is an error), and every
// problem carries file, line and column, the cause and the mend, in the reader's
// language. What the document means to the rooms is proved by the composition
// root, which alone knows them all; it reports through the same Problem.
//
// A file beyond the size bound is refused before it is parsed. Anchors and
// aliases are refused: a site is read by people, and they allow a small file to
// grow without bound.
package config
