// Drives a browser by what is asked on standard input, one call a line, and answers a line of JSON each.
// node browser.mjs chromium|firefox PATH_OF_ITS_PROGRAM
import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";

const [browserName, executablePath] = process.argv.slice(2);
const args = browserName === "chromium" ? ["--no-sandbox", "--disable-dev-shm-usage"] : [];
const browser = await puppeteer.launch({ browser: browserName === "firefox" ? "firefox" : "chrome", executablePath, args });
let page, said = [];

const calls = {
  async open({ url, width = 1200, height = 900, dark = false }) {
    await page?.close();
    page = await browser.newPage();
    said = [];
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(String(error)));
    if (browserName === "chromium") await page.setViewport({ width, height }); // Debian's Firefox does not know it
    if (dark) await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
    await page.goto(url);
  },
  // The body of an async function of `given`.
  run: ({ body, given }) =>
    page.evaluate((body, given) => Object.getPrototypeOf(async () => {}).constructor("given", body)(given), body, given),
  upload: async ({ selector, path }) => (await page.$(selector)).uploadFile(path),
  press: ({ key }) => page.keyboard.press(key),
  wait: ({ body, seconds = 30 }) => page.waitForFunction(body, { timeout: 1000 * seconds }).then(() => null),
  picture: ({ path, whole = true }) => page.screenshot({ path, fullPage: whole }).then(() => null),
  workers: () => page.workers().length,
  said: () => said,
  version: () => browser.version(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...asked } = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await calls[call](asked)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
await browser.close();
