// Package i2c is the board's I²C bus and the chips on it that a station uses:
// BME280 (air), INA219 and INA226 (battery), ADS1115 (4–20 mA by a shunt, 0–5 V),
// DS3231 (clock), MCP23017 (contacts). Each chip is a drivers.Values.
//
// Chips that periph.io's devices know are asked by them, through Sense with its
// error, never through the continuous channels, which drop errors. The package
// adds what they do not look at: that the chip is the one it should be, that it
// still has the settings it was given (a chip that lost its supply for a moment
// measures on with its defaults, and an INA without its calibration reads zero
// amperes), that its bus is not stuck, and that no call takes for ever.
//
// Sources: the data sheets named with each chip; Linux
// Documentation/i2c/dev-interface.rst (I2C_RDWR).
package i2c
