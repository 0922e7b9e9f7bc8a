// node clients/browser/tests/speed.mjs [chromium|firefox PROGRAM]: how long a 12-megapixel JPEG takes to seal.
// Medians of ten, after one that is not counted, with quartiles; decoding alone is timed in turns with it.
// In Chromium also the processor time of the page's process.
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
const timeout = 240_000, kind = name === "firefox" ? "firefox" : "chrome"; // machines may be busy
const browser = await puppeteer.launch({ browser: kind, executablePath, args, timeout, protocolTimeout: timeout });
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`, { timeout });

const megabytes = await page.evaluate(async (settings) => {
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
  const how = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" };
  const encryption = Encryption.fromDict(settings);
  const timed = async (work) => {
    const begin = performance.now();
    await work();
    return (performance.now() - begin) / 1000;
  };
  globalThis.seal = () => timed(() => encryption.encrypt(file));
  globalThis.decode = () => timed(async () => (await createImageBitmap(file, how)).close());
  return file.size / 1e6;
}, settings);

// What the page's process computes, on all of its threads: on a busy machine it says more than the clock.
const chromium = name === "chromium" && (await browser.target().createCDPSession());
const computed = async () => {
  if (!chromium) return NaN;
  const { processInfo } = await chromium.send("SystemInfo.getProcessInfo");
  return processInfo.filter(({ type }) => type === "renderer").reduce((sum, { cpuTime }) => sum + cpuTime, 0);
};
const times = { seal: [], decode: [] }, cpu = { seal: [], decode: [] };
for (let round = 0; round < 11; round++) {
  for (const what of ["seal", "decode"]) {
    const begin = await computed(), taken = await page.evaluate(`${what}()`), end = await computed();
    if (round) {
      times[what].push(taken);
      cpu[what].push(end - begin);
    }
  }
}

const quartiles = (times) => {
  const sorted = [...times].sort((a, b) => a - b), at = (share) => {
    const place = share * (sorted.length - 1), below = Math.floor(place), above = Math.min(below + 1, sorted.length - 1);
    return (sorted[below] + (place - below) * (sorted[above] - sorted[below])).toFixed(2);
  };
  return `${at(0.5)} (${at(0.25)} to ${at(0.75)}) s`;
};
const load = loadavg()[0].toFixed(0);
console.log(`${await browser.version()}, JPEG of 12 megapixels and ${megabytes.toFixed(1)} MB, load ${load}:`);
console.log(`sealed ${quartiles(times.seal)}, of which the browser's decoding ${quartiles(times.decode)}`);
if (chromium) console.log(`processor time of the page: ${quartiles(cpu.seal)}, its decoding ${quartiles(cpu.decode)}`);
await browser.close();
server.close();
