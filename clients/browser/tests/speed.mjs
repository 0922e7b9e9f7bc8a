// node clients/browser/tests/speed.mjs [chromium|firefox PROGRAM]: how long a 12-megapixel JPEG takes to seal.
// Medians of ten, after one that is not counted, with quartiles; decoding alone is timed in turns with it.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { loadavg } from "node:os";
import puppeteer from "puppeteer-core";

const [name = "chromium", executablePath = "/usr/bin/chromium"] = process.argv.slice(2);
const settings = {
  format_version: 1, strategy: "rs", image_size: 224, patch_size: 16, interval: 4, drop_ratio: 0,
  sub_patch_grid: 2, sub_patch_symmetries: true, patch_normalization: true,
};
const server = createServer(({ url }, answer) => {
  const script = url === "/hipmr.js";
  answer.setHeader("content-type", script ? "text/javascript" : "text/html");
  answer.end(script ? readFileSync(new URL("../hipmr.js", import.meta.url)) : "<!doctype html><title>speed</title>");
}).listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const args = name === "chromium" ? ["--no-sandbox"] : [];
const browser = await puppeteer.launch({ browser: name === "firefox" ? "firefox" : "chrome", executablePath, args });
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`);

const { seal, decode, megabytes } = await page.evaluate(async (settings) => {
  const { Encryption } = await import("/hipmr.js");
  const canvas = new OffscreenCanvas(4000, 3000), context = canvas.getContext("2d");
  const pixels = context.createImageData(4000, 3000), { data } = pixels;
  for (let i = 0, state = 1; i < data.length; i++) {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    const x = (i >> 2) % 4000, y = (i >> 2) / 4000;
    data[i] = i % 4 === 3 ? 255 : 128 + 90 * Math.sin(x / (90 + 40 * (i % 4))) * Math.cos(y / 130) + (state >>> 28);
  }
  context.putImageData(pixels, 0, 0);
  const file = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
  const encryption = Encryption.fromDict(settings), seal = [], decode = [];
  const how = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" };
  for (let round = 0; round < 11; round++) {
    const begin = performance.now();
    await encryption.encrypt(file);
    const middle = performance.now();
    (await createImageBitmap(file, how)).close();
    if (round) {
      seal.push(middle - begin);
      decode.push(performance.now() - middle);
    }
  }
  return { seal, decode, megabytes: file.size / 1e6 };
}, settings);

const quartiles = (times) => {
  const sorted = [...times].sort((a, b) => a - b), at = (share) => {
    const place = share * (sorted.length - 1), below = Math.floor(place), above = Math.min(below + 1, sorted.length - 1);
    return ((sorted[below] + (place - below) * (sorted[above] - sorted[below])) / 1000).toFixed(2);
  };
  return `${at(0.5)} (${at(0.25)} to ${at(0.75)}) s`;
};
const load = loadavg()[0].toFixed(0);
console.log(`${await browser.version()}, JPEG of 12 megapixels and ${megabytes.toFixed(1)} MB, load ${load}:`);
console.log(`sealed ${quartiles(seal)}, of which the browser's decoding ${quartiles(decode)}`);
await browser.close();
server.close();
