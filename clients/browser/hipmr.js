/**
 * Sealed upload: encrypt a picture where it lies, byte for byte as hipmr-hf does in Python.
 *
 * One file without dependencies, for browsers and, as to pixels, for node 18 or newer. Types and descriptions:
 * hipmr.d.ts. Names and the order of all arithmetic are Python's: src/hipmr_hf/encryption. Both sides read
 * tests/vectors/encryption.json. It is kept below 12 KB minified, so messages are short and helpers few.
 */

const SETTINGS_FILE = "encryption_config.json";
const MIXING = [
  "image_size", "patch_size", "sub_patch_grid",
  "sub_patch_symmetries", "patch_normalization", "shuffle_tones", "jpeg_decoding",
];

/** Settings that this file knows, by strategy: a test holds them against Python's. */
export const FIELDS = { rs: [...MIXING, "interval", "drop_ratio"], mi: MIXING };

// Younger than the format: left out where they are off.
const LATER = { shuffle_tones: false, jpeg_decoding: "full" };
// Settings that lose no pixel; any other value of one of them cannot be undone, whatever the key.
const LOSSLESS = { interval: 0, drop_ratio: 0, sub_patch_grid: 1, patch_normalization: false, shuffle_tones: false };

const MAX_SIDE = 65535, MAX_AREA = 2 ** 26, MAX_PATCHES = 2 ** 17;
const MAX_PIXELS = 89478485; // of a file: Pillow's bound
const LEAST_PATCHES = 3, FEW_PATCHES = 28;

/** What a caller can mend: which argument, what came, what is allowed, and what to do where that is not plain. */
export class InputError extends Error {
  name = "InputError";
}

const fail = (message) => {
  throw new InputError(message + ".");
};
const refuse = (name, got, expected) => fail(`${name}: got ${got}, expected ${expected}`);
const show = (value) => JSON.stringify(value) ?? "nothing";
const isObject = (value) => !!value && typeof value === "object" && !Array.isArray(value);
const { floor, max, min, trunc, abs, sqrt, ceil, fround: f32 } = Math;

// Settings ---------------------------------------------------------------------------------------------------

function checkWhole(name, value, least, most) {
  if (!Number.isInteger(value) || value < least || value > most) {
    refuse(name, show(value), `a whole number from ${least} to ${most}`);
  }
}

function checkSize(sides, patch) {
  if (sides.length !== 2) refuse("image_size", show(sides), "a whole number or [height, width]");
  for (const side of sides) {
    checkWhole("image_size", side, patch, MAX_SIDE);
    if (side % patch) refuse("image_size", side, `whole patches of ${patch}, such as ${side - (side % patch)}`);
  }
  checkCost(...sides, patch);
}

function checkCost(height, width, patch) {
  if (height * width > MAX_AREA || floor(height / patch) * floor(width / patch) > MAX_PATCHES) {
    refuse("image_size", `${height}x${width}`, `at most ${MAX_AREA} pixels in ${MAX_PATCHES} patches`);
  }
}

function checkGrid(grid, size) {
  if (size % grid) refuse("sub_patch_grid", grid, `a divisor of the patch's ${size} pixels`);
}

function checkTones({ toned, patch }, height, width) {
  if (toned && floor(height / patch) * floor(width / patch) < LEAST_PATCHES) {
    refuse("shuffle_tones", `${height}x${width} pixels`, `${LEAST_PATCHES} patches of ${patch} or more; leave it out`);
  }
}

/** Check settings, and give them the short names that the rest of this file uses. */
function planOf(strategy, settings) {
  const {
    image_size: size, patch_size: patch, sub_patch_grid: grid, interval = 0, drop_ratio: drop = 0,
    sub_patch_symmetries: turned, patch_normalization: even, shuffle_tones: toned, jpeg_decoding: decoding,
  } = settings;
  const rs = strategy === "rs";
  const fixed = Array.isArray(size) ? size : isObject(size) || (!rs && size === null) ? null : [size, size];
  const plan = { rs, size, fixed, patch, grid, interval, turned, even, toned };
  checkWhole("patch_size", patch, 1, MAX_SIDE);
  checkWhole("sub_patch_grid", grid, rs ? 1 : 2, 16);
  for (const value of [turned, even, toned]) {
    if (typeof value !== "boolean") refuse(MIXING.slice(3, 6).join(", "), show(value), "true or false");
  }
  if (toned && even) fail("shuffle_tones, patch_normalization: got true for both; choose one of them");
  if (!/^(full|reduced)$/.test(decoding)) refuse("jpeg_decoding", show(decoding), '"full" or "reduced"');
  if (fixed) checkSize(fixed, patch);
  else if (size) {
    if (rs) refuse("image_size", show(size), "a whole number or [height, width]");
    checkWhole("shorter", size.shorter, patch, MAX_SIDE);
    if (size.longer != null) checkWhole("longer", size.longer, size.shorter, MAX_SIDE);
    checkCost(size.shorter, size.shorter, patch);
  }
  if (rs) {
    checkWhole("interval", interval, 0, patch - 1);
    if (interval % 2) refuse("interval", interval, "an even number: half goes from each side");
    if (typeof drop !== "number" || !(drop >= 0 && drop < 1)) refuse("drop_ratio", show(drop), "0 <= drop_ratio < 1");
  }
  checkGrid(grid, (plan.kept = patch - interval));
  plan.wide = plan.kept / grid;
  if (!fixed) return plan;
  if (!rs) checkTones(plan, ...fixed);
  const all = (fixed[0] / patch) * (fixed[1] / patch), exact = all * (1 - drop), up = Math.round(exact);
  plan.count = up - exact === 0.5 && up % 2 ? up - 1 : up; // half to even
  if (rs && (all < LEAST_PATCHES || plan.count < 2)) {
    refuse("image_size, patch_size, drop_ratio", `${plan.count} of ${all} patches`, `at least 2 of ${LEAST_PATCHES}`);
  }
  return plan;
}

