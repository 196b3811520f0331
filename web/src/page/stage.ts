/** The film on the screen: window and level by drag, zoom, pan, and what lies over it. */

import type { Film } from "../films/film";
import { byId, h, pressed } from "./dom";
import { draw, heatOf, type Place, type Shown, shownOf, type Window } from "./picture";

export interface Zone {
  name: string;
  score: number;
}

export interface Overlay {
  zones: Zone[];
  heatmap: { width: number; height: number; data: Float32Array } | undefined;
  pad: boolean; // the model saw the film in a square, black beside it
}

const WHOLE: Window = { low: 0, high: 1, inverted: false };
const MOST_ZOOM = 32; // pixels of the screen for one of the film
const STEP = 0.03;
// Where the zones lie in a frontal film, roughly: the model does not outline lungs.
const ROWS = [0.25, 0.48, 0.71];
const COLUMNS = [0.27, 0.73];

export class Stage {
  private readonly box = byId("stage");
  private readonly canvas = byId<HTMLCanvasElement>("film");
  private readonly over = byId<HTMLCanvasElement>("heat");
  private film: Shown | undefined;
  private overlay: Overlay = { zones: [], heatmap: undefined, pad: false };
  private heat: HTMLCanvasElement | undefined;
  private window: Window = { ...WHOLE };
  private zoom = 1;
  private centre = { x: 0.5, y: 0.5 }; // of the film, in the middle of the stage
  private tool: "window" | "pan" = "window";
  private pending = false;
  zonesShown = true;
  heatShown = false;

  constructor() {
    new ResizeObserver(() => this.later()).observe(this.box);
    this.listen();
  }

  /** Shows a film, whole and in its own window; nothing without one. */
  show(film: Film | undefined, overlay: Overlay): void {
    this.film = film && shownOf(film);
    this.setOverlay(overlay);
    this.reset();
  }

  setOverlay(overlay: Overlay): void {
    this.overlay = overlay;
    this.heat = overlay.heatmap && heatOf(overlay.heatmap);
    byId("zones-shown").hidden = !overlay.zones.length;
    const button = byId<HTMLButtonElement>("heat-shown");
    button.hidden = !overlay.heatmap;
    button.disabled = !this.heat;
    button.title = this.heat ? "" : "Nothing in this film raises the score";
    byId("heat-label").hidden = !this.heat || !this.heatShown;
    this.later();
  }

  reset(): void {
    this.window = { ...WHOLE };
    this.zoom = 1;
    this.centre = { x: 0.5, y: 0.5 };
    this.later();
  }

  invert(): void {
    this.window.inverted = !this.window.inverted;
    this.later();
  }

  toggleZones(): void {
    this.zonesShown = !this.zonesShown;
    this.later();
  }

  toggleHeat(): void {
    this.heatShown = !this.heatShown;
    byId("heat-label").hidden = !this.heat || !this.heatShown;
    this.later();
  }

  choose(tool: "window" | "pan"): void {
    this.tool = tool;
    this.box.classList.toggle("pans", tool === "pan");
    this.later();
  }

  /** Moves the window: by shares of the range of greys. */
  adjust(width: number, level: number): void {
    const { low, high } = this.window;
    const middle = Math.min(Math.max((low + high) / 2 + level, 0), 1);
    const half = Math.min(Math.max((high - low) / 2 + width / 2, 0.005), 1);
    this.window = { ...this.window, low: middle - half, high: middle + half };
    this.later();
  }

