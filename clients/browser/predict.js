/** Ask a model about a sealed picture: by ONNX Runtime in this page, or at an endpoint. */

import { decodePixels } from "./hipmr.js";

const sessions = new Map();

const readJson = async (url) => {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} is not there; build the page with examples/space/build.py.`);
  return answer.json();
};

/** Sort as the Hub's image-classification API answers: [{label, score}], the likeliest first. */
const sorted = (answers) => [...answers].sort((a, b) => b.score - a.score);

/**
 * Run the model in this page.
 *
 * @param {Blob} sealed the encrypted PNG file.
 * @param {string} folder where the export lies: onnx/model.onnx, config.json, preprocessor_config.json.
 */
export async function predictHere(sealed, folder) {
  if (!sessions.has(folder)) sessions.set(folder, load(folder));
  const { ort, session, config, processor } = await sessions.get(folder).catch((error) => {
    sessions.delete(folder);
    throw error;
  });
  const { data, width, height } = await decodePixels(sealed);
  const values = new Float32Array(data.length), size = width * height;
  const scale = processor.do_rescale === false ? 1 : processor.rescale_factor ?? 1 / 255;
  const { image_mean: mean, image_std: std } = processor.do_normalize === false ? {} : processor;
  for (let channel = 0; channel < 3; channel++) {
    const middle = mean?.[channel] ?? 0, spread = std?.[channel] ?? 1;
    for (let i = 0; i < size; i++) values[channel * size + i] = (data[3 * i + channel] * scale - middle) / spread;
  }
  const input = new ort.Tensor("float32", values, [1, 3, height, width]);
  const outputs = await session.run({ [session.inputNames[0]]: input });
  const logits = Array.from((outputs.logits ?? outputs[session.outputNames[0]]).data, Number);
  const most = Math.max(...logits), shares = logits.map((logit) => Math.exp(logit - most));
  const sum = shares.reduce((a, b) => a + b, 0);
  return sorted(shares.map((share, i) => ({ label: config.id2label?.[i] ?? `LABEL_${i}`, score: share / sum })));
}

async function load(folder) {
  const ort = await import("./ort/ort.wasm.min.mjs");
  ort.env.wasm.numThreads = 1; // more need a page that is isolated from others
  ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
  const [config, processor, model] = await Promise.all([
    readJson(`${folder}/config.json`),
    readJson(`${folder}/preprocessor_config.json`),
    fetch(`${folder}/onnx/model.onnx`).then((answer) => answer.arrayBuffer()),
  ]);
  return { ort, config, processor, session: await ort.InferenceSession.create(new Uint8Array(model)) };
}

/**
 * Send the sealed picture to an endpoint that speaks the Hub's image-classification API.
 *
 * @param {Blob} sealed the encrypted PNG file, which is all that is sent.
 * @param {string} endpoint its address.
 * @param {string} token a token, if it asks for one.
 */
export async function predictThere(sealed, endpoint, token) {
  const headers = { "content-type": "image/png", accept: "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  const how = { method: "POST", headers, body: sealed, credentials: "omit", referrerPolicy: "no-referrer" };
  const answer = await fetch(endpoint, how).catch(() => {
    throw new Error(`${endpoint} cannot be reached; check the address, and connect-src in this page's policy.`);
  });
  const said = await answer.json().catch(() => null);
  if (!answer.ok || !Array.isArray(said)) {
    throw new Error(`${endpoint} answered ${answer.status}: ${said?.error ?? "no predictions"}.`);
  }
  return sorted(said);
}
