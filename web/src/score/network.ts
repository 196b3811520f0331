/** The network of a bundle, by ONNX Runtime as WebAssembly. */

import * as ort from "onnxruntime-web/wasm";
import mjs from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import type { Recipe } from "./recipe";

export interface Outputs {
  probs: Float32Array; // [G * K]
  features: Float32Array; // [D]
  heatmap: { width: number; height: number; data: Float32Array } | undefined;
}

export interface Network {
  run(input: Float32Array, side: number): Promise<Outputs>;
  threads: number;
}

const MOST_THREADS = 8;

/** Opens a model; threads need a page that is isolated from other origins. */
export async function openNetwork(model: Uint8Array, recipe: Recipe): Promise<Network> {
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS) : 1;
  const here = (url: string) => new URL(url, import.meta.url).href;
  ort.env.wasm.wasmPaths = { mjs: here(mjs), wasm: here(wasm) };
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
  });
  const run = async (input: Float32Array, side: number) => {
    const image = new ort.Tensor("float32", input, [1, side, side, 1]);
    const found = await session.run({ [recipe.input.name]: image });
    const heatmap = found["heatmap"];
    return {
      probs: (found["probs"]!.data as Float32Array).slice(),
      features: (found["features"]!.data as Float32Array).slice(),
      heatmap: heatmap && {
        width: heatmap.dims[2]!,
        height: heatmap.dims[1]!,
        data: (heatmap.data as Float32Array).slice(),
      },
    };
  };
  return { run, threads };
}