/** json.dumps(settings, sort_keys=True, separators=(",", ":")); a drop ratio is a float there. */
function pythonJson(value, name) {
  if (name === "drop_ratio") {
    if (!value) return Object.is(value, -0) ? "-0.0" : "0.0";
    return value < 1e-4 ? value.toExponential().replace(/-(\d)$/, "-0$1") : show(value);
  }
  if (!isObject(value)) return show(value);
  return `{${Object.keys(value).sort().map((key) => show(key) + ":" + pythonJson(value[key], key))}}`;
}

/** Where a picture lands: for height and width, the resized length, and the window's begin and length. */
function placementOf(plan, height, width) {
  const { patch, fixed, size } = plan, sides = [height, width], short = min(...sides);
  if (short < patch) refuse("image", `${height}x${width} pixels`, `at least one patch of ${patch}`);
  let scale = fixed ? max(fixed[0] / height, fixed[1] / width) : 1;
  if (size?.shorter) {
    scale = (size.longer == null ? size.shorter : min(size.shorter, (size.longer * short) / max(...sides))) / short;
  }
  const placed = sides.map((side, axis) => {
    if (fixed) {
      const kept = fixed[axis], length = max(kept, trunc(side * scale));
      return { length, first: floor((length - kept + 1) / 2), kept };
    }
    const length = size ? trunc(side * scale + 1e-6) : side, kept = max(patch, length - (length % patch));
    return { length: size ? kept : length, first: 0, kept };
  });
  const [rows, columns] = placed.map((side) => side.kept);
  if (size && (max(rows, columns) > MAX_SIDE || rows * columns > max(MAX_AREA, height * width))) {
    fail(`image: ${height}x${width} pixels would become ${rows}x${columns}; choose smaller sides`);
  }
  checkTones(plan, rows, columns);
  return placed;
}

/** Rows and columns of the encrypted picture's patches: as square as can be where some were dropped. */
function mosaicOf({ rs, count }, rows, cols) {
  if (!rs || count === rows * cols) return [rows, cols];
  let shorter = floor(sqrt(count));
  while (count % shorter) shorter--;
  return [shorter, count / shorter];
}

/** The settings of one encryption, and what they do to pictures. */
export class Encryption {
  #plan;

  constructor(strategy, settings) {
    this.strategy = strategy;
    this.settings = Object.freeze(settings);
    this.#plan = planOf(strategy, settings);
  }

  static fromDict(settings) {
    const { format_version: version, strategy, ...values } = isObject(settings) ? settings : {};
    if (version !== 1) refuse("format_version", show(version), "1; take the hipmr.js of the release that wrote it");
    const known = Object.hasOwn(FIELDS, strategy) ? FIELDS[strategy] : refuse("strategy", show(strategy), '"rs" or "mi"');
    const unknown = Object.keys(values).filter((name) => !known.includes(name));
    const missing = known.filter((name) => !(name in values || name in LATER));
    if (unknown[0] || missing[0]) fail(`settings: unknown ${show(unknown)}, missing ${show(missing)}; known are ${show(known)}`);
    return new Encryption(strategy, { ...LATER, ...values });
  }