  /** Zooms about a point of the stage, in pixels of the screen; its middle without one. */
  zoomBy(factor: number, x = this.box.clientWidth / 2, y = this.box.clientHeight / 2): void {
    if (!this.film) return;
    const before = this.place();
    const most = MOST_ZOOM / this.fit();
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), Math.max(most, 1));
    const after = this.place();
    const ratio = devicePixelRatio;
    // The point of the film that was there stays there.
    const fx = (x * ratio - before.left) / before.scale;
    const fy = (y * ratio - before.top) / before.scale;
    this.move((x * ratio - (after.left + fx * after.scale)) / ratio, (y * ratio - (after.top + fy * after.scale)) / ratio);
  }

  /** Moves the film by pixels of the screen. */
  move(x: number, y: number): void {
    if (!this.film) return;
    const scale = this.place().scale / devicePixelRatio;
    const keep = (value: number) => Math.min(Math.max(value, 0), 1);
    if (this.zoom <= 1) this.centre = { x: 0.5, y: 0.5 };
    else
      this.centre = {
        x: keep(this.centre.x - x / (this.film.width * scale)),
        y: keep(this.centre.y - y / (this.film.height * scale)),
      };
    this.later();
  }

  private fit(): number {
    const { width, height } = this.film!;
    const ratio = devicePixelRatio;
    return Math.min((this.box.clientWidth * ratio) / width, (this.box.clientHeight * ratio) / height);
  }

  private place(): Place {
    const { width, height } = this.film!;
    const ratio = devicePixelRatio;
    const scale = this.fit() * this.zoom;
    return {
      scale,
      left: (this.box.clientWidth * ratio) / 2 - this.centre.x * width * scale,
      top: (this.box.clientHeight * ratio) / 2 - this.centre.y * height * scale,
    };
  }

  private later(): void {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.paint();
    });
  }

  private paint(): void {
    const ratio = devicePixelRatio;
    for (const canvas of [this.canvas, this.over]) {
      const [width, height] = [Math.round(this.box.clientWidth * ratio), Math.round(this.box.clientHeight * ratio)];
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    }
    pressed(byId("tool-window"), this.tool === "window");
    pressed(byId("tool-pan"), this.tool === "pan");
    pressed(byId("invert"), this.window.inverted);
    pressed(byId("zones-shown"), this.zonesShown);
    pressed(byId("heat-shown"), this.heatShown);
    this.over.hidden = !this.heatShown;
    const marks = byId("marks");
    marks.replaceChildren();
    byId("readout").textContent = "";
    if (!this.film) {
      this.canvas.getContext("2d", { alpha: false })!.clearRect(0, 0, this.canvas.width, this.canvas.height);
      this.over.getContext("2d")!.clearRect(0, 0, this.over.width, this.over.height);
      return;
    }
    const place = this.place();
    draw(this.canvas, this.film, place, this.window);
    this.paintHeat(place);
    this.paintMarks(marks, place);
    const { low, high, inverted } = this.window;
    const shown = (share: number) => Math.round(100 * share);
    byId("readout").textContent =
      `W ${shown(high - low)}  L ${shown((low + high) / 2)}${inverted ? "  inverted" : ""}  ` +
      `${Math.round((100 * place.scale) / ratio)} %`;
  }

  private paintHeat({ scale, left, top }: Place): void {
    const context = this.over.getContext("2d")!;
    context.clearRect(0, 0, this.over.width, this.over.height);
    if (!this.heat || !this.heatShown || !this.film) return;
    const { width, height } = this.film;
    const side = Math.max(width, height);
    const [w, h] = this.overlay.pad ? [side, side] : [width, height];
    context.save();
    context.beginPath();
    context.rect(left, top, width * scale, height * scale);
    context.clip();
    context.imageSmoothingQuality = "high";
    const [x, y] = [left - ((w - width) / 2) * scale, top - ((h - height) / 2) * scale];
    context.drawImage(this.heat, x, y, w * scale, h * scale);
    context.restore();
  }

  private paintMarks(marks: HTMLElement, { scale, left, top }: Place): void {
    const ratio = devicePixelRatio;
    const put = (element: HTMLElement, x: number, y: number) => {
      element.style.transform = `translate(${x / ratio}px, ${y / ratio}px)`;
      marks.append(element);
    };
    const { width, height } = this.film!;
    const edge = 10 * ratio;
    const right = Math.min(left + width * scale, this.canvas.width);
    // The patient's right is at the left of a frontal film.
    put(h("span", { class: "side" }, "R"), Math.max(left, 0) + edge, Math.max(top, 0) + edge);
    put(h("span", { class: "side" }, "L"), right - edge - 22 * ratio, Math.max(top, 0) + edge);
    if (!this.zonesShown) return;
    this.overlay.zones.forEach(({ name, score }, k) => {
      const x = left + COLUMNS[Math.floor(k / ROWS.length)]! * width * scale;
      const y = top + ROWS[k % ROWS.length]! * height * scale;
      const level = Math.min(Math.round(score), 3);
      const chip = h("span", { class: `zone level-${level}` }, h("b", {}, name), h("i", {}, score.toFixed(1)));
      put(chip, x, y);
    });
  }

  private listen(): void {
    const { box } = this;
    const touching = new Map<number, { x: number; y: number }>();
    box.addEventListener("contextmenu", (event) => event.preventDefault());
    box.addEventListener("pointerdown", (event) => {
      if (!this.film) return;
      box.setPointerCapture(event.pointerId);
      touching.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    for (const end of ["pointerup", "pointercancel"] as const)
      box.addEventListener(end, (event) => touching.delete(event.pointerId));
    box.addEventListener("pointermove", (event) => {
      const before = touching.get(event.pointerId);
      if (!before) return;
      const [dx, dy] = [event.clientX - before.x, event.clientY - before.y];
      const others = [...touching].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
      touching.set(event.pointerId, { x: event.clientX, y: event.clientY });
      const other = others[0];
      if (other) {
        const [was, is] = [
          Math.hypot(before.x - other.x, before.y - other.y),
          Math.hypot(event.clientX - other.x, event.clientY - other.y),
        ];
        const bounds = box.getBoundingClientRect();
        const [x, y] = [(event.clientX + other.x) / 2 - bounds.left, (event.clientY + other.y) / 2 - bounds.top];
        if (was > 0) this.zoomBy(is / was, x, y);
        this.move(dx / 2, dy / 2);
      } else if (this.tool === "pan" || event.shiftKey || event.buttons & 6) this.move(dx, dy);
      else this.adjust(dx / 400, -dy / 400);
    });
    box.addEventListener("dblclick", () => this.reset());
    box.addEventListener(
      "wheel",
      (event) => {
        if (!this.film) return;
        event.preventDefault();
        const bounds = box.getBoundingClientRect();
        this.zoomBy(Math.exp(-event.deltaY / 400), event.clientX - bounds.left, event.clientY - bounds.top);
      },
      { passive: false },
    );
    box.addEventListener("keydown", (event) => {
      const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!arrow || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const [x, y] = arrow as [number, number];
      if (event.shiftKey) this.move(-40 * x, -40 * y);
      else this.adjust(STEP * x, -STEP * y);
    });
  }
}
