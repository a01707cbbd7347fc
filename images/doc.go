// Package images holds what makes board images (build), what starts them (init), the
// emulated board that they are tried on (bench), and those trials (make image-test).
//
// A card, in MiB:
//
//	 0   table of partitions
//	 1   boot environment, the first copy        (a sector; firmware/update/slots)
//	 2   starts in a row that came to nothing    (a sector; init/starts.go)
//	 3   boot environment, the second copy
//	 4   spare copy of the box, two places of 6  (init/spare.go)
//	16   partition 1: boot loader, or firmware, and what it reads
//	40   partitions 2 and 3: slot A, slot B
//	     partition 4: data, to the card's end
package images
