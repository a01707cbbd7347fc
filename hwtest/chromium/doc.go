// Package chromium drives a real browser in tests and in the demonstration, by its debugging pipe (Chrome DevTools
// Protocol): open a page, evaluate, wait, take a picture. It is of the bench alone.
package chromium
