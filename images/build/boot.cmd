# Tocsin: which slot starts. Compiled into boot.scr by images/build; read by U-Boot 2023.01 or newer.
#
# Two copies of an environment of one sector (CRC-32 and key=value, doc/usage/environment) lie at sectors 0x800 and
# 0x1800 (hexadecimal here): good starts, or for left more starts next. The first whole copy is believed; the second
# is written first. Where things are loaded to is the target's (target.go, in place of the line LOADS). What else stands in it is edged's, and is only handed on.
@LOADS@
if test -n "${fdt_addr}"; then setenv dt ${fdt_addr}; else setenv dt ${fdtcontroladdr}; fi
# A board whose boot loader has no device tree that this kernel understands brings its own.
if test -e ${devtype} ${devnum}:1 board.dtb; then if load ${devtype} ${devnum}:1 ${fdt_addr_r} board.dtb; then setenv dt ${fdt_addr_r}; fi; fi
# What the kernel says last is kept over a reset (ramoops), in memory that neither this loader nor a kernel takes: at one
# place, whichever release starts, so that the one before tells the next why it ended. A place that each kernel seeks for
# itself (reserve_mem=) is another with another initramfs, and lies at the end of memory, where this loader runs.
# This loader's own tree has no room for a word more, and where it would go to is not known everywhere: then nothing is kept.
if test -z "${fdt_addr}" -a -z "${fdt_addr_r}"; then setenv keep; fi
if test -n "${keep}"; then
  if fdt addr ${dt}; then
    if test -z "${fdt_addr_r}"; then fdt resize 1000; elif fdt move ${dt} ${fdt_addr_r} 80000; then setenv dt ${fdt_addr_r}; fi
    fdt get value cells / '#address-cells'; fdt get value sizes / '#size-cells'
    if test "${cells}" = 0x00000002; then setenv place "0 0x${keep}"; else setenv place 0x${keep}; fi
    if test "${sizes}" = 0x00000002; then setenv place "${place} 0 0x100000"; else setenv place "${place} 0x100000"; fi
    fdt mknode / reserved-memory
    fdt set /reserved-memory '#address-cells' "<${cells}>"
    fdt set /reserved-memory '#size-cells' "<${sizes}>"
    fdt set /reserved-memory ranges
    fdt mknode /reserved-memory ramoops@${keep}
    fdt set /reserved-memory/ramoops@${keep} compatible ramoops
    fdt set /reserved-memory/ramoops@${keep} reg "<${place}>"
    fdt set /reserved-memory/ramoops@${keep} record-size "<0x20000>"
    fdt set /reserved-memory/ramoops@${keep} console-size "<0x40000>"
  fi
fi
setenv ok 0; setenv good; setenv next; setenv left; setenv floor; setenv bad; setenv within; setenv why
for lba in 800 1800; do
  if test ${ok} = 0; then
    ${devtype} read ${a} ${lba} 1
    if env import -c ${a} 200 good next left floor bad within why; then setenv ok 1; fi
  fi
done
# What is no slot is none: the other words are edged's, and init's to check.
if test "${next}" != A -a "${next}" != B; then setenv next; setenv left 0; fi
if test "${good}" = B; then setenv other A; else setenv good A; setenv other B; fi
setenv order "${good} ${other}"
if test -n "${next}"; then
  if test -n "${left}" -a "${left}" != 0; then
    setexpr left ${left} - 1; setenv order ${next}
  else
    echo "tocsin: ${next} used up its tries, back to ${good}"; setenv next; setenv left 0; setenv why tries
  fi
  env export -c -s 200 ${a} good next left floor bad within why
  ${devtype} write ${a} 1800 1
  ${devtype} write ${a} 800 1
fi
for slot in ${order}; do
  if test ${slot} = A; then setenv p 2; else setenv p 3; fi
  echo "tocsin: slot ${slot} good=${good} next=${next} left=${left}"
  if load ${devtype} ${devnum}:${p} ${k} Image; then
    if load ${devtype} ${devnum}:${p} ${r} initrd; then
      setenv bootargs "${con} panic=3 oops=panic net.ifnames=0 loglevel=5 slot=${slot} disk=${disk} good=${good} next=${next} left=${left}"
      ${go} ${k} ${r}:${filesize} ${dt}
    fi
  fi
  echo "tocsin: slot ${slot} does not start"
done
reset
