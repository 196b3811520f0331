/** The films of the page, one after the other through the worker. */

import type { Film } from "../films/film";
import { csvText } from "../score/csv";
import { columns } from "../score/record";
import { recipeOf, type Recipe } from "../score/recipe";
import { type Preprocess, stepsOf } from "../preprocess/language";
import type { GateMode, Scored } from "../worker";
import type { Files } from "./bundle";
import type { Client } from "./client";
import { byId, h } from "./dom";
import type { Found } from "./files";
import { uniqueNames } from "./names";
import { reading } from "./reading";
import type { Stage } from "./stage";
import { order, type Row, type Sorting, table } from "./table";

interface Entry extends Row {
  file: File;
  path: string;
  mode: GateMode | undefined; // of this film alone
  scored: Scored | undefined;
}

const KEPT = 192e6; // bytes of pixels that are kept for a quick look back

export class App {
  private readonly recipe: Recipe;
  private readonly steps: Preprocess;
  private readonly hasGate: boolean;
  private entries: Entry[] = [];
  private current = -1;
  private isChosen = false; // by the reader, not by the page
  private sorting: Sorting | undefined;
  private mode: GateMode = "refuse";
  private running = false;
  private generation = 0; // of the list: answers of an earlier one are dropped
  private began = 0;
  private finished = 0;
  private pending = false;
  private scrolls = false; // the row of the film has to come into view
  private readonly pixels = new Map<Entry, Film>();

  constructor(
    files: Files,
    private readonly client: Client,
    private readonly stage: Stage,
  ) {
    this.recipe = recipeOf(files.bundle);
    this.steps = stepsOf(files.preprocess);
    this.hasGate = files.gate !== undefined;
  }

  add({ films, skipped }: Found): void {
    if (!films.length) {
      byId("status").textContent = skipped ? `No film among ${skipped} files.` : "";
      byId("batch").hidden = !this.entries.length && !skipped;
      return;
    }
    const first = this.entries.length;
    for (const { file, path } of films)
      this.entries.push({ file, path, id: "", state: "waiting", record: undefined, scored: undefined, mode: undefined });
    this.rename();
    byId("empty").hidden = true;
    byId("batch").hidden = false;
    byId("status").textContent = skipped ? `${skipped} files that are no pictures were left out.` : "";
    this.isChosen = false;
    this.began = performance.now();
    this.finished = 0;
    this.choose(first, false);
    void this.run();
  }

  clear(): void {
    this.generation++;
    this.entries = [];
    this.pixels.clear();
    this.current = -1;
    this.stage.show(undefined, { zones: [], heatmap: undefined, pad: false });
    byId("reading").replaceChildren(h("p", { class: "muted" }, "No film yet."));
    byId("empty").hidden = false;
    byId("batch").hidden = true;
    byId("status").textContent = "";
  }

  setMode(mode: GateMode): void {
    this.mode = mode;
    for (const entry of this.entries)
      if (["refused", "warned"].includes(String(entry.record?.["gate"]))) this.redo(entry, undefined);
    void this.run();
  }

  step(by: number): void {
    const places = order(this.entries, this.sorting);
    const at = places.indexOf(this.current);
    const next = places[Math.min(Math.max(at + by, 0), places.length - 1)];
    if (next !== undefined) this.choose(next, true);
  }

  /** predictions.csv of all films that are done. */
  csv(): string {
    const done = this.entries.flatMap(({ record }) => (record ? [record] : []));
    return csvText(columns(this.recipe), done);
  }

  private rename(): void {
    const names = uniqueNames(this.entries.map(({ path }) => path));
    this.entries.forEach((entry, k) => {
      entry.id = names[k]!;
      if (entry.record) entry.record["example_id"] = entry.id;
    });
  }

  private redo(entry: Entry, mode: GateMode | undefined): void {
    Object.assign(entry, { mode, state: "waiting", record: undefined, scored: undefined });
    this.pixels.delete(entry);
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    const { generation } = this;
    for (let entry; generation === this.generation && (entry = this.next()); ) await this.score(entry);
    this.running = false;
    this.list();
    if (generation !== this.generation) void this.run();
  }

  /** The film that the reader waits for, or else the first. */
  private next(): Entry | undefined {
    const chosen = this.entries[this.current];
    return chosen?.state === "waiting" ? chosen : this.entries.find(({ state }) => state === "waiting");
  }

  private async score(entry: Entry): Promise<void> {
    entry.state = "reading";
    this.list();
    const { file, path, id } = entry;
    const mode = this.hasGate ? (entry.mode ?? this.mode) : "off";
    const { generation } = this;
    const question = { op: "score" as const, file, name: file.name, path, exampleId: id, mode };
    const scored = await this.client.ask(question).catch((error: Error) => this.broken(entry, error));
    if (generation !== this.generation) return;
    entry.state = "done";
    entry.record = { ...scored.record, example_id: entry.id };
    entry.scored = { ...scored, film: undefined };
    this.finished++;
    if (scored.film) {
      entry.scored.film = { ...scored.film, data: new Uint8Array(0) };
      this.keep(entry, scored.film);
    }
    if (this.entries[this.current] === entry) this.show(entry);
    this.list();
  }

