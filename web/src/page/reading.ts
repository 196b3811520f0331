/** The result of one film, in words and numbers. */

import type { Record } from "../score/record";
import { calledOf } from "../score/record";
import type { Recipe } from "../score/recipe";
import type { Scored } from "../worker";
import { h } from "./dom";
import { decimal, findingText, percent, warningText } from "./words";

const ROWS = ["Upper", "Middle", "Lower"];

/** The panel beside the film. `again` scores a refused film nevertheless. */
export function reading(recipe: Recipe, id: string, scored: Scored, again: () => void): Node[] {
  const { record } = scored;
  const parts: (Node | undefined)[] = [h("h2", { class: "name" }, id)];
  if (record["error"]) return [...parts, failed(String(record["error"]))].filter((part) => part !== undefined);
  if (record["gate"] === "refused") parts.push(refused(again));
  else if (recipe.task === "brixia") parts.push(globalScore(recipe, record), zones(recipe, record));
  else parts.push(called(recipe, record), probabilities(recipe, record));
  parts.push(gate(scored), warnings(String(record["warnings"])), facts(scored));
  return parts.filter((part) => part !== undefined);
}

function failed(error: string): Node {
  const [found, hint] = error.split(" -> ");
  return h(
    "section",
    { class: "verdict bad" },
    h("h3", {}, "Not read"),
    h("p", {}, `${sentence(found!)}`),
    hint && h("p", { class: "muted" }, hint),
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function refused(again: () => void): Node {
  const button = h("button", { type: "button" }, "Score it nevertheless");
  button.addEventListener("click", again);
  return h(
    "section",
    { class: "verdict bad" },
    h("h3", {}, "Not scored"),
    h("p", {}, "The gate refused this film. Its reasons are below."),
    button,
  );
}

function globalScore(recipe: Recipe, record: Record): Node {
  const most = recipe.questions.length * (recipe.classes.length - 1);
  const value = record["global"] as number;
  const [low, high] = [record["global_low"], record["global_high"]];
  const known = typeof low === "number" && typeof high === "number";
  const coverage = percent(recipe.decision.coverage);
  const scale = h("div", { class: "scale", "aria-hidden": "true" });
  if (known) {
    const band = h("span", { class: "band" });
    band.style.left = `${(100 * low) / most}%`;
    band.style.width = `${(100 * (high - low)) / most}%`;
    scale.append(band);
  }
  const tick = h("span", { class: "tick" });
  tick.style.left = `${(100 * value) / most}%`;
  scale.append(tick);
  return h(
    "section",
    { class: "headline" },
    h("h3", {}, "Brixia score, both lungs"),
    h("p", { class: "figure" }, h("span", { class: "number" }, decimal(value)), h("span", { class: "of" }, ` of ${most}`)),
    scale,
    h(
      "p",
      { class: "interval" },
      known
        ? `${coverage} interval ${decimal(low)} to ${decimal(high)}`
        : "No interval: the training did not settle one.",
    ),
    confidence(recipe, record),
  );
}

function confidence(recipe: Recipe, record: Record): Node {
  const value = percent(record["confidence"] as number);
  // Of too few patients val settles nothing: sets hold every class, nothing is calibrated.
  const words = recipe.decision.set_least > 0 ? `Calibrated confidence ${value}` : `Confidence ${value}, not calibrated`;
  return h("p", { class: "muted" }, words);
}

function zones(recipe: Recipe, record: Record): Node {
  const cell = (zone: string) => {
    const probs = recipe.classes.map((k) => record[`prob_${zone}${k}`] as number);
    const score = record[`expected_${zone}`] as number;
    const bars = h("span", { class: "bars", "aria-hidden": "true" });
    probs.forEach((p, k) => {
      const bar = h("span", { class: `level level-${k}` });
      bar.style.height = `${Math.max(100 * p, 2)}%`;
      bars.append(bar);
    });
    const set = String(record[`set_${zone}`]).split("|");
    const words = set.length > 1 ? `${set.slice(0, -1).join(", ")} or ${set.at(-1)}` : set[0];
    const title = probs.map((p, k) => `${k}: ${percent(p)}`).join(", ");
    return h(
      "td",
      { title },
      h("span", { class: "zone-name" }, zone),
      h("span", { class: "zone-score" }, decimal(score)),
      bars,
      h("span", { class: "zone-set" }, `set ${words}`),
    );
  };
  const half = ROWS.length;
  return h(
    "section",
    {},
    h("h3", {}, "Zones, 0 to 3"),
    h(
      "table",
      { class: "zones" },
      h(
        "thead",
        {},
        h("tr", {}, h("td", {}), h("th", { scope: "col" }, "Right lung"), h("th", { scope: "col" }, "Left lung")),
      ),
      h(
        "tbody",
        {},
        ...ROWS.map((row, k) =>
          h("tr", {}, h("th", { scope: "row" }, row), cell(recipe.questions[k]!), cell(recipe.questions[k + half]!)),
        ),
      ),
    ),
    h(
      "p",
      { class: "muted small" },
      `Expected score, the probabilities of 0 to 3, and the set that holds the reader's score in ` +
        `${percent(recipe.decision.coverage)} of zones. Where they stand on the film is schematic.`,
    ),
  );
}

function called(recipe: Recipe, record: Record): Node {
  const set = String(record["set"]).split("|");
  const coverage = percent(recipe.decision.coverage);
  return h(
    "section",
    { class: "headline" },
    h("h3", {}, "Called"),
    h("p", { class: "figure" }, h("span", { class: "number" }, String(record["called"]))),
    h("p", { class: "interval" }, `${coverage} prediction set: ${set.join(" or ")}`),
    confidence(recipe, record),
  );
}

function probabilities(recipe: Recipe, record: Record): Node {
  const probs = recipe.classes.map((name) => record[`prob_${name}`] as number);
  const chosen = calledOf(recipe, probs);
  const { thresholds } = recipe.decision;
  const two = recipe.classes.length === 2 && thresholds;
  const rows = recipe.classes.map((name, k) => {
    const bar = h("span", { class: "share", "aria-hidden": "true" });
    const fill = h("span", { class: k === chosen ? "fill chosen" : "fill" });
    fill.style.width = `${100 * probs[k]!}%`;
    bar.append(fill);
    if (two && k === 1) {
      const tick = h("span", { class: "tick" });
      tick.style.left = `${100 * thresholds[1]!}%`;
      bar.append(tick);
    }
    return h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, bar), h("td", { class: "right" }, percent(probs[k]!)));
  });
  return h(
    "section",
    {},
    h("h3", {}, "Probabilities"),
    h("table", { class: "classes" }, h("tbody", {}, ...rows)),
    two
      ? h("p", { class: "muted small" }, `${recipe.classes[1]} is called from ${percent(thresholds[1]!)} on.`)
      : h("p", { class: "muted small" }, "The most probable class is called."),
  );
}

