// Package hypertext renders the box's own pages: templates in the notation of
// text/template, of which it takes what pages need (fields, if, with, range, template,
// variables, eq, ne, and, or, not, len, and t for a message), and no more.
//
// It exists for its size. html/template calls methods by name, for which the linker must
// keep every exported method of every type in the program: 2.5 MiB of a box that may have
// 36. Here fields are read and no method is ever called by name.
//
// What is put into a page is escaped by where it stands, and where that is was settled
// when the templates were read: text and quoted values of attributes that are named here.
// Anywhere else (a tag's name, an unquoted value, an event handler, a script, a style, a
// comment) a template that writes a value is refused whole, so that no page exists in
// which it could be wrong. Addresses (href, src, action) may only be relative, http, https
// or mailto; what stands behind their ? is escaped as a part of a query. In its tests
// html/template renders the same pages from the same values, hostile ones too, and both
// must agree byte for byte.
//
// Sources: HTML Living Standard, 13.2.5 (tokenization); RFC 3986, 2.3 and 3.1.
package hypertext
