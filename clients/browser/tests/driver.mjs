// Encrypts what is asked on standard input, one case a line, and answers a line of JSON each. Python's tests ask.
import { createInterface } from "node:readline";
import { Encryption, FIELDS, readKey } from "../hipmr.js";
import { drawPicture, fromHex, sha256, toHex } from "./pictures.mjs";

const calls = {
  fields: () => FIELDS,

  settings: ({ settings }) => {
    const encryption = Encryption.fromDict(settings);
    const { encryptedPatchSize, numPatches, encryptedSize, losses, drawsRandomness } = encryption;
    return { again: encryption.toDict(), encryptedPatchSize, numPatches, encryptedSize, losses, drawsRandomness };
  },

  async encrypt({ settings, picture, key, nonce, entropy }) {
    if (entropy !== undefined) useKnownEntropy(entropy);
    const secrets = key ? { key: fromHex(key), nonce: fromHex(nonce) } : {};
    const sealed = await Encryption.fromDict(settings).encryptPixels(drawPicture(picture), secrets);
    return { size: [sealed.height, sealed.width], sha256: await sha256(sealed.data) };
  },

  async decrypt({ settings, data, size, key, nonce }) {
    const [height, width] = size, pixels = { data: Uint8Array.from(Buffer.from(data, "base64")), width, height };
    const opened = await Encryption.fromDict(settings).decryptPixels(pixels, { key: fromHex(key), nonce: fromHex(nonce) });
    return { sha256: await sha256(opened.data) };
  },

  readKey: async ({ file }) => ({ key: toHex(await readKey(file)) }),
};

/** Bytes that Python can draw too, in the system's place. */
function useKnownEntropy(seed) {
  let state = seed;
  const known = (bytes) => {
    for (let i = 0; i < bytes.length; i++) {
      state = (Math.imul(1664525, state) + 1013904223) >>> 0;
      bytes[i] = state >>> 24;
    }
    return bytes;
  };
  Object.defineProperty(crypto, "getRandomValues", { value: known, configurable: true });
}

for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...asked } = JSON.parse(line);
  let answer;
  try {
    answer = await calls[call](asked);
  } catch ({ name, message }) {
    answer = { error: name, message };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