  static async fromPretrained(place, { revision = "main", repoType, token, hub = "https://huggingface.co" } = {}) {
    const named = /^\w[\w.-]*(\/[\w.-]+)?$/.test(place) && !/\.json$/.test(place);
    const bases = { model: "", dataset: "datasets/" }, kinds = repoType ? [repoType] : ["model", "dataset"];
    const folders = named ? kinds.map((kind) => `${hub}/${bases[kind]}${place}/resolve/${revision}`) : [place.replace(/\/$/, "")];
    for (const folder of folders) {
      const url = /\.json$/.test(folder) ? folder : `${folder}/${SETTINGS_FILE}`;
      const answer = await fetch(url, token ? { headers: { authorization: "Bearer " + token } } : {}).catch(() => {
        fail(`repoOrUrl: ${url} cannot be reached; check the address, and what this page may connect to`);
      });
      if (!answer.ok) continue;
      return Encryption.fromDict(await answer.json().catch(() => fail(`repoOrUrl: ${url} is not valid JSON; take it again`)));
    }
    fail(`repoOrUrl: there is no ${SETTINGS_FILE} in ${place}; every checkpoint trained on encrypted pictures has one`);
  }

  toDict() {
    const values = Object.entries(this.settings).filter(([name, value]) => value !== LATER[name]);
    return { format_version: 1, strategy: this.strategy, ...Object.fromEntries(values) };
  }

  get encryptedPatchSize() {
    return this.#plan.wide;
  }

  get numPatches() {
    return this.#plan.count ?? null;
  }