  /** The record of a film that the worker could not even answer for. */
  private broken(entry: Entry, error: Error): Scored {
    const empty = Object.fromEntries(columns(this.recipe).map((name) => [name, ""]));
    return {
      record: { ...empty, path: entry.path, example_id: entry.id, error: error.message },
      film: undefined,
      verdict: undefined,
      outputs: undefined,
      seconds: { read: 0, score: 0 },
    };
  }

  /** Keeps the pixels of a film, and of as many before as there is room for. */
  private keep(entry: Entry, film: Film): void {
    this.pixels.delete(entry);
    this.pixels.set(entry, film);
    let sum = 0;
    for (const [other, { data }] of [...this.pixels].reverse()) {
      sum += data.byteLength;
      if (sum > KEPT && other !== entry) this.pixels.delete(other);
    }
  }

  private choose(place: number, byReader: boolean): void {
    if (byReader) this.isChosen = true;
    if (!byReader && this.isChosen) return;
    this.current = place;
    this.scrolls = true;
    this.show(this.entries[place]!);
    this.list();
  }

  private show(entry: Entry): void {
    const { scored } = entry;
    const panel = byId("reading");
    if (!scored) {
      this.stage.show(undefined, { zones: [], heatmap: undefined, pad: false });
      panel.replaceChildren(h("h2", { class: "name" }, entry.id), h("p", { class: "muted" }, "Reading the film."));
      return;
    }
    const again = () => {
      this.redo(entry, "warn");
      void this.run();
    };
    panel.replaceChildren(...reading(this.recipe, entry.id, scored, again));
    const shown = scored.record["gate"] === "refused" ? undefined : scored.outputs;
    const zones = this.recipe.task === "brixia" && shown
      ? this.recipe.questions.map((name) => ({ name, score: scored.record[`expected_${name}`] as number }))
      : [];
    const overlay = { zones, heatmap: shown?.heatmap, pad: this.steps.pad };
    const film = this.pixels.get(entry);
    if (film || !scored.film) return this.stage.show(film, overlay);
    this.stage.show(undefined, overlay);
    void this.client.ask({ op: "film", file: entry.file, name: entry.file.name }).then((found) => {
      this.keep(entry, found);
      if (this.entries[this.current] === entry) this.stage.show(found, overlay);
    });
  }

  /** Renews the list, once for all that changes before the next picture of the screen. */
  private list(): void {
    if (this.pending) return;
    this.pending = true;
    setTimeout(() => {
      this.pending = false;
      this.relist();
    });
  }

  private relist(): void {
    const places = order(this.entries, this.sorting);
    const held = (document.activeElement as HTMLElement | null)?.dataset;
    const sort = (column: string) => {
      const falling = this.sorting?.column === column ? !this.sorting.falling : false;
      this.sorting = { column, falling };
      this.list();
    };
    const choose = (place: number) => this.choose(place, true);
    byId("rows").replaceChildren(table(this.recipe, this.entries, places, this.current, this.sorting, choose, sort));
    // The list is made anew; whoever was in it with the keyboard stays there.
    const again = held?.["place"] ? `[data-place="${held["place"]}"]` : held?.["sort"] ? `[data-sort="${held["sort"]}"]` : "";
    if (again) document.querySelector<HTMLElement>(again)?.focus({ preventScroll: true });
    if (this.scrolls) scrollTo(byId("rows"), this.current);
    this.scrolls = false;
    this.progress();
  }

  private progress(): void {
    const bar = byId<HTMLProgressElement>("progress");
    const done = this.entries.filter(({ state }) => state === "done").length;
    const total = this.entries.length;
    bar.max = Math.max(total, 1);
    bar.value = done;
    bar.hidden = !this.running || total === 1;
    byId<HTMLButtonElement>("csv").disabled = !done;
    if (this.running && total > 1) {
      const left = ((performance.now() - this.began) / 1000 / Math.max(this.finished, 1)) * (total - done);
      const time = this.finished ? `, ${left < 60 ? `${Math.ceil(left)} s` : `${Math.ceil(left / 60)} min`} left` : "";
      byId("status").textContent = `${done} of ${total}${time}`;
    } else if (done === total && total) {
      const failed = this.entries.filter(({ record }) => record?.["error"]).length;
      const refused = this.entries.filter(({ record }) => record?.["gate"] === "refused").length;
      const parts = [`${total} ${total === 1 ? "film" : "films"}`];
      if (refused) parts.push(`${refused} refused by the gate`);
      if (failed) parts.push(`${failed} not read`);
      byId("status").textContent = parts.join(", ");
    }
  }
}

/** Scrolls the list, not the page, until a row is in view. */
function scrollTo(list: HTMLElement, place: number): void {
  const row = list.querySelector(`[data-place="${place}"]`)?.closest("tr");
  if (!row) return;
  const head = list.querySelector("thead")!.clientHeight;
  const top = row.offsetTop - head;
  const bottom = row.offsetTop + row.clientHeight - list.clientHeight;
  if (list.scrollTop > top) list.scrollTop = top;
  else if (list.scrollTop < bottom) list.scrollTop = bottom;
}
