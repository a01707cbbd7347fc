// Package mans reads and writes the bodies of MANSCDP (GB/T 28181-2022 Annex A), the XML
// that devices and platforms send each other, bounded whatever comes, in UTF-8 and in
// GB 2312, GBK and GB 18030.
package mans
