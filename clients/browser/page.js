/** The page: a picture is chosen, sealed, shown as it is sent, and the model is asked. */

import { Encryption } from "./hipmr.js";
import { predictHere, predictThere } from "./predict.js";

const element = (id) => document.getElementById(id);
const SHOWN_BYTES = 512, SHOWN_ANSWERS = 5;

let encryption, about = {}, sealed = null, urls = [];

// What the page's folder says of the model -------------------------------------------------------------------

async function start() {
  const answer = await fetch("page.json").catch(() => null);
  if (!answer?.ok) {
    throw new Error("There is no page.json here; build the page for a model with examples/space/build.py.");
  }
  about = await answer.json();
  encryption = await Encryption.fromPretrained(about.model);
  element("model").textContent = `Model: ${about.name}. Settings: ${describe(encryption)}.`;
  element("endpoint").textContent = about.endpoint ?? "";
  for (const [where, can] of [["here", about.onnx], ["endpoint", about.endpoint]]) {
    const choice = document.querySelector(`[value=${where}]`);
    choice.closest("label").hidden = choice.disabled = !can;
  }
  document.querySelector("[name=where]:enabled")?.click();
  element("ask").parentElement.hidden = !(about.onnx || about.endpoint);
  element("viewers").textContent = about.viewers ?? "";
  element("limits").replaceChildren(...(about.limits ?? []).map((said) => item(said)));
  showExample(about.example);
  showFigures(about.figures);
  element("file").disabled = false;
  element("camera").disabled = false;
  say("Ready for a picture.");
}

/** A picture that everybody may see, attacked when the page was built. */
function showExample(example) {
  element("example").hidden = !example;
  if (!example) return;
  for (const name of ["plain", "sealed", "attacked"]) {
    const image = element(`example-${name}`);
    image.closest("figure").hidden = !example[name];
    if (example[name]) image.src = example[name];
  }
  element("example-said").textContent = example.said;
}

function showFigures(figures) {
  element("figures").hidden = !figures;
  if (!figures) return;
  element("figures-caption").textContent = `Measured for these settings, the preset ${figures.preset}; all are lower bounds`;
  for (const row of figures.rows) {
    const line = element("rows").insertRow();
    for (const cell of row) line.insertCell().textContent = cell;
  }
}

function describe(encryption) {
  const { format_version: _, strategy, ...settings } = encryption.toDict();
  const told = Object.entries(settings).filter(([name, value]) => value && !(name === "sub_patch_grid" && value === 1)); // what is off is left out
  const words = told.map(([name, value]) => name.replaceAll("_", " ") + (value === true ? "" : ` ${typeof value === "string" ? value : JSON.stringify(value)}`));
  return [strategy === "rs" ? "random shuffling" : "mixing-up", ...words].join(", ");
}

function item(content) {
  const line = document.createElement("li");
  line.append(content);
  return line;
}

function say(text) {
  element("status").textContent = text;
}

/** Run a step, and tell what goes wrong where it can be seen and heard. */
async function tell(step) {
  element("problem").hidden = true;
  try {
    await step();
  } catch (error) {
    say("");
    element("problem").textContent = error.message;
    element("problem").hidden = false;
  }
}

// Sealing ----------------------------------------------------------------------------------------------------

const take = (picture, plain) =>
  tell(async () => {
    say("Encrypting…");
    element("found").hidden = true;
    element("answers").replaceChildren();
    const begin = performance.now();
    sealed = await encryption.encrypt(picture);
    element("taken").textContent = `${Math.round(performance.now() - begin)} ms`;
    urls.forEach((url) => URL.revokeObjectURL(url));
    urls = [URL.createObjectURL(plain), URL.createObjectURL(sealed)];
    element("plain").src = urls[0];
    element("sealed").src = element("download").href = urls[1];
    await showBytes(new Uint8Array(await sealed.arrayBuffer()));
    element("found").hidden = false;
    say("Encrypted. Nothing has been sent.");
  });

