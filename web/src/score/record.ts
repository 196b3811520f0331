/**
 * What is said of one film: a row of predictions.csv. The columns and formulas of
 * cxr_jax/predict/record.py, whose figures are of float32.
 */

import type { Recipe } from "./recipe";

/** Texts; and numbers, which are of float32. */
export type Record = { [column: string]: string | number };

export type GateWord = "passed" | "refused" | "warned" | "off" | "";

export interface Facts {
  path: string;
  example_id: string;
  gate: GateWord;
  gate_reasons: string;
  warnings: string[];
  error: string;
}

// As float32's smallest normal number: what rounds to 0 is at most this.
const TINY = 2 ** -126;
const LEAST_SPREAD = 0.25; // of a global score, in points

/** The keys of a record in their order. */
export function columns(recipe: Recipe): string[] {
  const { classes, questions } = recipe;
  const own =
    recipe.task === "brixia"
      ? [
          ...questions.map((zone) => `expected_${zone}`),
          ...questions.flatMap((zone) => classes.map((k) => `prob_${zone}${k}`)),
          ...["global", "global_low", "global_high"],
          ...questions.map((zone) => `set_${zone}`),
        ]
      : ["called", ...classes.map((name) => `prob_${name}`), "set"];
  return ["path", "example_id", ...own, "confidence", "gate", "gate_reasons", "warnings", "error"];
}

/** The record of a film; `probs` [G * K] is undefined of one that was not scored. */
export function record(recipe: Recipe, facts: Facts, probs?: Float32Array): Record {
  const found: Record = Object.fromEntries(columns(recipe).map((name) => [name, ""]));
  Object.assign(found, facts, { warnings: facts.warnings.join(";") });
  if (!probs) return found;
  const groups = split(probs, recipe.classes.length);
  const after = groups.map((group) => tempered(group, recipe.decision.temperature));
  Object.assign(found, recipe.task === "brixia" ? scores(recipe, groups, after) : classes(recipe, groups, after));
  const called = groups.map((group) => calledOf(recipe, group));
  const sure = after.map((group, k) => group[called[k]!]!);
  found["confidence"] = Math.fround(sure.reduce((sum, p) => sum + p, 0) / sure.length);
  return found;
}

function split(probs: Float32Array, size: number): number[][] {
  return Array.from({ length: probs.length / size }, (_, k) => [...probs.subarray(k * size, (k + 1) * size)]);
}

function scores(recipe: Recipe, groups: number[][], after: number[][]): Record {
  const expected = groups.map(expectedScore);
  const found: Record = {};
  recipe.questions.forEach((zone, i) => {
    found[`expected_${zone}`] = expected[i]!;
    recipe.classes.forEach((k, j) => {
      found[`prob_${zone}${k}`] = groups[i]![j]!;
    });
    found[`set_${zone}`] = setOf(recipe, after[i]!);
  });
  found["global"] = expected.reduce((sum, score) => Math.fround(sum + score), 0);
  const factor = recipe.decision.interval_factor;
  if (factor === undefined) return found;
  const highest = groups.length * (recipe.classes.length - 1);
  const middle = sum(groups.map(mean));
  const half = (factor ?? Infinity) * Math.max(Math.sqrt(sum(after.map(variance))), LEAST_SPREAD);
  found["global_low"] = Math.fround(Math.max(middle - half, 0));
  found["global_high"] = Math.fround(Math.min(middle + half, highest));
  return found;
}

function classes(recipe: Recipe, groups: number[][], after: number[][]): Record {
  const found: Record = { called: recipe.classes[calledOf(recipe, groups[0]!)]!, set: setOf(recipe, after[0]!) };
  recipe.classes.forEach((name, k) => {
    found[`prob_${name}`] = groups[0]![k]!;
  });
  return found;
}

/** Mean score of a zone; each level is multiplied, added and rounded to float32 at once. */
function expectedScore(probs: number[]): number {
  return probs.reduce((total, p, level) => Math.fround(level * p + total), 0);
}

/** Index of the class called: by threshold for two, else the most probable. */
export function calledOf(recipe: Recipe, probs: number[]): number {
  const { thresholds } = recipe.decision;
  if (thresholds && probs.length === 2) return Number(probs[1]! >= thresholds[1]!);
  return probs.indexOf(Math.max(...probs));
}

function setOf(recipe: Recipe, after: number[]): string {
  const most = Math.max(...after);
  return recipe.classes.filter((_, k) => after[k]! >= recipe.decision.set_least || after[k] === most).join("|");
}

/** The probabilities p ** (1 / T), normalised. */
export function tempered(probs: number[], temperature: number): number[] {
  const logits = probs.map((p) => Math.log(Math.max(p, TINY)) / temperature);
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const total = sum(powers);
  return powers.map((power) => power / total);
}

function mean(probs: number[]): number {
  return sum(probs.map((p, level) => p * level));
}

function variance(probs: number[]): number {
  return Math.max(sum(probs.map((p, level) => p * level * level)) - mean(probs) ** 2, 0);
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
