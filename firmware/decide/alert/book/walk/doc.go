// Package walk walks an alert book through random histories (alerts, updates, cancels,
// forgeries, copies in any order over several ways, clocks that are trusted, untrusted
// or jump, power cuts that lose what was not committed) and holds it at every step to
// a second model, which is written plainly from the book's documentation, and to what
// must always hold.
//
// It draws its choices from whoever calls: a property test, which shrinks a history that
// breaks something, or a seeded stream, for the figure. It keeps nothing and touches
// nothing outside.
package walk