  get encryptedSize() {
    const { fixed, patch, wide } = this.#plan;
    return fixed && mosaicOf(this.#plan, fixed[0] / patch, fixed[1] / patch).map((side) => side * wide);
  }

  get losses() {
    const lost = Object.keys(LOSSLESS).filter((name) => (this.settings[name] ?? LOSSLESS[name]) !== LOSSLESS[name]);
    return lost.map((name) => `${name}=${this.settings[name]}`);
  }

  get drawsRandomness() {
    const { rs, turned, toned } = this.#plan;
    return rs || turned || toned;
  }

  prepare(pixels) {
    const { height, width } = checkPixels(pixels);
    return place(opaque(pixels), placementOf(this.#plan, height, width));
  }

  async encryptPixels(pixels, { key, nonce } = {}) {
    const prepared = this.prepare(pixels);
    await this.#claim(key, nonce);
    return this.#seal(prepared, key, nonce);
  }

  async decryptPixels(pixels, { key, nonce } = {}) {
    this.#checkReversible(key, nonce);
    return this.#open(pixels, key, nonce);
  }

  async encrypt(picture, { key, nonce } = {}) {
    await this.#claim(key, nonce);
    return inWorker(this, true, picture, key, nonce);
  }

  async decrypt(picture, { key, nonce } = {}) {
    this.#checkReversible(key, nonce);
    return inWorker(this, false, picture, key, nonce);
  }

  /** What the worker does: a picture to the bytes of a PNG file. */
  async _file(sealing, picture, key, nonce) {
    const pixels = await decodePixels(picture);
    return encodePng(await (sealing ? this.#seal(this.prepare(pixels), key, nonce) : this.#open(pixels, key, nonce)));
  }

  async #seal(prepared, key, nonce) {
    const { patch } = this.#plan, rows = prepared.height / patch, cols = prepared.width / patch;
    return encryptPatches(this.#plan, prepared, await this.#draw(rows, cols, key, nonce), rows, cols);
  }

  async #open(pixels, key, nonce) {
    const { fixed: [height, width], patch } = this.#plan, cols = width / patch;
    if (checkPixels(pixels).height !== height || pixels.width !== width) {
      refuse("image", `${pixels.height}x${pixels.width} pixels`, `${height}x${width} (image_size)`);
    }
    const { order, turns } = await this.#draw(height / patch, cols, key, nonce), source = opaque(pixels).data;
    const data = new Uint8Array(source.length), at = (n) => 3 * patch * (floor(n / cols) * width + (n % cols));
    order.forEach((origin, n) => {
      const turn = turns ? [0, 1, 2, 3, 4, 6, 5, 7][turns[origin]] : 0; // the inverse
      copySquare(source, at(n), 3 * width, data, at(origin), 3 * width, patch, turn);
    });
    return { data, width, height };
  }

  async #claim(key, nonce) {
    if (key == null && nonce == null) return;
    if (!this.drawsRandomness) fail("key: these settings draw no randomness, so a key has no effect; leave it out");
    checkSecrets(key, nonce);
    const used = await derive(key, text("hipmr-hf key fingerprint"), 32) + "" + nonce;
    if (USED.has(used)) fail("nonce: it was used with this key before, and no two images may share one; draw it with newNonce()");
    USED.add(used);
  }

  #checkReversible(key, nonce) {
    if (this.losses[0] || !this.#plan.rs) fail(`decrypt: ${this.losses} lost pixels for good; keep the plain images`);
    if (key == null && nonce == null) fail("key, nonce: without those of the encryption nobody can decrypt");
    checkSecrets(key, nonce);
  }

  /** Read the order of patches, then turns, then the order of tones off one stream; see Python's `_draw`. */
  async #draw(rows, cols, key, nonce) {
    const { rs, grid, turned, toned, count = rows * cols } = this.#plan, all = rows * cols;
    const { jpeg_decoding: _, ...values } = this.toDict();
    if (isObject(values.image_size)) values.image_size = { longer: null, ...values.image_size };
    const read = async (start, stop) => {
      if (!key) return randomBytes(stop - start);
      return (await stream(key, "hipmr-hf stream|" + pythonJson(values), nonce, stop)).subarray(start);
    };
    const shuffled = rs ? 8 * all : 0, dealt = toned ? 8 * all : 0, draws = shuffled + (turned ? all * grid * grid : 0);
    let end = draws + dealt;
    const bytes = await read(0, end), turns = turned && bytes.subarray(shuffled, draws).map((byte) => byte % 8);
    let order = rs && orderFrom(bytes.subarray(0, shuffled)), tones = toned && orderFrom(bytes.subarray(draws));
    while (count < FEW_PATCHES && standsStill(order, tones, count)) {
      const again = await read(end, (end += shuffled + dealt));
      order = rs && orderFrom(again.subarray(0, shuffled));
      tones = toned && orderFrom(again.subarray(shuffled));
    }
    return { order, turns, tones };
  }
}

// Randomness -------------------------------------------------------------------------------------------------

const USED = new Set();
const text = (string) => new TextEncoder().encode(string);
const subtle = () => globalThis.crypto?.subtle ?? fail("key: keys need a page that was loaded over https or from localhost");

function checkSecrets(key, nonce) {
  for (const [name, value, size] of [["key", key, 32], ["nonce", nonce, 16]]) {
    if (!(value instanceof Uint8Array) || value.length !== size) {
      fail(`${name}: expected a Uint8Array of ${size} bytes; key and nonce go together, newKey() and newNonce() draw them`);
    }
  }
  if (new Set(key).size < 17 || key.every((byte) => (byte > 31 && byte < 127) || (byte > 8 && byte < 14))) {
    fail("key: it is text, or few bytes over and over, and can be guessed; draw it with newKey()");
  }
}

/** Fresh bytes of the system's entropy; a browser gives 65,536 a call. */
function randomBytes(count) {
  const bytes = new Uint8Array(count);
  for (let i = 0; i < count; i += 65536) crypto.getRandomValues(bytes.subarray(i, i + 65536));
  return bytes;
}

export const newNonce = () => randomBytes(16);
export const newKey = () => randomBytes(32);

/** Take the key out of the text of a key file. */
export async function readKey(file) {
  const [, id, secret] = /^hipmr-hf secret key, version 1\s+key id: (\w+)\s+key: (\S+)/.exec(file) ?? fail("file: it is no key file of 'hipmr keygen'");
  const key = Uint8Array.from(atob(secret), (char) => char.charCodeAt());
  const found = Array.from(await derive(key, text("hipmr-hf key id"), 8), (byte) => (byte + 256).toString(16).slice(1));
  if (found.join("") !== id) fail("file: the key file is damaged; use a backup");
  return key;
}

/** HKDF-SHA256 (RFC 5869) with an empty salt. */
async function derive(secret, info, count) {
  const base = await subtle().importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  return new Uint8Array(await subtle().deriveBits({ name: "HKDF", hash: "SHA-256", salt: text(""), info }, base, 8 * count));
}

/** The stream of one picture: AES-256 in counter mode, under a key derived for it alone. */
async function stream(secret, info, nonce, count) {
  const name = "AES-CTR", derived = await derive(secret, new Uint8Array([...text(info + "|"), ...nonce]), 32);
  const cipher = await subtle().importKey("raw", derived, name, false, ["encrypt"]);
  return new Uint8Array(await subtle().encrypt({ name, counter: new Uint8Array(16), length: 128 }, cipher, new Uint8Array(count)));
}

/** Sort 64-bit little-endian words: their order is the permutation, and equal words keep theirs. */
function orderFrom(bytes) {
  const view = viewOf(bytes), order = Uint32Array.from({ length: bytes.length / 8 }, (_, i) => i);
  const [low, high] = [0, 4].map((start) => order.map((i) => view.getUint32(8 * i + start, true)));
  return order.sort((a, b) => high[a] - high[b] || low[a] - low[b]);
}

/** Whether an order leaves more than half of the kept patches, or of their tones, in place. */
function standsStill(order, tones, count) {
  const places = Array.from({ length: count }, (_, i) => i), most = (equal) => 2 * places.filter(equal).length > count;
  if (!order) return most((i) => tones[i] === i);
  const dealt = tones && orderAmong(order.subarray(0, count), tones);
  return most((i) => order[i] === i) || (tones && most((i) => dealt[order[i]] === order[i]));
}

/** Whose tone each patch gets, where only some patches are kept and these are shuffled. */
function orderAmong(textures, tones) {
  const kept = new Set(textures), dealt = tones.filter((patch) => kept.has(patch)), order = [];
  textures.forEach((patch, i) => (order[patch] = dealt[i]));
  return order;
}

// Patches ----------------------------------------------------------------------------------------------------

/** Copy a square of 3-channel pixels, turned: bit 2 transposes, then bit 1 flips rows, bit 0 columns. */
function copySquare(source, from, stride, target, to, toStride, side, turn) {
  let down = turn & 4 ? 3 : stride, right = turn & 4 ? stride : 3;
  if (turn & 2) from -= (side - 1) * (down = -down);
  if (turn & 1) from -= (side - 1) * (right = -right);
  for (let y = 0; y < side; y++) {
    for (let x = 0, i = from + y * down, o = to + y * toStride; x < side; x++, i += right, o += 3) {
      target[o] = source[i];
      target[o + 1] = source[i + 1];
      target[o + 2] = source[i + 2];
    }
  }
}

/** Erode, turn, mix and even patches, change their tones, and put each into its place. */
function encryptPatches(plan, { data: source, width: sourceWidth }, { order, turns, tones }, rows, cols) {
  const { patch, grid, interval, wide: side, even } = plan, parts = grid * grid, area = side * side * 3;
  const [down, across] = mosaicOf(plan, rows, cols), height = down * side, width = across * side;
  const places = order ? order.subarray(0, plan.count) : Uint32Array.from({ length: rows * cols }, (_, i) => i);
  const data = new Uint8ClampedArray(height * width * 3), square = new Uint8Array(area), values = new Float64Array(area);

  // The sums of the sub-patches of one patch.
  const mix = (position) => {
    values.fill(0);
    const top = floor(position / cols) * patch + interval / 2, left = (position % cols) * patch + interval / 2;
    for (let part = 0; part < parts; part++) {
      const from = 3 * ((top + floor(part / grid) * side) * sourceWidth + left + (part % grid) * side);
      copySquare(source, from, 3 * sourceWidth, square, 0, 3 * side, side, turns ? turns[position * parts + part] : 0);
      for (let i = 0; i < area; i++) values[i] += square[i];
    }
  };

  const found = [], among = tones && order ? orderAmong(places, tones) : tones;
  if (tones) {
    for (const position of places) {
      mix(position);
      found[position] = toneOf(values, side);
    }
  }
  places.forEach((position, place) => {
    mix(position);
    if (even) normalize(values, side, parts);
    else if (tones) dealTone(values, found[position], found[among[position]], parts);
    else for (let i = 0; i < area; i++) values[i] = floor((values[i] + (parts >> 1)) / parts);
    const start = 3 * side * (floor(place / across) * width + (place % across));
    for (let y = 0; y < side; y++) {
      // Rounds half to even and cuts to 0..255: so Uint8ClampedArray is defined.
      data.set(values.subarray(3 * side * y, 3 * side * (y + 1)), start + 3 * width * y);
    }
  });
  return { data, width, height };
}

/** 128 + 40 (x - mean) / (std + 8), per channel: pixels are float32 after each step, statistics float64. */
function normalize(values, side, count) {
  const mean = (channel, value) => {
    let sum = 0;
    for (let x = channel; x < 3 * side; x += 3) {
      let column = 0;
      for (let i = x; i < values.length; i += 3 * side) column += value(values[i]);
      sum += column;
    }
    return sum / (side * side);
  };
  const each = (channel, change) => {
    for (let i = channel; i < values.length; i += 3) values[i] = change(values[i]);
  };
  for (let channel = 0; channel < 3; channel++) {
    each(channel, (value) => f32(value * f32(1 / count)));
    const middle = mean(channel, (value) => value);
    each(channel, (value) => f32(value - middle));
    const factor = 40 / (sqrt(mean(channel, (value) => f32(value * value))) + 8);
    each(channel, (value) => f32(f32(value * factor) + 128));
  }
}

/** Mean and contrast of a patch per channel, both `count` times too large: see Python's `deal_tones`. */
function toneOf(sums, side) {
  const size = side * side;
  return [0, 1, 2].map((channel) => {
    let total = 0, squares = 0;
    for (let i = channel; i < sums.length; i += 3) {
      total += sums[i];
      squares += sums[i] * sums[i];
    }
    return [total / size, sqrt(size * squares - total * total) / size];
  });
}

function dealTone(values, own, other, count) {
  own.forEach(([mean, contrast], channel) => {
    const [level, wanted] = other[channel];
    const middle = f32(mean), factor = f32(wanted / max(contrast, count * 2) / count), base = f32(level / count);
    for (let i = channel; i < values.length; i += 3) values[i] = f32(f32(f32(values[i] - middle) * factor) + base);
  });
}

// Resizing: Pillow's bicubic, in its own fixed point ----------------------------------------------------------

function checkPixels(pixels) {
  const { data, width, height } = pixels ?? {}, channels = data?.length / (width * height);
  if (!/^Uint8(Clamped)?Array$/.test(data?.constructor.name) || (channels !== 3 && channels !== 4)) {
    refuse("image", `${data?.length} values for ${width}x${height}`, "bytes {data, width, height} of 3 or 4 channels");
  }
  return pixels;
}

/** Three channels: what is transparent is laid over white. */
function opaque({ data, width, height }) {
  if (data.length === 3 * width * height) return { data, width, height };
  const rgb = new Uint8Array(3 * width * height);
  overWhite(data, rgb, 0);
  return { data: rgb, width, height };
}

function overWhite(rgba, rgb, o) {
  for (let i = 0; i < rgba.length; i += 4, o += 3) {
    const alpha = rgba[i + 3];
    rgb[o] = rgba[i];
    rgb[o + 1] = rgba[i + 1];
    rgb[o + 2] = rgba[i + 2];
    if (alpha < 255) for (let c = o; c < o + 3; c++) rgb[c] = (rgb[c] * alpha + 255 * (255 - alpha) + 127) / 255;
  }
}

/** Resize columns, then rows, each rounded to bytes; extreme shapes are cut first. See Python's `place`. */
function place(pixels, placement) {
  const sides = placement.map((side, axis) => {
    const { length, first, kept } = side, old = axis ? pixels.width : pixels.height;
    if (length <= 64 * kept || length === old) return side;
    const step = old / length, reach = 2 * max(step, 1), begin = first * step, end = (first + kept) * step;
    const start = max(0, floor(begin - reach));
    pixels = crop(pixels, axis, start, min(old, ceil(end + reach)));
    return { length: kept, first: 0, kept, box: [begin - start, end - start] };
  });
  return stretch(stretch(pixels, 1, sides[1]), 0, sides[0]);
}

function crop({ data, width, height }, axis, start, stop) {
  if (!axis) return { data: data.subarray(3 * width * start, 3 * width * stop), width, height: stop - start };
  const kept = stop - start, out = new Uint8Array(3 * height * kept);
  for (let y = 0; y < height; y++) out.set(data.subarray(3 * (y * width + start), 3 * (y * width + stop)), 3 * y * kept);
  return { data: out, width: kept, height };
}

function stretch(pixels, axis, { length, first, kept, box }) {
  const { data, width, height } = pixels, old = axis ? width : height;
  if (old === length && !box) return crop(pixels, axis, first, first + kept);
  const [starts, counts, weights, most] = bicubic(old, box ?? [0, old], length, first, kept);
  if (axis) {
    const out = new Uint8ClampedArray(3 * kept * height);
    for (let y = 0, o = 0; y < height; y++) {
      for (let x = 0; x < kept; x++, o += 3) {
        let red = 1 << 21, green = red, blue = red, i = 3 * (y * width + starts[x]);
        for (let k = x * most, end = k + counts[x]; k < end; k++, i += 3) {
          const weight = weights[k];
          red = (red + data[i] * weight) | 0;
          green = (green + data[i + 1] * weight) | 0;
          blue = (blue + data[i + 2] * weight) | 0;
        }
        out[o] = red >> 22;
        out[o + 1] = green >> 22;
        out[o + 2] = blue >> 22;
      }
    }
    return { data: out, width: kept, height };
  }
  const line = 3 * width, out = new Uint8ClampedArray(line * kept), row = new Int32Array(line);
  for (let y = 0; y < kept; y++) {
    row.fill(1 << 21);
    for (let k = 0; k < counts[y]; k++) {
      const weight = weights[y * most + k], start = line * (starts[y] + k);
      for (let i = 0; i < line; i++) row[i] += data[start + i] * weight;
    }
    for (let i = 0; i < line; i++) out[line * y + i] = row[i] >> 22;
  }
  return { data: out, width, height: kept };
}

/** Pillow's precompute_coeffs and normalize_coeffs_8bpc for the outputs from `first` on. */
function bicubic(size, box, length, first, kept) {
  const begin = f32(box[0]), scale = f32(f32(box[1]) - begin) / length, widened = max(scale, 1), support = 2 * widened;
  const most = 2 * ceil(support) + 1, starts = [], counts = [], weights = new Int32Array(kept * most);
  for (let n = 0; n < kept; n++) {
    const centre = begin + (first + n + 0.5) * scale, start = max(0, trunc(centre - support + 0.5));
    const count = min(size, trunc(centre + support + 0.5)) - start, values = [];
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const x = abs((i + start - centre + 0.5) * (1 / widened));
      sum += values[i] = x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
    }
    values.forEach((value, i) => {
      const share = (value / (sum || 1)) * (1 << 22);
      weights[n * most + i] = share + (share < 0 ? -0.5 : 0.5);
    });
    starts.push(start);
    counts.push(count);
  }
  return [starts, counts, weights, most];
}

// Files ------------------------------------------------------------------------------------------------------

const ascii = (bytes, start, count) => String.fromCharCode(...bytes.subarray(start, start + count));
const viewOf = ({ buffer, byteOffset, byteLength }) => new DataView(buffer, byteOffset, byteLength);
const refuseSeveral = () => fail("image: it has several frames; save the wanted one as its own image first");

/** The visible pixels of a picture, upright, 3 bytes each, as Python's `read_image` takes them. */
export async function decodePixels(picture) {
  if (picture?.data) return opaque(checkPixels(picture));
  if (globalThis.ImageBitmap && picture instanceof ImageBitmap) return readBitmap(picture);
  if (!(picture instanceof Blob)) fail("image: expected a Blob, an ImageBitmap or ImageData");
  if (!globalThis.createImageBitmap) fail("image: files are read in browsers only; give pixels to encryptPixels");
  const [file, orientation] = inspect(new Uint8Array(await picture.arrayBuffer()));
  const how = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" };
  const bitmap = await createImageBitmap(new Blob(file), how).catch(() => {
    fail("image: it is corrupt, or of a format that this browser does not show; convert it to PNG first");
  });
  return turnUpright(await readBitmap(bitmap, orientation), orientation);
}

/**
 * Refuse several frames. Hide the orientation of PNG and WebP, which some browsers follow and some do not.
 *
 * Returns the file's parts, and the orientation that is left to us; undefined where the browser follows it.
 */
function inspect(bytes) {
  const view = viewOf(bytes), head = ascii(bytes, 0, 16), parts = [];
  if (/^....ftypavis/s.test(head)) refuseSeveral();
  if (/^GIF8/.test(head) && gifFrames(bytes) > 1) refuseSeveral();
  const png = /^\x89PNG/.test(head), webp = /^RIFF....WEBP/s.test(head);
  if (!png && !webp) return [[bytes]];
  let orientation = 1, i = png ? 8 : 12, from = 0;
  while (i + 8 <= bytes.length) {
    const size = view.getUint32(i + (png ? 0 : 4), webp), kind = ascii(bytes, i + (png ? 4 : 0), 4);
    const end = i + 8 + size + (png ? 4 : size % 2), body = bytes.subarray(i + 8, i + 8 + size);
    if ((kind === "VP8X" && body[0] & 2) || (kind === "acTL" && viewOf(body).getUint32(0) > 1)) refuseSeveral();
    if (/exif/i.test(kind)) {
      orientation = orientationIn(body);
      if (webp) bytes.set(text("none"), i);
      else {
        parts.push(bytes.subarray(from, i));
        from = end;
      }
    }
    i = end;
  }
  return [[...parts, bytes.subarray(from)], orientation];
}

/** EXIF's orientation; 1 where there is none. */
function orientationIn(exif) {
  try {
    const view = viewOf(ascii(exif, 0, 4) === "Exif" ? exif.subarray(6) : exif), little = view.getUint8(0) === 73;
    const start = view.getUint32(4, little) + 2, count = view.getUint16(start - 2, little);
    for (let i = start; i < start + 12 * count; i += 12) {
      if (view.getUint16(i, little) === 0x112) return view.getUint16(i + 8, little);
    }
  } catch {} // cut short
  return 1;
}

function gifFrames(bytes) {
  const table = (flags) => (flags & 128 ? 6 << (flags & 7) : 0);
  let frames = 0, i = 13 + table(bytes[10]);
  while (i < bytes.length && bytes[i] !== 0x3b) {
    const picture = bytes[i] === 0x2c;
    frames += picture;
    i += picture ? 11 + table(bytes[i + 9]) : 2;
    while (bytes[i]) i += bytes[i] + 1;
    i++;
  }
  return frames;
}

/** Read a bitmap strip by strip, at scale 1: a phone's canvas holds fewer pixels than its camera takes. */
async function readBitmap(bitmap, stored) {
  const { width, height } = bitmap, rows = max(32, min(height, floor(2 ** 22 / width))), data = new Uint8Array(3 * width * height);
  if (width * height > MAX_PIXELS) refuse("image", `${width}x${height}`, `at most ${MAX_PIXELS} pixels`);
  const canvas = globalThis.OffscreenCanvas ? new OffscreenCanvas(1, 1) : document.createElement("canvas");
  canvas.width = max(32, width);
  canvas.height = rows;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  checkCanvas(context);
  for (let top = 0; top < height; top += rows) {
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const strip = context.getImageData(0, 0, width, min(rows, height - top)).data;
    overWhite(strip, data, 3 * top * width);
    // A canvas keeps colours times alpha, which loses a grey level in some browsers. A frame keeps them apart,
    // and follows no orientation that the browser does.
    if (stored && globalThis.VideoFrame && strip.some((value, i) => i % 4 > 2 && value % 255)) {
      const frame = new VideoFrame(bitmap, { timestamp: 0, alpha: "keep" }), format = { format: "RGBA" };
      const whole = new Uint8Array(frame.allocationSize(format));
      await frame.copyTo(whole, format);
      frame.close();
      overWhite(whole, data, 0);
      break;
    }
  }
  return { data, width, height };
}

/** Some browsers disturb what a page reads of a canvas, against fingerprints: the picture would be wrong. */
function checkCanvas(context) {
  const known = context.createImageData(32, 32);
  known.data.forEach((_, i, data) => (data[i] = i % 4 > 2 ? 255 : (i * 40503) >> 7));
  context.putImageData(known, 0, 0);
  if (context.getImageData(0, 0, 32, 32).data.some((value, i) => value !== known.data[i])) {
    fail("image: this browser disturbs pixels that pages read, so the picture would be wrong; allow this page to read canvases");
  }
}

/** Turn stored pixels as EXIF's orientation says (EXIF 2.3, 4.6.4). */
function turnUpright(pixels, orientation) {
  if (!(orientation > 1 && orientation < 9)) return pixels;
  const { data, width, height } = pixels, sideways = orientation > 4, out = new Uint8Array(data.length);
  const bottomUp = /[3467]/.test(orientation), mirrored = /[2378]/.test(orientation);
  const [columns, lines] = sideways ? [height, width] : [width, height];
  for (let y = 0, o = 0; y < lines; y++) {
    for (let x = 0; x < columns; x++, o += 3) {
      const row = sideways ? x : y, column = sideways ? y : x;
      const i = 3 * ((bottomUp ? height - 1 - row : row) * width + (mirrored ? width - 1 - column : column));
      for (let c = 0; c < 3; c++) out[o + c] = data[i + c];
    }
  }
  return { data: out, width: columns, height: lines };
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? -306674912 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** A PNG file without any other chunk: a canvas would add some, and disturb pixels in some browsers. */
export async function encodePng({ data, width, height }) {
  const line = 3 * width, raw = new Uint8Array(height * (line + 1)), header = new Uint8Array(13), view = viewOf(header);
  for (let y = 0, i = 0, o = 0; y < height; y++) {
    raw[o++] = 1; // each byte less the one of the pixel to its left
    for (let x = 0; x < line; x++, i++) raw[o++] = data[i] - (x < 3 ? 0 : data[i - 3]);
  }
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 2], 8);
  const chunk = (kind, body) => {
    const bytes = new Uint8Array(body.length + 12);
    viewOf(bytes).setUint32(0, body.length);
    bytes.set(text(kind), 4);
    bytes.set(body, 8);
    const crc = bytes.subarray(4, -4).reduce((sum, byte) => CRC_TABLE[(sum ^ byte) & 255] ^ (sum >>> 8), -1);
    viewOf(bytes).setUint32(body.length + 8, ~crc);
    return bytes;
  };
  const packed = await new Response(new Blob([raw]).stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer();
  const signature = new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]);
  const parts = [chunk("IHDR", header), chunk("IDAT", new Uint8Array(packed)), chunk("IEND", [])];
  return new Blob([signature, ...parts], { type: "image/png" });
}