function gate({ record, verdict }: Scored): Node {
  if (!verdict)
    return h("section", { class: "gate" }, h("h3", {}, "Gate"), h("p", { class: "muted" }, "This bundle has none: any picture is scored."));
  if (verdict.passed)
    return h(
      "section",
      { class: "gate" },
      h("h3", {}, "Gate"),
      h("p", { class: "good" }, "Passed: frontal, upright, whole, and like the films of training."),
    );
  return h(
    "section",
    { class: "gate" },
    h("h3", {}, record["gate"] === "warned" ? "Gate: scored with a warning" : "Gate"),
    h(
      "ul",
      { class: "findings" },
      ...verdict.findings.map(({ check, score, limit }) => {
        const { title, text } = findingText(check);
        return h("li", {}, h("strong", {}, title), " ", text, h("span", { class: "muted" }, ` (${decimal(score, 2)}, limit ${decimal(limit, 2)})`));
      }),
    ),
  );
}

function warnings(text: string): Node | undefined {
  if (!text) return undefined;
  return h(
    "section",
    { class: "warnings" },
    h("h3", {}, "About the file"),
    h("ul", {}, ...text.split(";").map((key) => h("li", {}, warningText(key)))),
  );
}

function facts({ film, seconds }: Scored): Node {
  const time = `read in ${decimal(seconds.read, 2)} s, scored in ${decimal(seconds.score, 2)} s`;
  return h("p", { class: "muted small facts" }, [...(film?.about ?? []), time].join(" · "));
}
