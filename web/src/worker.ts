/** Reads, judges and scores films beside the page, so that it never waits. */

import { type Film, FilmError } from "./films/film";
import { type Preprocess, stepsOf } from "./preprocess/language";
import { prepared, read } from "./preprocess/steps";
import { type Gate, gateOf, judge, reasonsOf, type Verdict } from "./score/gate";
import { type Network, openNetwork, type Outputs } from "./score/network";
import { type GateWord, type Record, record } from "./score/record";
import { type Recipe, recipeOf } from "./score/recipe";

export type GateMode = "refuse" | "warn" | "off";

export interface Opened {
  threads: number;
}

export interface Scored {
  record: Record;
  film: Film | undefined;
  verdict: Verdict | undefined;
  outputs: Outputs | undefined;
  seconds: { read: number; score: number };
}

/** What the page asks for; the answer has the same id. */
export type Request = { id: number } & (
  | { op: "open"; bundle: unknown; preprocess: unknown; gate: unknown; model: Uint8Array }
  | { op: "score"; file: Blob; name: string; path: string; exampleId: string; mode: GateMode }
  | { op: "film"; file: Blob; name: string }
  | { op: "prepare"; file: Blob; name: string; preprocess: unknown }
);

interface Model {
  recipe: Recipe;
  steps: Preprocess;
  gate: Gate | undefined;
  network: Network;
}

let model: Model | undefined;

async function open(request: Extract<Request, { op: "open" }>): Promise<Opened> {
  const recipe = recipeOf(request.bundle);
  const steps = stepsOf(request.preprocess);
  const gate = request.gate === undefined ? undefined : gateOf(request.gate);
  const network = await openNetwork(request.model, recipe);
  // The first run lays out memory: no film should wait for it.
  await network.run(new Float32Array(steps.side ** 2), steps.side);
  model = { recipe, steps, gate, network };
  return { threads: network.threads };
}

async function score(request: Extract<Request, { op: "score" }>): Promise<Scored> {
  const { recipe, steps, gate, network } = model!;
  const { file, name, path, exampleId: example_id, mode } = request;
  const facts = { path, example_id, gate: "" as GateWord, gate_reasons: "", warnings: [] as string[], error: "" };
  const begin = performance.now();
  let film: Film;
  try {
    film = await read(new Uint8Array(await file.arrayBuffer()), name, steps);
  } catch (error) {
    facts.error = messageOf(error);
    const seconds = { read: (performance.now() - begin) / 1000, score: 0 };
    return { record: record(recipe, facts), film: undefined, verdict: undefined, outputs: undefined, seconds };
  }
  const middle = performance.now();
  const outputs = await network.run(prepared(film, steps), steps.side);
  const verdict = gate && mode !== "off" ? judge(gate, film, outputs.features) : undefined;
  facts.warnings = film.notes;
  facts.gate = !verdict ? "off" : verdict.passed ? "passed" : mode === "warn" ? "warned" : "refused";
  facts.gate_reasons = verdict ? reasonsOf(verdict) : "";
  const shown = facts.gate === "refused" ? undefined : outputs;
  const seconds = { read: (middle - begin) / 1000, score: (performance.now() - middle) / 1000 };
  return { record: record(recipe, facts, shown?.probs), film, verdict, outputs: shown, seconds };
}

async function answer(request: Request): Promise<unknown> {
  if (request.op === "open") return open(request);
  if (request.op === "score") return score(request);
  const file = new Uint8Array(await request.file.arrayBuffer());
  if (request.op === "film") return read(file, request.name, model!.steps);
  const steps = stepsOf(request.preprocess);
  const film = await read(file, request.name, steps);
  return { film, input: prepared(film, steps) };
}

/** The words of an error; other than FilmError they are the browser's. */
function messageOf(error: unknown): string {
  if (error instanceof FilmError) return `${error.found} -> ${error.hint}`.split(/\s+/).join(" ");
  if (error instanceof RangeError) return "too large for this browser's memory -> Score it on the command line.";
  return error instanceof Error ? error.message : String(error);
}

/** Buffers that are handed over instead of copied. */
function handed(found: unknown): Transferable[] {
  const { film, data } = (found ?? {}) as { film?: Film; data?: Uint8Array };
  return [film?.data.buffer, data?.buffer].filter((buffer) => buffer instanceof ArrayBuffer);
}

let queue = Promise.resolve();

// One after the other: decoders and network hold one state each.
self.addEventListener("message", (event: MessageEvent<Request>) => {
  const request = event.data;
  queue = queue.then(async () => {
    try {
      const found = await answer(request);
      self.postMessage({ id: request.id, found }, { transfer: handed(found) });
    } catch (error) {
      self.postMessage({ id: request.id, error: messageOf(error) });
    }
  });
});
