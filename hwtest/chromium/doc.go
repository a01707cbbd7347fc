// Package chromium drives a real browser in tests, by its debugging pipe (Chrome DevTools
// Protocol): open a page, evaluate, wait, take a picture. It is of tests alone.
package chromium
