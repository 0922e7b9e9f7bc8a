/** Sealed upload: encrypt a picture where it lies, byte for byte as hipmr-hf does in Python. */

/** Settings that this release knows, by strategy; those of a settings file. */
export const FIELDS: Readonly<Record<"rs" | "mi", readonly string[]>>;

/** What a caller can mend: which argument, what came, what is allowed, and what to do where that is not plain. */
export class InputError extends Error {}

/** Sides of pictures that keep their shape, as detectors are trained with: an `image_size` of "mi". */
export interface Sides {
  /** Pixels of the shorter side. */
  shorter: number;
  /** Most pixels of the longer side; null for any. */
  longer?: number | null;
}

/** Settings under the names of the settings file; what each does: `RandomShuffling` and `MixingUp` in Python. */
export interface Settings {
  /** Pixels of the plain picture: a square, [height, width], or ("mi" alone) its own size or sides. */
  image_size: number | [number, number] | Sides | null;
  patch_size: number;
  /** "rs" alone: pixels lost between neighbouring patches, even. */
  interval?: number;
  /** "rs" alone: share of the patches that are left out. */
  drop_ratio?: number;
  sub_patch_grid: number;
  sub_patch_symmetries: boolean;
  patch_normalization: boolean;
  shuffle_tones: boolean;
  /**
   * How Python decodes large JPEG files. A browser always decodes at full size, so where "reduced" is set, pixels of
   * JPEG files that are more than twice as large as `image_size` differ a little from Python's.
   */
  jpeg_decoding: "full" | "reduced";
}

/** Bytes row by row, of three channels (RGB) or four (RGBA, straight alpha): an `ImageData` is such pixels. */
export interface Pixels {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
}

/** A key and a nonce go together. Without them the randomness is the system's, and nobody can undo it. */
export interface Secrets {
  /** 32 bytes, of `newKey` or `readKey`. */
  key?: Uint8Array;
  /** 16 bytes of this picture alone, of `newNonce`; store them with the encrypted picture. */
  nonce?: Uint8Array;
}

/** Where settings lie. */
export interface Place {
  /** Branch, tag or commit on the Hub; "main" by default. */
  revision?: string;
  /** By default a model is looked for first, then a dataset. */
  repoType?: "model" | "dataset";
  /** A token of the Hub, for repositories that are not public. */
  token?: string;
  /** Another address of the Hub. */
  hub?: string;
}

/** The settings of one encryption, and what they do to pictures. */
export class Encryption {
  private constructor();

  /**
   * Build settings from the values of a settings file, `encryption_config.json`.
   *
   * @throws InputError another format version, an unknown strategy or setting, a missing one, or a value out of range.
   */
  static fromDict(settings: object): Encryption;

  /**
   * Read the settings that go with a model or an encrypted dataset.
   *
   * @param repoOrUrl a repository on the Hub, such as "me/model", or the address of a folder or of a JSON file: what
   *   is no plain name, such as "./model" or "https://example.org/model".
   * @throws InputError nothing is there, it cannot be reached, or it is no settings file of this version.
   */
  static fromPretrained(repoOrUrl: string, place?: Place): Promise<Encryption>;

  readonly strategy: "rs" | "mi";
  readonly settings: Readonly<Settings>;
  /** Width in pixels of a patch in the encrypted picture: the `patch_size` of a model for it. */
  readonly encryptedPatchSize: number;
  /** Patches that an encrypted picture holds; null where pictures keep their own size. */
  readonly numPatches: number | null;
  /** Height and width of an encrypted picture; null where pictures keep their own size. */
  readonly encryptedSize: [number, number] | null;
  /** Settings that lose pixels for good, such as "interval=2"; with none of them a key can undo "rs". */
  readonly losses: string[];
  /** Whether two encryptions of one picture differ; a key is of use only then. */
  readonly drawsRandomness: boolean;

  /** The settings as plain JSON values, as Python's `to_dict` returns them. */
  toDict(): object;

  /** Resize (bicubic) and crop pixels as they are encrypted; three channels. */
  prepare(pixels: Pixels): Pixels;

  /**
   * Encrypt pixels. Those of four channels are laid over white first.
   *
   * @throws InputError pixels of another shape or too small; a key without a nonce, or one that was used before.
   */
  encryptPixels(pixels: Pixels, secrets?: Secrets): Promise<Pixels>;

  /** Undo an encryption with a key that lost nothing; what comes back are the prepared pixels. */
  decryptPixels(pixels: Pixels, secrets: Secrets): Promise<Pixels>;

  /**
   * Encrypt a picture: in browsers any file that they show, in a worker, so that the page stays alive.
   *
   * @returns a PNG file that holds pixels and nothing else.
   * @throws InputError see `decodePixels` and `encryptPixels`.
   */
  encrypt(picture: Blob | ImageBitmap | Pixels, secrets?: Secrets): Promise<Blob>;

  /** Undo an encryption with a key that lost nothing; a PNG file comes back. */
  decrypt(picture: Blob | ImageBitmap | Pixels, secrets: Secrets): Promise<Blob>;
}

/**
 * The visible pixels of a picture: upright, three channels, over white where it is transparent.
 *
 * @throws InputError no picture that the browser shows, several frames, or too many pixels.
 */
export function decodePixels(picture: Blob | ImageBitmap | Pixels): Promise<Pixels>;

/** Write pixels of three channels as a PNG file without metadata. */
export function encodePng(pixels: Pixels): Promise<Blob>;

/** Draw 32 bytes that must stay secret. */
export function newKey(): Uint8Array;

/** Draw 16 bytes, one picture's own; they are not secret. */
export function newNonce(): Uint8Array;

/**
 * Take the key out of the text of a key file that `hipmr keygen` wrote.
 *
 * @throws InputError it is no key file, or damaged.
 */
export function readKey(text: string): Promise<Uint8Array>;
