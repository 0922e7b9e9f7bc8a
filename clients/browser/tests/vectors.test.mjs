// node --test clients/browser/tests: the known answers of tests/vectors/encryption.json, which Python gives too.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Encryption } from "../hipmr.js";
import { drawPicture, fromHex, sha256 } from "./pictures.mjs";

const vectors = JSON.parse(readFileSync(new URL("../../../tests/vectors/encryption.json", import.meta.url)));

for (const { name, settings, key, nonce, picture, size, sha256: expected } of vectors) {
  test(`${name}, ${picture.height}x${picture.width}`, async () => {
    const secrets = key ? { key: fromHex(key), nonce: fromHex(nonce) } : {};
    const encryption = Encryption.fromDict(settings);
    const sealed = await encryption.encryptPixels(drawPicture(picture), secrets);
    assert.deepEqual([sealed.height, sealed.width], size);
    assert.equal(await sha256(sealed.data), expected);
    assert.deepEqual(encryption.toDict(), settings);
    if (encryption.encryptedSize) assert.deepEqual(encryption.encryptedSize, size);
    if (key && settings.strategy === "rs" && !encryption.losses.length) {
      const opened = await encryption.decryptPixels(sealed, secrets);
      assert.deepEqual(Buffer.from(opened.data), Buffer.from(encryption.prepare(drawPicture(picture)).data));
    }
  });
}
