/** The films of a batch as a table. */

import type { Recipe } from "../score/recipe";
import type { Record } from "../score/record";
import { h } from "./dom";
import { decimal, percent } from "./words";

export interface Row {
  id: string;
  state: "waiting" | "reading" | "done";
  record: Record | undefined;
}

export interface Sorting {
  column: string;
  falling: boolean;
}

interface Column {
  key: string;
  title: string;
  text: (record: Record) => string;
  numeric: boolean;
}

const number = (key: string, title: string, places: number): Column => ({
  key,
  title,
  text: (record) => (typeof record[key] === "number" ? decimal(record[key], places) : ""),
  numeric: true,
});

const interval: Column = {
  key: "global_low",
  title: "Interval",
  text: ({ global_low: low, global_high: high }) =>
    typeof low === "number" && typeof high === "number" ? `${decimal(low)} to ${decimal(high)}` : "",
  numeric: true,
};

function columnsOf(recipe: Recipe): Column[] {
  const own: Column[] =
    recipe.task === "brixia"
      ? [
          number("global", "Global", 1),
          ...(recipe.decision.interval_factor === undefined ? [] : [interval]),
          ...recipe.questions.map((zone) => number(`expected_${zone}`, zone, 1)),
        ]
      : [
          { key: "called", title: "Called", text: (record) => String(record["called"]), numeric: false },
          ...recipe.classes.map((name) => ({
            key: `prob_${name}`,
            title: name,
            text: (record: Record) => (typeof record[`prob_${name}`] === "number" ? percent(record[`prob_${name}`] as number) : ""),
            numeric: true,
          })),
        ];
  const sure: Column = {
    key: "confidence",
    title: "Confidence",
    text: (record) => (typeof record["confidence"] === "number" ? percent(record["confidence"]) : ""),
    numeric: true,
  };
  return [...own, sure];
}

/** The order of the rows: as they came, or by a column; what is unknown is last. */
export function order(rows: Row[], sorting: Sorting | undefined): number[] {
  const places = rows.map((_, place) => place);
  if (!sorting) return places;
  const { column, falling } = sorting;
  const key = (place: number) => (column === "id" ? rows[place]!.id : rows[place]!.record?.[column]);
  const compare = (a: number, b: number) => {
    const [x, y] = [key(a), key(b)];
    const [empty, other] = [x === undefined || x === "", y === undefined || y === ""];
    if (empty || other) return Number(empty) - Number(other);
    const way = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
    return falling ? -way : way;
  };
  return places.sort((a, b) => compare(a, b) || a - b);
}

/** The table. `choose` is called with the place of a row, `sort` with a column. */
export function table(
  recipe: Recipe,
  rows: Row[],
  places: number[],
  current: number,
  sorting: Sorting | undefined,
  choose: (place: number) => void,
  sort: (column: string) => void,
): HTMLTableElement {
  const columns = columnsOf(recipe);
  const head = (key: string, title: string, numeric: boolean) => {
    const way = sorting?.column === key ? (sorting.falling ? "descending" : "ascending") : undefined;
    const button = h("button", { type: "button", "data-sort": key }, title);
    button.addEventListener("click", () => sort(key));
    return h("th", { scope: "col", class: numeric ? "right" : undefined, "aria-sort": way }, button);
  };
  const body = places.map((place) => {
    const row = rows[place]!;
    const { record } = row;
    const button = h("button", { type: "button", "data-place": String(place), "aria-current": place === current ? "true" : undefined }, row.id);
    const line = h("tr", { class: place === current ? "current" : undefined }, h("th", { scope: "row" }, button));
    line.addEventListener("click", () => choose(place));
    if (!record) {
      const text = row.state === "reading" ? "Scoring" : "Waiting";
      line.append(h("td", { colspan: String(columns.length + 1), class: "muted" }, text));
      return line;
    }
    if (record["error"]) {
      line.append(h("td", { colspan: String(columns.length + 1), class: "bad" }, `Not read: ${String(record["error"]).split(" -> ")[0]}`));
      return line;
    }
    for (const { text, numeric } of columns) line.append(h("td", { class: numeric ? "right" : undefined }, text(record)));
    line.append(h("td", {}, gateCell(record)));
    return line;
  });
  return h(
    "table",
    { class: "films" },
    h("thead", {}, h("tr", {}, head("id", "Film", false), ...columns.map(({ key, title, numeric }) => head(key, title, numeric)), head("gate", "Gate", false))),
    h("tbody", {}, ...body),
  );
}

function gateCell(record: Record): Node {
  const word = String(record["gate"]);
  const reasons = String(record["gate_reasons"])
    .split(";")
    .filter((each) => each)
    .map((each) => each.split("=")[0]!.replace("_", " "));
  const kind = word === "refused" ? "bad" : word === "warned" ? "warn" : word === "passed" ? "good" : "muted";
  return h("span", { class: kind }, reasons.length ? `${word}: ${reasons.join(", ")}` : word);
}
