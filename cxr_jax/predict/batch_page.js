// A hundred rows of `films` at a time: [id, path, picture, gate, reasons, warnings,
// error, confidence, figures].
const [ID, PATH, PICTURE, GATE, REASONS, WARNINGS, ERROR, SURE, FIGURES] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const SHOWN = 100;
const isScores = facts.task === "brixia";
const at = id => document.getElementById(id);
const figure = k => film => film[FIGURES][k] ?? null;
// What "at least" is about: the global score, or the probability that is sorted by.
const measures = isScores ? { "global score": figure(0) }
  : Object.fromEntries(facts.classes.map((name, k) => [`probability of ${name}`, figure(2 + k)]).reverse());
let measured = Object.keys(measures)[0];
const sorts = {
  "order of the input": null,
  ...measures,
  "confidence": film => film[SURE],
  "film": film => film[ID],
  "gate": film => film[ERROR] ? "unreadable" : film[GATE],
};
if (isScores) {
  facts.questions.forEach((zone, k) => { sorts[`zone ${zone}`] = figure(3 + k); });
}
for (const name of Object.keys(sorts)) at("sort").append(new Option(name));

let found = [], first = 0;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function matches(film, words, kind, least) {
  if (kind === "error" && !film[ERROR]) return false;
  if (kind === "scored" && film[SURE] === null) return false;
  if (kind === "warnings" && !film[WARNINGS]) return false;
  if (["passed", "refused", "warned"].includes(kind) && film[GATE] !== kind) return false;
  const score = measures[measured](film);
  if (!isNaN(least) && !(score !== null && score >= least)) return false;
  if (!words.length) return true;
  const text = `${film[PATH]} ${film[REASONS]} ${film[WARNINGS]} ${film[ERROR]} ${isScores ? "" : film[FIGURES][0]}`.toLowerCase();
  return words.every(word => text.includes(word));
}

function choose() {
  if (at("sort").value in measures) measured = at("sort").value;
  at("least-label").firstChild.data = `${measured[0].toUpperCase()}${measured.slice(1)} at least `;
  const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const kind = at("gate").value, least = parseFloat(at("least").value);
  found = films.filter(film => matches(film, words, kind, least));
  const key = sorts[at("sort").value], turned = at("turn").getAttribute("aria-pressed") === "true";
  if (key) {
    found.sort((one, other) => {
      const a = key(one), b = key(other);
      if (a === null || b === null) return (a === null) - (b === null);  // empty ones last
      const order = typeof a === "number" ? b - a : a.localeCompare(b, undefined, { numeric: true });
      return turned ? -order : order;
    });
  } else if (turned) found.reverse();
  first = 0;
  show();
}

function figures(film) {
  const made = element("div", "figures"), own = film[FIGURES];
  if (!own.length) return made;
  if (!isScores) {
    made.append(element("div", "main", own[0]));
    facts.classes.forEach((name, k) => made.append(element("div", "beside", `${name} ${own[2 + k].toFixed(3)}`)));
    made.append(element("div", "beside", `90 % set: ${own[1].replaceAll("|", ", ")}`));
  } else {
    const [total, low, high, ...zones] = own;
    made.append(element("div", "main", `${total.toFixed(1)} / 18`));
    const scale = element("div", "scale");
    if (low !== null) {
      const range = element("i");
      range.style.left = `${100 * low / 18}%`;
      range.style.width = `${100 * (high - low) / 18}%`;
      scale.append(range);
    }
    const mark = element("b");
    mark.style.left = `${100 * total / 18}%`;
    scale.append(mark);
    made.append(scale);
    if (low !== null) made.append(element("div", "beside", `90 %: ${low.toFixed(1)} to ${high.toFixed(1)}`));
    const grid = element("div", "zones");
    for (const k of [0, 3, 1, 4, 2, 5]) grid.append(element("span", "", `${facts.questions[k]} ${zones[k].toFixed(1)}`));
    made.append(grid);
  }
  made.append(element("div", "beside", `confidence ${film[SURE].toFixed(2)}`));
  return made;
}

function row(film) {
  const made = element("li");
  const side = film[PICTURE] ? element("a") : element("div", "none");
  if (film[PICTURE]) {
    side.href = `overlays/${film[PICTURE]}.png`;
    const picture = element("img");
    picture.loading = "lazy";
    picture.alt = `film ${film[ID]}`;
    picture.src = `index_files/thumbnails/${film[PICTURE]}.jpg`;
    side.append(picture);
  }
  const middle = element("div");
  const title = element(film[PICTURE] ? "a" : "span", "id", film[ID]);
  if (film[PICTURE]) title.href = side.href;
  middle.append(title, element("div", "path", film[PATH]));
  const state = film[ERROR] ? "error" : film[GATE];
  const words = { passed: "passed the gate", refused: "refused by the gate", warned: "gate: warned", off: "gate is off", error: "unreadable" };
  middle.append(element("span", `badge ${state}`, words[state]));
  for (const text of [film[REASONS].replaceAll(";", ", "), film[WARNINGS].replaceAll(";", ", "), film[ERROR]]) {
    if (text) middle.append(element("p", "why", text));
  }
  made.append(side, middle, figures(film));
  return made;
}

function show() {
  const some = found.slice(first, first + SHOWN);
  at("films").replaceChildren(...some.map(row));
  const of = found.length === films.length ? "" : ` of ${films.length.toLocaleString("en")}`;
  at("count").textContent = `${found.length.toLocaleString("en")}${of} ${films.length === 1 ? "film" : "films"}`;
  at("pages").hidden = found.length <= SHOWN;
  at("place").textContent = `${(first + 1).toLocaleString("en")} to ${(first + some.length).toLocaleString("en")}`;
  at("back").disabled = first === 0;
  at("next").disabled = first + SHOWN >= found.length;
}

for (const id of ["search", "least"]) at(id).addEventListener("input", choose);
for (const id of ["gate", "sort"]) at(id).addEventListener("change", choose);
at("turn").addEventListener("click", () => {
  at("turn").setAttribute("aria-pressed", String(at("turn").getAttribute("aria-pressed") !== "true"));
  choose();
});
for (const [id, step] of [["back", -SHOWN], ["next", SHOWN]]) {
  at(id).addEventListener("click", () => { first += step; show(); scrollTo(0, 0); });
}
choose();
