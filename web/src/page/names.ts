/** example_id: the name of each film, as cxr_jax/predict/inputs.py gives it. */

/** A name for each path: its stem, or with so much of it that no other has it. */
export function uniqueNames(paths: string[]): string[] {
  const parts = paths.map((path) => path.split("/").filter((part) => part && part !== "."));
  const stems = parts.map((each) => [...each.slice(0, -1), stem(each.at(-1) ?? "")]);
  const names = paths.map(() => "");
  let waiting = paths.map((_, place) => place);
  const most = Math.max(0, ...parts.map((each) => each.length));
  for (let depth = 1; depth <= most; depth++) {
    const byName = new Map<string, number[]>();
    for (const place of waiting) {
      const name = stems[place]!.slice(-depth).join("/");
      byName.set(name, [...(byName.get(name) ?? []), place]);
    }
    waiting = [];
    for (const [name, same] of byName)
      if (same.length === 1) names[same[0]!] = name;
      else waiting.push(...same);
  }
  // They differ in their endings.
  const taken = new Set(names);
  for (const place of waiting) names[place] = parts[place]!.join("/");
  for (const place of waiting) if (taken.has(names[place]!)) names[place] = paths[place]!;
  return names;
}

function stem(name: string): string {
  const dot = name.lastIndexOf(".");
  return dot > 0 && dot < name.length - 1 ? name.slice(0, dot) : name;
}
