/** The page of a bundle: scores chest films in the browser, and sends them nowhere. */

import { App } from "./page/app";
import { loadBundle } from "./page/bundle";
import { Client } from "./page/client";
import { byId, h } from "./page/dom";
import { type Found, ofDrop, ofInput } from "./page/files";
import { Stage } from "./page/stage";
import { KEYS } from "./page/words";
import { recipeOf } from "./score/recipe";

const stage = new Stage();
let app: App | undefined;
let early: Found[] = []; // films that came before the model

function add(found: Found): void {
  if (app) app.add(found);
  else early.push(found);
}

async function start(): Promise<void> {
  const files = await loadBundle();
  const recipe = recipeOf(files.bundle);
  byId("model-name").textContent = recipe.name;
  const task = recipe.task === "brixia" ? "Brixia severity of six zones" : recipe.classes.join(" or ");
  byId("model-about").textContent = `${task}; trained on ${recipe.trained_on}`;
  const client = new Client();
  const { bundle, preprocess, gate, model } = files;
  const { threads } = await client.ask({ op: "open", bundle, preprocess, gate, model }, [model.buffer as ArrayBuffer]);
  byId("facts").textContent = [
    `Made by ${recipe.made_by}.`,
    files.checked ? "Every file is the one that its checksum names." : "Its files could not be checked.",
    threads > 1 ? `${threads} threads.` : "One thread: the server does not isolate this page.",
  ].join(" ");
  byId("gate-mode").closest("label")!.hidden = gate === undefined;
  app = new App(files, client, stage);
  document.documentElement.dataset["ready"] = "yes";
  for (const found of early) app.add(found);
  early = [];
}

function trouble(error: unknown): void {
  const line = byId("trouble");
  line.textContent = error instanceof Error ? error.message : String(error);
  line.hidden = false;
  byId("model-about").textContent = "The model cannot be loaded";
}

function on(id: string, act: () => void): void {
  byId(id).addEventListener("click", act);
}

function wire(): void {
  const [files, folder] = [byId<HTMLInputElement>("files"), byId<HTMLInputElement>("folder")];
  on("open", () => files.click());
  on("open-folder", () => folder.click());
  for (const input of [files, folder])
    input.addEventListener("change", async () => {
      add(await ofInput(input));
      input.value = "";
    });
  on("tool-window", () => stage.choose("window"));
  on("tool-pan", () => stage.choose("pan"));
  on("zoom-in", () => stage.zoomBy(1.3));
  on("zoom-out", () => stage.zoomBy(1 / 1.3));
  on("reset", () => stage.reset());
  on("invert", () => stage.invert());
  on("zones-shown", () => stage.toggleZones());
  on("heat-shown", () => stage.toggleHeat());
  on("clear", () => app?.clear());
  on("csv", save);
  const opacity = byId<HTMLInputElement>("heat-opacity");
  const fade = () => (byId("heat").style.opacity = String(Number(opacity.value) / 100));
  opacity.addEventListener("input", fade);
  fade();
  const mode = byId<HTMLSelectElement>("gate-mode");
  mode.addEventListener("change", () => app?.setMode(mode.value as "refuse" | "warn"));
  wireDialogs();
  wireDrops();
  document.addEventListener("keydown", key);
}

function wireDialogs(): void {
  byId("key-rows").append(...KEYS.map(([keys, does]) => h("tr", {}, h("th", { scope: "row" }, keys), h("td", {}, does))));
  const card = byId<HTMLDialogElement>("card");
  on("show-card", () => {
    const frame = card.querySelector("iframe")!;
    frame.src ||= "../card.html";
    card.showModal();
  });
  on("show-keys", () => byId<HTMLDialogElement>("keys").showModal());
  for (const dialog of document.querySelectorAll("dialog"))
    dialog.querySelector(".close")!.addEventListener("click", () => dialog.close());
}

function wireDrops(): void {
  const over = (is: boolean) => document.documentElement.classList.toggle("dropping", is);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    over(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) over(false);
  });
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    over(false);
    if (event.dataTransfer) add(await ofDrop(event.dataTransfer));
  });
}

function save(): void {
  if (!app) return;
  const url = URL.createObjectURL(new Blob([app.csv()], { type: "text/csv" }));
  h("a", { href: url, download: "predictions.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function key(event: KeyboardEvent): void {
  const typing = (event.target as HTMLElement).matches("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const act: { [key: string]: () => void } = {
    "+": () => stage.zoomBy(1.3),
    "=": () => stage.zoomBy(1.3),
    "-": () => stage.zoomBy(1 / 1.3),
    "0": () => stage.reset(),
    i: () => stage.invert(),
    z: () => stage.toggleZones(),
    h: () => stage.toggleHeat(),
    n: () => app?.step(1),
    p: () => app?.step(-1),
    o: () => byId("files").click(),
    "?": () => byId<HTMLDialogElement>("keys").showModal(),
  };
  const found = act[event.key.toLowerCase()];
  if (!found) return;
  event.preventDefault();
  found();
}

wire();
start().catch(trouble);
if ("serviceWorker" in navigator && self.isSecureContext)
  navigator.serviceWorker.register("./sw.js").catch(() => undefined); // it works without, online
