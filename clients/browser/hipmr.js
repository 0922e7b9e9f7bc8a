/**
 * Sealed upload: encrypt a picture where it lies, byte for byte as hipmr-hf does in Python.
 *
 * One file without dependencies, for browsers and, as to pixels, for node 18 or newer. Types and descriptions:
 * hipmr.d.ts. Names and the order of all arithmetic are Python's: src/hipmr_hf/encryption. Both sides read
 * tests/vectors/encryption.json. It is kept small once minified: one table of settings, one way to copy pixels, one
 * loop that resizes, and what browsers and node do themselves is left to them.
 */

const MAX_SIDE = 65535, MAX_AREA = 2 ** 26, MAX_PATCHES = 2 ** 17;
const MAX_PIXELS = 89478485; // of a file: Pillow's bound
const LEAST_PATCHES = 3, FEW_PATCHES = 28;

const { floor, max, min, abs, sqrt, ceil, round, sign, fround: f32 } = Math;

/** What a caller can mend: which argument, what came, what is allowed, and what to do where that is not plain. */
export class InputError extends Error {
  name = "InputError";
}

const fail = (message) => {
  throw new InputError(message);
};
const show = JSON.stringify;
/** Bytes of a length, an array or a buffer. */
const newBytes = (...from) => new Uint8Array(...from);
const refuse = (name, got, expected) => fail(`${name}: got ${show(got)}, expected ${expected}.`);

// Settings ---------------------------------------------------------------------------------------------------

// What was expected in a value's place, or nothing.
const whole = (value, least, most, name = "") =>
  (!Number.isInteger(value) || value < least || value > most) && `${name}a whole number from ${least} to ${most}`;
const either = (value) => value !== !!value && "true or false";

// Those of "rs" alone come first; the first five lose pixels for good where they are not 0, false, or a grid of 1.
const NAMES = [
  "interval", "drop_ratio", "sub_patch_grid", "patch_normalization", "shuffle_tones",
  "sub_patch_symmetries", "jpeg_decoding", "patch_size", "image_size",
];

/** Settings that this file knows, by strategy: a test holds them against Python's. */
export const FIELDS = { __proto__: null, rs: NAMES, mi: NAMES.slice(2) };

// Younger than the format: left out where they are off.
const LATER = { shuffle_tones: false, jpeg_decoding: "full" };

const checkPatches = (name, got, patches, patch, few) => {
  const least = few ? LEAST_PATCHES : 1;
  if (patches < least) refuse(name, got, `patches of ${patch} pixels, ${least} or more`);
};

/** Rows and columns of the encrypted picture's patches: as square as can be where some were dropped. */
function mosaicOf(count, rows, cols) {
  if (count === rows * cols) return [rows, cols];
  let shorter = floor(sqrt(count));
  while (count % shorter) shorter--;
  return [shorter, count / shorter];
}

/** The settings of one encryption, and what they do to pictures. */
export class Encryption {
  #rs;
  #values; // in the order of their names
  #fixed; // height and width of all pictures; null where they keep their shape

