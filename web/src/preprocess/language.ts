/** preprocess.json: the language of docs/deployment.md. */

/** The steps of preprocess.json (docs/deployment.md), in their order. */
export interface Preprocess {
  bits: 8 | 16;
  polarity: "header" | "pixels";
  longest: number;
  pad: boolean;
  side: number;
}

interface Step {
  op: string;
  [key: string]: unknown;
}

/** Reads preprocess.json. Throws Error that names what is wrong in it. */
export function stepsOf(content: unknown): Preprocess {
  const { format, steps } = content as { format: unknown; steps: Step[] };
  if (format !== 1) throw new Error(`preprocess.json is of format ${String(format)}, and this page reads 1`);
  const ops = steps.map((step) => step.op);
  const pad = ops.includes("pad");
  const wanted = ["read", "longest", ...(pad ? ["pad"] : []), "square", "unit"];
  if (ops.join() !== wanted.join()) throw new Error(`preprocess.json: its steps are ${ops.join(", ")}`);
  const step = (op: string) => steps.find((each) => each.op === op)!;
  const [bits, polarity] = [step("read")["bits"], step("read")["polarity"]];
  const [longest, side] = [step("longest")["side"], step("square")["side"]];
  const sides = [longest, side].every((value) => Number.isInteger(value) && (value as number) > 0);
  if ((bits !== 8 && bits !== 16) || (polarity !== "header" && polarity !== "pixels") || !sides)
    throw new Error("preprocess.json: a step cannot be as it is");
  return { bits, polarity, longest: longest as number, pad, side: side as number };
}
