/**
 * Whether a film is one that the model may score: cxr_jax/gate/, whose docstrings give the
 * arithmetic, number by number.
 */

import { type Film, full } from "../films/film";
import { describe, LENGTH, SIDE } from "./gradients";
import { raster } from "./raster";

export interface Finding {
  check: string;
  score: number;
  limit: number;
}

export interface Verdict {
  findings: Finding[];
  passed: boolean;
}

interface Map {
  weights: Float32Array;
  bias: number;
  limit: number;
}

interface Distance {
  mean: Float32Array;
  basis: Float32Array; // [k, d]
  variances: Float32Array; // [k]
  rest: number;
  limit: number;
}

export interface Gate {
  flat: number;
  shortest: number;
  aspect: number;
  maps: { [check: string]: Map };
  view: Distance;
  unlike_training: Distance;
}

const MAPS = ["polarity", "orientation", "cropped"];

/** Reads gate.json. Throws Error that says what is wrong in it. */
export function gateOf(content: unknown): Gate {
  const found = content as { [key: string]: unknown } & { maps: { [check: string]: Plain }; format: unknown };
  if (found.format !== 1) throw new Error(`gate.json is of format ${String(found.format)}, and this page reads 1`);
  const numbers = ["flat", "shortest", "aspect"].map((key) => found[key] as number);
  if (!numbers.every(Number.isFinite)) throw new Error("gate.json lacks numbers");
  const [flat, shortest, aspect] = numbers as [number, number, number];
  const maps = Object.fromEntries(
    MAPS.map((check) => {
      const { weights, bias, limit } = found.maps[check]!;
      return [check, { weights: decoded(weights!, [LENGTH]), bias: bias!, limit: limit! }];
    }),
  );
  const distance = (key: string) => distanceOf(found[key] as Plain);
  return { flat, shortest, aspect, maps, view: distance("view"), unlike_training: distance("unlike_training") };
}

interface Encoded {
  shape: number[];
  float32: string;
}

interface Plain {
  weights?: Encoded;
  mean?: Encoded;
  basis?: Encoded;
  variances?: Encoded;
  bias?: number;
  rest?: number;
  limit?: number;
}

function distanceOf({ mean, basis, variances, rest, limit }: Plain): Distance {
  const centre = decoded(mean!);
  const along = decoded(variances!);
  return {
    mean: centre,
    basis: decoded(basis!, [along.length, centre.length]),
    variances: along,
    rest: rest!,
    limit: limit!,
  };
}

function decoded({ shape, float32 }: Encoded, wanted: number[] = shape): Float32Array {
  const bytes = Uint8Array.from(atob(float32), (character) => character.charCodeAt(0));
  if (shape.join() !== wanted.join() || bytes.length !== 4 * shape.reduce((a, b) => a * b, 1))
    throw new Error("gate.json is damaged: an array has another shape");
  return new Float32Array(bytes.buffer);
}

/** What is wrong with a film. A blank one, or one of a wrong size, is not judged further. */
export function judge(gate: Gate, film: Film, features: Float32Array): Verdict {
  const small = raster(film, full(film.data), SIDE);
  const flat = { check: "blank", score: flatness(small), limit: gate.flat };
  let findings = over([flat, { check: "size", score: misfit(gate, film), limit: 1 }]);
  if (!findings.length) {
    const described = describe(small);
    const { view, unlike_training: unlike } = gate;
    findings = over([
      ...MAPS.map((check) => {
        const { weights, bias, limit } = gate.maps[check]!;
        const score = described.reduce((sum, value, k) => sum + value * weights[k]!, 0) + bias;
        return { check, score, limit };
      }),
      { check: "view", score: distance(view, described), limit: view.limit },
      { check: "unlike_training", score: distance(unlike, features), limit: unlike.limit },
    ]);
  }
  return { findings, passed: findings.length === 0 };
}

// What is not a number is above no limit, but is no film either.
function over(findings: Finding[]): Finding[] {
  return findings.filter(({ score, limit }) => !(score <= limit));
}

/** The part of the range of greys that a raster does not use. */
function flatness(small: Float64Array): number {
  const values = small.slice().sort();
  const aside = Math.floor(values.length / 50);
  return 1 - (values[values.length - 1 - aside]! - values[aside]!);
}

/** How far the sides of a film are beyond what is allowed: above 1. */
function misfit(gate: Gate, { width, height }: Film): number {
  const short = Math.min(width, height);
  return Math.max(Math.max(width, height) / gate.aspect, gate.shortest) / short;
}

/** The root mean square of how many standard deviations away numbers are. */
function distance(of: Distance, x: ArrayLike<number>): number {
  const { mean, basis, variances, rest } = of;
  const away = Float64Array.from(mean, (value, k) => x[k]! - value);
  let squares = 0;
  let along = 0;
  for (let row = 0; row < variances.length; row++) {
    let z = 0;
    for (let k = 0; k < away.length; k++) z += away[k]! * basis[row * away.length + k]!;
    squares += (z * z) / variances[row]!;
    along += z * z;
  }
  const whole = away.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt((squares + Math.max(whole - along, 0) / rest) / away.length);
}

/** 'view=0.91>0.50;blank=...' */
export function reasonsOf({ findings }: Verdict): string {
  return findings
    .filter(({ score, limit }) => score > limit)
    .map(({ check, score, limit }) => `${check}=${score.toFixed(2)}>${limit.toFixed(2)}`)
    .join(";");
}
