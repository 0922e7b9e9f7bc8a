// node logits.mjs FOLDER DTYPE < PIXELS: what transformers.js answers with a folder of `hipmr export`, without the network.
// PIXELS is a line of JSON, {data, dims}; the answer is one too, {logits, dims}, of a detector also {pred_boxes}.
import { basename, dirname, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { AutoConfig, AutoModel, Tensor, env } from "@huggingface/transformers";

const [folder, dtype] = process.argv.slice(2);
env.localModelPath = dirname(resolve(folder)) + "/";
env.allowRemoteModels = false;
globalThis.fetch = () => Promise.reject(new Error("the network was asked"));

const name = basename(folder), { data, dims } = JSON.parse(await text(process.stdin));
const config = await AutoConfig.from_pretrained(name);
const model = await AutoModel.from_pretrained(name, { dtype });
const { logits, pred_boxes: boxes } = await model({ pixel_values: new Tensor("float32", Float32Array.from(data), dims) });
const pred_boxes = boxes && Array.from(boxes.data);
console.log(JSON.stringify({ logits: Array.from(logits.data), pred_boxes, dims: logits.dims, model_type: config.model_type }));
