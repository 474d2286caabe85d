/**
 * Makes machine code smaller to compress: calls to one function from many places are the same bytes once they say where
 * they lead instead of how far. Works on any bytes, and back without loss.
 *
 *   call +0x1234 (at 0x8000) <--> call 0x9239        x86-64: E8 and E9; ARM64: BL and ADRP
 *
 * As the filters of xz for both processors do (its file format, section 5.3.2), in a simpler form.
 */

export type Machine = 'x64' | 'arm64';

/** @returns a copy */
export const toAbsolute = (bytes: Uint8Array, machine: Machine): Uint8Array => convert(bytes, machine, 1);

/** Undoes `toAbsolute`, in place. */
export function toRelative(bytes: Uint8Array, machine: Machine): void {
  transform[machine](viewOf(bytes), -1);
}

function convert(bytes: Uint8Array, machine: Machine, sign: 1 | -1): Uint8Array {
  const copy = Uint8Array.from(bytes);
  transform[machine](viewOf(copy), sign);
  return copy;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const transform: Readonly<Record<Machine, (view: DataView, sign: 1 | -1) => void>> = {
  /**
   * A distance of 25 bits stays one: its highest byte is all zeros or all ones before and after, which is how the way back
   * knows what was changed. What follows a byte that looks like a call is left alone in either case, since a change there
   * would make the way back see another distance.
   */
  x64(view, sign) {
    for (let at = 0; at + 5 <= view.byteLength; at += 1) {
      if ((view.getUint8(at) & 0xfe) !== 0xe8) continue;
      const highest = view.getUint8(at + 4);
      if (highest === 0 || highest === 0xff) {
        const moved = view.getInt32(at + 1, true) + sign * (at + 5);
        view.setInt32(at + 1, (moved << 7) >> 7, true);
      }
      at += 4;
    }
  },
  /** Every bit pattern of the distance is one, so nothing has to be known. */
  arm64(view, sign) {
    for (let at = 0; at + 4 <= view.byteLength; at += 4) {
      const word = view.getUint32(at, true);
      if (word >>> 26 === 0x25) {
        view.setUint32(at, ((0x25 << 26) | ((word + sign * (at >>> 2)) & 0x3ff_ffff)) >>> 0, true);
      } else if ((word & 0x9f00_0000) >>> 0 === 0x9000_0000) {
        const pages = ((((word >>> 5) & 0x7_ffff) << 2) | ((word >>> 29) & 3)) + sign * (at >>> 12);
        const moved = ((pages & 3) << 29) | (((pages >>> 2) & 0x7_ffff) << 5);
        view.setUint32(at, ((word & 0x9f00_001f) | moved) >>> 0, true);
      }
    }
  },
};