  constructor(strategy, settings) {
    const rs = (this.#rs = strategy === "rs"), values = (this.#values = NAMES.map((name) => (name in settings ? settings[name] : 0)));
    const [interval, drop, grid, even, toned, turned, decoding, patch, size] = values, kept = patch - interval, side = kept / grid;
    const fixed = (this.#fixed = Array.isArray(size) ? size : !rs && typeof size === "object" ? null : [size, size]);
    const [height, width] = fixed ?? [size?.shorter, size?.shorter];
    [
      whole(interval, 0, max(0, patch - 1)) || (interval % 2 && "an even number"),
      !(drop === +drop && drop >= 0 && drop < 1) && "0 <= drop_ratio < 1",
      whole(grid, rs ? 1 : 2, 16) || (kept % grid && `a divisor of the patch's ${kept} pixels`),
      either(even),
      either(toned) || (toned && even && "false beside patch_normalization"),
      either(turned),
      !/^(full|reduced)$/.test(decoding) && '"full" or "reduced"',
      whole(patch, 1, MAX_SIDE),
      (fixed || size) &&
        (whole(height, patch, MAX_SIDE) ||
          whole(width, patch, MAX_SIDE) ||
          (fixed
            ? (fixed[2] || height % patch || width % patch) && `whole patches of ${patch}, such as ${height - (height % patch)}`
            : size.longer != null && whole(size.longer, height, MAX_SIDE, "longer, ")) ||
          ((height * width > MAX_AREA || floor(height / patch) * floor(width / patch) > MAX_PATCHES) &&
            `at most ${MAX_AREA} pixels in ${MAX_PATCHES} patches`)),
    ].forEach((expected, i) => expected && refuse(NAMES[i], values[i], expected));
    let count = null, mosaic = null;
    if (fixed) {
      const rows = height / patch, cols = width / patch, exact = rows * cols * (1 - drop);
      checkPatches("image_size", size, rows * cols, patch, rs || toned);
      count = exact % 1 === 0.5 ? 2 * round(exact / 2) : round(exact); // half to even
      if (rs && count < 2) refuse(NAMES[1], drop, "2 patches or more to be left");
      mosaic = mosaicOf(count, rows, cols).map((length) => length * side);
    }
    Object.assign(this, {
      strategy,
      settings: Object.freeze(settings),
      encryptedPatchSize: side,
      numPatches: count,
      encryptedSize: mosaic,
      losses: NAMES.slice(0, 5).filter((_, i) => values[i] > (i === 2)).map((name) => `${name}=${settings[name]}`),
      drawsRandomness: rs || turned || toned,
    });
  }

  static fromDict(settings) {
    const { format_version: version, strategy, ...values } = settings ?? {};
    if (version !== 1) refuse("format_version", version, "1; take a newer hipmr.js");
    const known = FIELDS[strategy] ?? refuse("strategy", strategy, '"rs" or "mi"');
    const given = { ...LATER, ...values }, names = Object.keys(given);
    const unknown = names.filter((name) => !known.includes(name)), missing = known.filter((name) => !names.includes(name));
    if (unknown[0] || missing[0]) fail(`settings: unknown ${show(unknown)}, missing ${show(missing)}; known are ${show(known)}.`);
    return new Encryption(strategy, given);
  }

  static async fromPretrained(place, { revision = "main", repoType, token, hub = "https://huggingface.co" } = {}) {
    const kinds = ["", "datasets/"].filter((kind) => repoType !== (kind ? "model" : "dataset")), file = "/encryption_config.json";
    const urls = /\.json$/.test(place) ? [place]
      : /^\w[\w.-]*(\/[\w.-]+)?$/.test(place) ? kinds.map((kind) => `${hub}/${kind}${place}/resolve/${revision}${file}`)
        : [place.replace(/\/?$/, file)];
    for (const url of urls) {
      const read = fetch(url, token && { headers: { authorization: "Bearer " + token } }).then((answer) => answer.ok && answer.json());
      const found = await read.catch(() => {
        fail(`repoOrUrl: ${url} cannot be reached or is no JSON; check it, and this page's policy.`);
      });
      if (found) return Encryption.fromDict(found);
    }
    fail(`repoOrUrl: there is no ${urls}; every checkpoint for encrypted pictures has one.`);
  }

  toDict() {
    const values = Object.entries(this.settings).filter(([name, value]) => value !== LATER[name]);
    return { format_version: 1, strategy: this.strategy, ...Object.fromEntries(values) };
  }

  /** Tell where a picture lands, per side: the resized length, and the window's begin and length. Put it there. */
  prepare(pixels) {
    const plain = opaque(pixels), { width, height } = plain, sides = [height, width], short = min(...sides), fixed = this.#fixed;
    const [, , , , toned, , , patch, size] = this.#values, { shorter, longer } = size ?? {};
    const scale = fixed ? max(fixed[0] / height, fixed[1] / width)
      : shorter ? min(shorter, ((longer ?? Infinity) * short) / max(...sides)) / short : 1;
    const placed = sides.map((side, axis) => {
      const length = floor(side * scale + (fixed ? 0 : 1e-6)), kept = fixed ? fixed[axis] : max(patch, length - (length % patch));
      const covering = max(kept, length);
      return fixed ? [covering, floor((covering - kept + 1) / 2), kept] : [size ? kept : side, 0, kept];
    });
    const [rows, columns] = placed.map((side) => side[2]);
    checkPatches("image", sides, short < patch ? 0 : floor(rows / patch) * floor(columns / patch), patch, toned);
    if (size && (max(rows, columns) > MAX_SIDE || rows * columns > max(MAX_AREA, height * width))) {
      refuse("image", sides, `less than ${[rows, columns]} after resizing; choose smaller sides`);
    }
    if (size) return stretch(stretch(plain, placed[1]), placed[0]);
    const data = newBytes(3 * rows * columns);
    addCopy(plain.data, 0, width, data, 0, columns, rows, columns);
    return { data, width: columns, height: rows };
  }

  async encryptPixels(pixels, secrets) {
    const prepared = this.prepare(pixels);
    return this.#place(prepared, await this.#draw(prepared, await this.#claim(secrets)));
  }

  async decryptPixels(pixels, secrets) {
    return this.#open(pixels, this.#checkReversible(secrets));
  }

  async encrypt(picture, secrets) {
    return inWorker(this, true, picture, await this.#claim(secrets));
  }

  async decrypt(picture, secrets) {
    return inWorker(this, false, picture, this.#checkReversible(secrets));
  }

  /** What the worker does: a picture to the bytes of a PNG file. */
  async _file(sealing, picture, secrets) {
    const pixels = await decodePixels(picture), prepared = sealing && this.prepare(pixels);
    return encodePng(await (sealing ? this.#place(prepared, await this.#draw(prepared, secrets)) : this.#open(pixels, secrets)));
  }

  async #open(pixels, secrets) {
    const plain = opaque(pixels), { width, height } = plain, [rows, columns] = this.#fixed;
    if (height !== rows || width !== columns) refuse("image", [height, width], this.#fixed + " (image_size)");
    const [places, turns] = await this.#draw(plain, secrets), order = [], back = [];
    places.forEach((place, n) => {
      order[place] = n;
      back[n] = "01234657"[turns[place] & 7]; // the inverse
    });
    return this.#place(plain, [order, back]);
  }

  /** Erode, turn, mix and even patches, change their tones, and put each into its place. */
  #place({ data: source, width, height }, [places, turns, tones]) {
    const [interval, , grid, even, , , , patch] = this.#values, parts = grid * grid, rows = height / patch, cols = width / patch;
    const [down, across] = mosaicOf(places.length, rows, cols);
    const side = (patch - interval) / grid, line = 3 * side, area = side * side, wide = across * side;
    const data = new Uint8ClampedArray(3 * down * area * across), values = new Float64Array(3 * area);

    // The sums of the sub-patches of one patch.
    const mix = (place) => {
      values.fill(0);
      for (let part = 0; part < parts; part++) {
        const row = floor(place / cols) * patch + floor(part / grid) * side, column = (place % cols) * patch + (part % grid) * side;
        const from = row * width + column + (interval / 2) * (width + 1);
        addCopy(source, from, width, values, 0, side, side, side, turns[place * parts + part]);
      }
    };
    // The sum of one channel as numpy adds: columns first.
    const sumOf = (channel, of = (value) => value) => {
      let sum = 0;
      for (let x = channel; x < line; x += 3) {
        let column = 0;
        for (let i = x; i < 3 * area; i += line) column += of(values[i]);
        sum += column;
      }
      return sum;
    };
    // Pixels are float32 after each step, statistics float64.
    const change = (channel, middle, factor, base) => {
      for (let i = channel; i < 3 * area; i += 3) values[i] = f32(f32(f32(values[i] - middle) * factor) + base);
    };

    const found = [];
    if (tones) {
      for (const place of places) {
        mix(place);
        // Mean and contrast, as many times too large as there are parts.
        found[place] = [0, 1, 2].map((channel) => {
          const sum = sumOf(channel);
          return [sum / area, sqrt(area * sumOf(channel, (value) => value * value) - sum * sum) / area];
        });
      }
    }
    places.forEach((place, n) => {
      mix(place);
      for (const channel of [0, 1, 2]) {
        if (even) {
          change(channel, 0, f32(1 / parts), 0);
          change(channel, sumOf(channel) / area, 1, 0);
          change(channel, 0, 40 / (sqrt(sumOf(channel, (value) => f32(value * value)) / area) + 8), 128);
        } else if (tones) {
          const [mean, contrast] = found[place][channel], [level, wanted] = found[tones[place]][channel];
          change(channel, f32(mean), f32(wanted / max(contrast, parts * 2) / parts), f32(level / parts));
        } else change(channel, 0, f32(1 / parts), 2 ** -10); // halves go up: no other fraction is so near to them
      }
      // Rounds half to even and cuts to 0..255: so Uint8ClampedArray is defined.
      for (let y = 0; y < side; y++) {
        data.set(values.subarray(line * y, line * (y + 1)), 3 * ((floor(n / across) * side + y) * wide + (n % across) * side));
      }
    });
    return { data, width: wide, height: down * side };
  }

  async #claim(secrets = {}) {
    const { key, nonce } = secrets;
    if ((key ?? nonce) == null) return {};
    if (!this.drawsRandomness) fail("key: these settings draw no randomness; leave it out.");
    checkSecrets(secrets);
    const used = "" + newBytes(await derive("deriveBits", key, nonce, 128));
    if (USED.has(used)) fail("nonce: it was used with this key before; draw each with newNonce().");
    USED.add(used);
    return secrets;
  }

  #checkReversible(secrets = {}) {
    if (this.losses[0] || !this.#rs) fail(`decrypt: ${this.losses} lost pixels for good; keep the plain images.`);
    return checkSecrets(secrets);
  }

  /** Read the order of patches, then turns, then the order of tones off one stream; see Python's `_draw`. */
  async #draw({ width, height }, { key, nonce }) {
    const [, drop, grid, , toned, turned, , patch, size] = this.#values, rs = this.#rs, all = (width / patch) * (height / patch);
    const count = this.numPatches ?? all, shuffled = rs ? 8 * all : 0, dealt = toned ? 8 * all : 0;
    // json.dumps(settings, sort_keys=True, separators=(",", ":")); a drop ratio is a float there.
    const values = { ...this.toDict(), jpeg_decoding: undefined };
    if (rs) values.drop_ratio = "" + (drop ? (drop < 1e-4 ? drop.toExponential().replace(/-(\d)$/, "-0$1") : drop) : 1 / drop < 0 ? "-0.0" : "0.0");
    if (size?.shorter) values.image_size = { longer: null, ...size };
    const json = show(values, [...Object.keys(values), "longer", "shorter"].sort()).replace(/"([\d.e-]+)"/, "$1");
    // The stream of one picture: AES-256 in counter mode, under a key derived for it alone.
    const info = key && newBytes([...text(`hipmr-hf stream|${json}|`), ...nonce]), counting = { name: "AES-CTR", counter: newBytes(16), length: 128 };
    const cipher = key && (await derive("deriveKey", key, info, { ...counting, length: 256 }, false, ["encrypt"]));
    let turns;
    for (let turning = turned ? all * grid * grid : 0, end = 0; ; turning = 0) {
      const start = end;
      end += shuffled + turning + dealt;
      const bytes = key ? newBytes(await crypto.subtle.encrypt(counting, cipher, newBytes(end)), start) : randomBytes(end - start);
      turns ??= bytes.subarray(shuffled, shuffled + turning); // the lowest three bits of each
      const places = (rs ? orderFrom(bytes.subarray(0, shuffled)) : range(all)).subarray(0, count);
      const tones = toned && orderAmong(places, orderFrom(bytes.subarray(shuffled + turning)));
      // Drawn again where most of a few patches, or of their tones, stayed in place.
      const stays = (where) => count < FEW_PATCHES && 2 * places.filter(where).length > count;
      if (!((rs && stays((place, i) => place === i)) || (toned && stays((place) => tones[place] === place)))) return [places, turns, tones];
    }
  }
}

// Randomness -------------------------------------------------------------------------------------------------

const USED = new Set();
const text = (string) => new TextEncoder().encode(string);

function checkSecrets(secrets) {
  for (const [name, size] of [["key", 32], ["nonce", 16]]) {
    if (!(secrets[name] instanceof Uint8Array) || secrets[name].length !== size) {
      fail(`${name}: expected a Uint8Array of ${size} bytes; newKey() and newNonce() draw both.`);
    }
  }
  const { key } = secrets;
  if (new Set(key).size < 17 || key.every((byte) => (byte > 31 && byte < 127) || (byte > 8 && byte < 14))) {
    fail("key: text and repeated bytes can be guessed; draw it with newKey().");
  }
  return secrets;
}

/** Fresh bytes of the system's entropy; a browser gives 65,536 a call. */
function randomBytes(count) {
  const bytes = newBytes(count);
  for (let i = 0; i < count; i += 65536) crypto.getRandomValues(bytes.subarray(i, i + 65536));
  return bytes;
}

export const newNonce = () => randomBytes(16);
export const newKey = () => randomBytes(32);

/** Take the key out of the text of a key file. */
export async function readKey(file) {
  const [, id, secret] = /^hipmr-hf secret key, version 1\s+key id: (\w+)\s+key: (\S+)/.exec(file) ?? [, "0", "AAAA"];
  const key = Uint8Array.from(atob(secret), (char) => char.charCodeAt());
  const found = new DataView(await derive("deriveBits", key, text("hipmr-hf key id"), 64)).getBigUint64(0);
  if (found.toString(16).padStart(16, 0) !== id) fail("file: it is no key file of 'hipmr keygen', or damaged; use a backup.");
  return key;
}

/** HKDF-SHA256 (RFC 5869) with an empty salt: "deriveBits" or "deriveKey", as wanted. */
async function derive(what, secret, info, ...wanted) {
  const subtle = crypto.subtle ?? fail("key: keys need a page of https or localhost.");
  const base = await subtle.importKey("raw", secret, "HKDF", false, [what]);
  return subtle[what]({ name: "HKDF", hash: "SHA-256", salt: newBytes(), info }, base, ...wanted);
}

const range = (length) => new Uint32Array(length).map((_, i) => i);

/** Sort 64-bit little-endian words: their order is the permutation, and equal words keep theirs. */
function orderFrom(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset), order = range(bytes.length / 8);
  const words = Array.from(order, (i) => view.getBigUint64(8 * i, true));
  return order.sort((a, b) => Number(words[a] - words[b]) || a - b);
}

/** Whose tone each patch gets, where only some patches are kept and these are shuffled. */
function orderAmong(places, tones) {
  const kept = new Set(places), dealt = tones.filter((patch) => kept.has(patch)), order = [];
  places.forEach((patch, i) => (order[patch] = dealt[i]));
  return order;
}

// Pixels -----------------------------------------------------------------------------------------------------

/**
 * Add a rectangle of 3-channel pixels to another, turned: bit 2 transposes, then bit 1 flips rows, bit 0 columns.
 *
 * Places and strides are in pixels; rows and columns are those of the target.
 */
function addCopy(source, from, stride, target, to, toStride, rows, columns, turn) {
  let down = turn & 4 ? 1 : stride, right = turn & 4 ? stride : 1;
  if (turn & 2) from -= (rows - 1) * (down = -down);
  if (turn & 1) from -= (columns - 1) * (right = -right);
  for (let y = 0; y < rows; y++) {
    for (let x = 0, i = 3 * (from + y * down), o = 3 * (to + y * toStride); x < columns; x++, i += 3 * right, o += 3) {
      target[o] += source[i];
      target[o + 1] += source[i + 1];
      target[o + 2] += source[i + 2];
    }
  }
}

/** Check pixels; three channels come back: what is transparent is laid over white. */
function opaque({ data, width, height }) {
  const size = width * height, channels = data?.length / size;
  if (!/^Uint8/.test(data?.constructor.name) || (channels !== 3 && channels !== 4)) {
    refuse("image", [data?.length, width, height], "bytes {data, width, height} of 3 or 4 channels");
  }
  return { data: channels > 3 ? overWhite(data, newBytes(3 * size), 0) : data, width, height };
}

function overWhite(rgba, rgb, o) {
  for (let i = 0; i < rgba.length; i += 4, o += 3) {
    const alpha = rgba[i + 3];
    rgb[o] = rgba[i];
    rgb[o + 1] = rgba[i + 1];
    rgb[o + 2] = rgba[i + 2];
    if (alpha < 255) for (let c = o; c < o + 3; c++) rgb[c] = (rgb[c] * alpha + 255 * (255 - alpha) + 127) / 255;
  }
  return rgb;
}

/**
 * Resize rows to `length` pixels, of which `kept` are wanted from `first` on; they come back as columns.
 *
 * Twice that is Pillow's bicubic in its own fixed point: precompute_coeffs and normalize_coeffs_8bpc. Where the
 * window is a small part of the whole, it alone is resized; see Python's `place`.
 */
function stretch({ data, width, height }, [length, first, kept]) {
  let start = 0, size = width, begin = 0, end = width;
  if (length > 64 * kept && length !== width) {
    const step = width / length, spread = 2 * max(step, 1);
    begin = first * step;
    end = begin + kept * step;
    start = max(0, floor(begin - spread));
    size = min(width, ceil(end + spread)) - start;
    begin = f32(begin - start);
    end = f32(end - start);
    [length, first] = [kept, 0];
  }
  const scale = f32(end - begin) / length, widened = max(scale, 1), support = 2 * widened;
  const out = new Uint8ClampedArray(3 * kept * height);
  const taps = Array.from({ length: kept }, (_, n) => {
    const centre = begin + (first + n + 0.5) * scale, from = max(0, floor(centre - support + 0.5)), shares = [];
    let sum = 0;
    for (let i = from; i < min(size, floor(centre + support + 0.5)); i++) {
      const x = abs((i - centre + 0.5) * (1 / widened));
      sum += shares[i - from] = x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
    }
    return [start + from, Int32Array.from(shares, (share) => (share / (sum || 1)) * 2 ** 22 + sign(share) / 2)];
  });
  for (let y = 0; y < height; y++) {
    taps.forEach(([from, weights], n) => {
      let red = 1 << 21, green = red, blue = red, i = 3 * (y * width + from), o = 3 * (n * height + y);
      for (let k = 0; k < weights.length; k++, i += 3) {
        const weight = weights[k];
        red = (red + data[i] * weight) | 0;
        green = (green + data[i + 1] * weight) | 0;
        blue = (blue + data[i + 2] * weight) | 0;
      }
      out[o] = red >> 22;
      out[o + 1] = green >> 22;
      out[o + 2] = blue >> 22;
    });
  }
  return { data: newBytes(out.buffer), width: height, height: kept };
}

// Files ------------------------------------------------------------------------------------------------------

/** The visible pixels of a picture, upright, 3 bytes each, as Python's `read_image` takes them. */
export async function decodePixels(picture) {
  if (picture?.data) return opaque(picture);
  const [file, orientation] = picture instanceof Blob ? await inspect(newBytes(await picture.arrayBuffer())) : [picture];
  const how = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" };
  const bitmap = await globalThis.createImageBitmap?.(file, how).catch(() => {});
  if (!bitmap) fail("image: it is corrupt, or of a format that this browser does not show (node reads none); convert it to PNG.");
  const pixels = await readBitmap(bitmap, orientation), { data, width, height } = pixels;
  const turn = "001324576"[orientation] | 0, [columns, rows] = turn & 4 ? [height, width] : [width, height];
  if (!turn) return pixels;
  // Turn what is stored as EXIF's orientation says (EXIF 2.3, 4.6.4).
  const upright = newBytes(data.length);
  addCopy(data, 0, width, upright, 0, columns, rows, columns, turn);
  return { data: upright, width: columns, height: rows };
}

/**
 * Refuse several frames. Take the orientation out of PNG and WebP, which some browsers follow and some do not.
 *
 * Returns the file, and the orientation that is left to us; false where the browser follows it.
 */
async function inspect(bytes) {
  const view = new DataView(bytes.buffer), ascii = (start, count) => String.fromCharCode(...bytes.subarray(start, start + count));
  const head = ascii(0, 16), png = /^.PNG/.test(head), webp = /^RIFF....WEBP/s.test(head);
  let several = /^....ftypavis/s.test(head) || (/^GIF8/.test(head) && gifFrames(bytes) > 1), orientation = png || webp;
  try {
    for (let i = png ? 8 : 12, end; orientation; i = end + (png ? 4 : end % 2)) {
      const kind = ascii(i + 4 * png, 4);
      end = i + 8 + view.getUint32(i + 4 * webp, webp);
      several ||= (kind === "VP8X" && bytes[i + 8] & 2) || (kind === "acTL" && view.getUint32(i + 8) > 1);
      if (!/exif/i.test(kind)) continue;
      const exif = new DataView(bytes.buffer, i + (bytes[i + 8] === 69 ? 14 : 8)), little = exif.getUint8(0) === 73; // after "Exif"
      for (let at = exif.getUint32(4, little) + 2, last = at + 12 * exif.getUint16(at - 2, little); at < last; at += 12) {
        if (exif.getUint16(at, little) !== 0x112) continue;
        orientation = exif.getUint16(at + 8, little) || 1;
        exif.setUint16(at + 8, 1, little);
      }
      if (png) bytes.set(await crc(bytes.subarray(i + 4, end)), end);
    }
  } catch {} // at the end
  if (several) fail("image: it has several frames; save one as its own image first.");
  return [new Blob([bytes]), orientation];
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
  const { width, height } = bitmap, rows = max(32, min(height, floor(2 ** 22 / width))), data = newBytes(3 * width * height);
  if (width * height > MAX_PIXELS) refuse("image", [height, width], `at most ${MAX_PIXELS} pixels`);
  const context = new OffscreenCanvas(max(32, width), rows).getContext("2d", { willReadFrequently: true });
  // Some browsers disturb what a page reads of a canvas, against fingerprints: the picture would be wrong.
  const known = context.createImageData(32, 32);
  known.data.forEach((_, i, data) => (data[i] = i % 4 > 2 ? 255 : i % 251));
  context.putImageData(known, 0, 0);
  if ("" + context.getImageData(0, 0, 32, 32).data !== "" + known.data) {
    fail("image: this browser disturbs pixels that pages read; allow this page to read canvases.");
  }
  for (let top = 0; top < height; top += rows) {
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const strip = context.getImageData(0, 0, width, min(rows, height - top)).data;
    overWhite(strip, data, 3 * top * width);
    // A canvas keeps colours times alpha, which loses a grey level in some browsers. A frame keeps them apart,
    // and follows no orientation that the browser does.
    if (stored && globalThis.VideoFrame && strip.some((value, i) => i % 4 > 2 && value % 255)) {
      const frame = new VideoFrame(bitmap, { timestamp: 0, alpha: "keep" });
      const all = newBytes(4 * width * height);
      await frame.copyTo(all, { format: "RGBA" });
      frame.close();
      overWhite(all, data, 0);
      break;
    }
  }
  return { data, width, height };
}

const pack = async (format, ...parts) => {
  const packed = new Blob(parts).stream().pipeThrough(new CompressionStream(format));
  return newBytes(await new Response(packed).arrayBuffer());
};
/** CRC-32, most significant byte first: a gzip file ends with it, the other way round, and the length. */
const crc = async (...parts) => (await pack("gzip", ...parts)).slice(-8, -4).reverse();

/** A PNG file without any other chunk: a canvas would add some, and disturb pixels in some browsers. */
export async function encodePng({ data, width, height }) {
  const line = 3 * width, raw = newBytes(height * (line + 1)), word = (n) => [n >>> 24, n >>> 16, n >>> 8, n];
  for (let i = 0, o = 0; i < data.length; i++) {
    if (i % line === 0) raw[o++] = 1; // each byte less the one of the pixel to its left
    raw[o++] = data[i] - (i % line < 3 ? 0 : data[i - 3]);
  }
  const parts = [newBytes([137, 80, 78, 71, 13, 10, 26, 10])];
  const header = newBytes([...word(width), ...word(height), 8, 2, 0, 0, 0]);
  for (const [kind, body] of [["IHDR", header], ["IDAT", await pack("deflate", raw)], ["IEND", newBytes()]]) {
    parts.push(newBytes(word(body.length)), kind, body, await crc(kind, body));
  }
  return new Blob(parts, { type: "image/png" });
}

// A worker of this very file, so that the page stays alive ----------------------------------------------------

const { document: page, name: calledSo } = globalThis;
const WORKER = "hipmr";
let worker;

async function inWorker(encryption, ...args) {
  // Nothing where there can be none, as where this file is of another origin.
  const started = await (page && (worker ??= new Promise((resolve) => {
    const starting = new Worker(import.meta.url, { type: "module", name: WORKER });
    starting.onmessage = () => resolve(starting); // it is ready
    starting.onerror = () => resolve();
  }).catch(() => {})));
  if (!started) return encryption._file(...args);
  const { port1, port2 } = new MessageChannel();
  started.postMessage([encryption.toDict(), args, port2], [port2]);
  const answer = await new Promise((resolve) => (port1.onmessage = ({ data }) => resolve(data)));
  // What went wrong there and is nobody's input is tried here, where its traceback shows.
  return typeof answer === "string" ? fail(answer) : answer || encryption._file(...args);
}

if (!page && calledSo === WORKER) {
  onmessage = async ({ data: [settings, args, port] }) => {
    const answer = Encryption.fromDict(settings)._file(...args);
    port.postMessage(await answer.catch((error) => error instanceof InputError && error.message));
  };
  postMessage(0);
}
