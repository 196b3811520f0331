/** Questions to the worker, and its answers. */

import type { Film } from "../films/film";
import type { Opened, Request, Scored } from "../worker";

type Without<T> = T extends { id: number } ? Omit<T, "id"> : never;
type Question = Without<Request>;

interface Answers {
  open: Opened;
  score: Scored;
  film: Film;
}

export class Client {
  private readonly worker = new Worker(new URL("../worker.ts", import.meta.url), { type: "module" });
  private readonly waiting = new Map<number, { resolve: (found: never) => void; reject: (error: Error) => void }>();
  private asked = 0;

  constructor() {
    this.worker.addEventListener("message", ({ data }: MessageEvent<{ id: number; found: never; error?: string }>) => {
      const asked = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error === undefined) asked?.resolve(data.found);
      else asked?.reject(new Error(data.error));
    });
    // A worker that ends takes all questions with it.
    this.worker.addEventListener("error", (event) => {
      const error = new Error(event.message || "the worker of this page cannot be loaded");
      for (const { reject } of this.waiting.values()) reject(error);
      this.waiting.clear();
    });
  }

  ask<Q extends Question & { op: keyof Answers }>(question: Q, handed: Transferable[] = []): Promise<Answers[Q["op"]]> {
    const id = ++this.asked;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (found: never) => void, reject });
      this.worker.postMessage({ ...question, id }, handed);
    });
  }
}
