// Drives a browser by what is asked on standard input, one call a line, and answers a line of JSON each.
// node browser.mjs chromium|firefox PATH_OF_ITS_PROGRAM [CAMERA]: "fake", which shows a moving pattern and is allowed,
// or "denied"; without it there is none. http://unsafe.test is this machine, loaded as if it were not.
import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";

const [browserName, executablePath, camera] = process.argv.slice(2);
const asked = camera === "denied" ? "--deny-permission-prompts" : "--use-fake-ui-for-media-stream";
const chromium = ["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP unsafe.test 127.0.0.1", asked];
if (camera) chromium.push("--use-fake-device-for-media-stream");
const args = browserName === "chromium" ? chromium : [];
const extraPrefsFirefox = {
  "network.dns.localDomains": "unsafe.test",
  "media.navigator.streams.fake": Boolean(camera),
  "media.navigator.permission.disabled": camera !== "denied",
  "permissions.default.camera": camera === "denied" ? 2 : 0,
};
const timeout = 240_000, kind = browserName === "firefox" ? "firefox" : "chrome"; // machines may be busy
const browser = await puppeteer.launch({ browser: kind, executablePath, args, extraPrefsFirefox, timeout, protocolTimeout: timeout });
const AsyncFunction = (async () => {}).constructor;
let page, said = [], requests = [];

const calls = {
  async open({ url, width = 1200, height = 900, dark = false }) {
    const former = page;
    page = await browser.newPage();
    await former?.close();
    said = [];
    requests = [];
    page.on("request", (request) => requests.push(request.url()));
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(String(error)));
    if (browserName === "chromium") await page.setViewport({ width, height }); // Debian's Firefox does not know it
    if (dark) await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
    await page.goto(url, { timeout });
  },
  // The body of an async function of `given`.
  run: ({ body, given }) => page.evaluate(new AsyncFunction("given", body), given),
  upload: async ({ selector, path }) => (await page.$(selector)).uploadFile(path),
  press: ({ key }) => page.keyboard.press(key),
  // Until an expression holds; the driver's own way of waiting is refused by a strict policy.
  async wait({ body, seconds = 120 }) {
    for (const end = Date.now() + 1000 * seconds; Date.now() < end; ) {
      if (await page.evaluate(new AsyncFunction(`return ${body}`))) return;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    throw new Error(`${body} did not hold for ${seconds} seconds; the page said ${JSON.stringify(said)}`);
  },
  picture: ({ path, whole = true }) => page.screenshot({ path, fullPage: whole }).then(() => null),
  workers: () => page.workers().length,
  said: () => said,
  asked: () => requests,
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
