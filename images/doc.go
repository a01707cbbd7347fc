// Package images holds what makes board images (build), what starts them (init), the
// emulated board that they are tried on (bench), and those trials (make image-test).
package images