async function showBytes(bytes) {
  const hex = (some) => Array.from(some, (byte) => byte.toString(16).padStart(2, "0"));
  element("size").textContent = `${bytes.length.toLocaleString("en")}, a PNG file without metadata`;
  const digest = await crypto.subtle?.digest("SHA-256", bytes); // over https and from localhost alone
  element("digest").closest("div").hidden = !digest;
  if (digest) element("digest").textContent = hex(new Uint8Array(digest)).join("");
  const shown = hex(bytes.subarray(0, SHOWN_BYTES)), rest = bytes.length - shown.length;
  const lines = shown.join(" ").match(/.{1,48}/g).join("\n");
  element("bytes").textContent = rest > 0 ? `${lines}\n… and ${rest.toLocaleString("en")} more` : lines;
}

element("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  if (file) take(file, file);
});

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    element("drop").classList.toggle("over", kind === "dragover");
    const file = kind === "drop" ? event.dataTransfer.files[0] : null;
    if (!file || !encryption) return;
    element("file").files = event.dataTransfer.files; // its name stands there
    take(file, file);
  });
}

// The camera -------------------------------------------------------------------------------------------------

const NO_CAMERA = {
  NotAllowedError: "This page may not use the camera; allow it beside the page's address, or choose a picture instead.",
  NotFoundError: "This device has no camera; choose a picture instead.",
  NotReadableError: "The camera does not answer; close what else uses it, or choose a picture instead.",
};

element("camera").addEventListener("click", ({ target }) =>
  tell(async () => {
    if (!navigator.mediaDevices) {
      throw new Error("The camera needs a page that was loaded over https or from localhost; choose a picture instead.");
    }
    target.disabled = true; // a second click would open it twice
    try {
      const how = { video: { facingMode: "environment" } };
      element("video").srcObject = await navigator.mediaDevices.getUserMedia(how).catch(({ name, message }) => {
        throw new Error(NO_CAMERA[name] ?? `The camera cannot be used (${message}); choose a picture instead.`);
      });
      element("take").disabled = true; // until there is something to take
      element("viewfinder").showModal();
      await element("video").play().catch(() => {}); // it was closed meanwhile
      element("take").disabled = false;
    } finally {
      target.disabled = false;
    }
  }),
);

element("take").addEventListener("click", () =>
  tell(async () => {
    const video = element("video"), canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    const picture = await createImageBitmap(canvas);
    const plain = await new Promise((resolve) => canvas.toBlob(resolve));
    element("viewfinder").close();
    element("file").value = "";
    await take(picture, plain);
  }),
);

element("close").addEventListener("click", () => element("viewfinder").close());
element("viewfinder").addEventListener("close", () => {
  element("video").srcObject.getTracks().forEach((track) => track.stop());
  element("video").srcObject = null;
});

// Asking -----------------------------------------------------------------------------------------------------

const asksEndpoint = () => document.querySelector("[name=where]:checked").value === "endpoint";

element("form").addEventListener("change", () => {
  element("secret").hidden = !asksEndpoint();
});

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  tell(async () => {
    element("predict").disabled = true;
    say(asksEndpoint() ? "Sending the encrypted picture…" : "The model is working in this page…");
    try {
      const answers = asksEndpoint()
        ? await predictThere(sealed, about.endpoint, element("token").value)
        : await predictHere(sealed, about.model);
      element("answers").replaceChildren(...answers.slice(0, SHOWN_ANSWERS).map(lineOf));
      say(`The model says: ${answers[0].label}.`);
    } finally {
      element("predict").disabled = false;
    }
  });
});

function lineOf({ label, score }) {
  const line = item(label), meter = document.createElement("meter"), share = `${(100 * score).toFixed(1)} %`;
  meter.value = score;
  meter.setAttribute("aria-label", `${label}: ${share}`);
  line.append(meter, share);
  line.dataset.score = score;
  return line;
}

tell(start);
