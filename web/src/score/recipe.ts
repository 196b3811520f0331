/** bundle.json: what a model's figures mean (cxr_jax/predict/recipe.py). */

export interface Decision {
  thresholds: number[] | null;
  temperature: number;
  set_least: number;
  interval_factor?: number | null;
  coverage: number;
}

export interface Recipe {
  format: number;
  made_by: string;
  name: string;
  task: "brixia" | "classify";
  classes: string[];
  questions: string[];
  decision: Decision;
  outputs: string[];
  variants: Record<string, string>;
  input: { name: string; shape: number[] };
  trained_on: string;
  run_digest: string;
}

/** Checks what the page relies on. Throws Error that names it. */
export function recipeOf(content: unknown): Recipe {
  const recipe = content as Recipe;
  const wrong = (what: string) => new Error(`bundle.json: ${what}. Export the model again.`);
  if (recipe.format !== 1) throw wrong(`it is of format ${String(recipe.format)}, and this page reads 1`);
  if (recipe.task !== "brixia" && recipe.task !== "classify") throw wrong(`its task is ${String(recipe.task)}`);
  const texts = (value: unknown) => Array.isArray(value) && value.every((each) => typeof each === "string");
  if (!texts(recipe.classes) || !texts(recipe.questions)) throw wrong("classes or questions are not texts");
  const { decision } = recipe;
  const numbers = [decision?.temperature, decision?.set_least, decision?.coverage];
  if (!numbers.every(Number.isFinite) || decision.temperature <= 0) throw wrong("its decision lacks numbers");
  const thresholds = decision.thresholds;
  if ((thresholds === null) !== (recipe.task === "brixia") || (thresholds && thresholds.length !== recipe.classes.length))
    throw wrong("its thresholds do not fit its classes");
  return recipe;
}
