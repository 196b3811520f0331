import type { Film } from "../films/film";
export interface Finding { check: string; score: number; limit: number }
export interface Verdict { findings: Finding[]; passed: boolean }
export type Gate = object;
export function gateOf(content: unknown): Gate { return content as Gate; }
export function judge(_gate: Gate, _film: Film, _features: Float32Array): Verdict { return { findings: [], passed: true }; }
export function reasonsOf(verdict: Verdict): string {
  return verdict.findings.filter((each) => each.score > each.limit).map((each) => `${each.check}=${each.score.toFixed(2)}>${each.limit.toFixed(2)}`).join(";");
}
