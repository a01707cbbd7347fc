"use strict";
// Turns what the microphone hears, at 8 kHz, into A-law (ITU-T G.711), a fifth of a second at a time.
class ALaw extends AudioWorkletProcessor {
  constructor() { super(); this.piece = new Uint8Array(1600); this.n = 0; }
  process([input]) {
    for (const x of input[0] || []) {
      let s = Math.max(-32768, Math.min(32767, Math.round(x * 32767))) >> 3, sign = 0x80;
      if (s < 0) { s = -s - 1; sign = 0; }
      let e = 0;
      while (s >> (e + 5) && e < 7) e++;
      this.piece[this.n++] = (sign | e << 4 | (e < 2 ? s >> 1 : s >> e) & 15) ^ 0x55;
      if (this.n === this.piece.length) { this.port.postMessage(this.piece.slice().buffer); this.n = 0; }
    }
    return true;
  }
}
registerProcessor("alaw", ALaw);
