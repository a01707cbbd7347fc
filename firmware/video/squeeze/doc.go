// Package squeeze is a box that pushes a stream and a county that takes it, as they are, in
// one process: for whoever puts a link between the two and looks at what the county has to show
// (cmd/figures). It holds no link and judges nothing.
package squeeze
