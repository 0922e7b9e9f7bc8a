// What the tests of this folder share: the picture of a vector, and hexadecimal digits.

/** Flat squares, ramps and noise, by whole numbers alone; as in tests/encryption_vectors.py. */
export function drawPicture({ height, width, seed }) {
  const data = new Uint8Array(3 * height * width);
  let state = seed;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    const channel = i % 3, column = ((i / 3) | 0) % width, row = (i / 3 / width) | 0;
    const flat = ((row >> 4) + (column >> 4)) % 3 === 0;
    data[i] = flat ? 60 * channel + 20 : ((7 * row + 3 * column + 50 * channel) & 127) + ((state >>> 24) & 127);
  }
  return { data, width, height };
}

export const fromHex = (digits) => Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));

export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export const sha256 = async (bytes) => toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