// A worker of this very file, so that the page stays alive ----------------------------------------------------

const WORKER = "hipmr", waiting = new Map();
let worker, calls = 0;

async function inWorker(encryption, ...args) {
  const here = () => encryption._file(...args);
  if (worker === null || !globalThis.document || !globalThis.OffscreenCanvas) return here();
  try {
    worker ??= startWorker();
  } catch {
    worker = null; // this file is of another origin
    return here();
  }
  return new Promise((resolve, reject) => {
    waiting.set(++calls, { resolve, reject, here });
    worker.postMessage([calls, encryption.toDict(), args]);
  });
}

function startWorker() {
  const started = new Worker(import.meta.url, { type: "module", name: WORKER });
  started.onmessage = ({ data: [call, result, problem] }) => {
    const { resolve, reject } = waiting.get(call);
    waiting.delete(call);
    result ? resolve(result) : reject(problem[0] === "InputError" ? new InputError(problem[1]) : new Error(problem[1]));
  };
  started.onerror = () => {
    worker = null; // it cannot be loaded
    waiting.forEach(({ resolve, reject, here }) => here().then(resolve, reject));
    waiting.clear();
  };
  return started;
}

if (globalThis.WorkerGlobalScope && globalThis.name === WORKER) {
  globalThis.onmessage = ({ data: [call, settings, args] }) => {
    const answer = Encryption.fromDict(settings)._file(...args);
    answer.then((file) => postMessage([call, file]), ({ name, message }) => postMessage([call, null, [name, message]]));
  };
}
