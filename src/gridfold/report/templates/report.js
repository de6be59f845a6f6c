"use strict";

// What the parts of the page share: the data, and what is pointed at, selected and filtered. A
// section's own script hands what it does to gridfold.ready(); without JavaScript the page shows the
// drawn figures instead of charts.
const gridfold = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const configurations = data.configurations;
  const byId = new Map(configurations.map((c) => [c.id, c]));
  const COLOURS = 6;

  // -- what is pointed at, selected and filtered ----------------------------------------------

  const state = {
    active: null,
    // From id to the number of its colour, in the order of selection.
    selected: new Map(),
    // Ids that the filter of the table leaves.
    shown: new Set(configurations.map((c) => c.id)),
  };
  const listeners = [];
  const changed = (what) => listeners.forEach((listener) => listener(what));

  function activate(id) {
    if (id === state.active) return;
    state.active = id;
    changed("active");
  }

  function freeColour() {
    const taken = Array.from(state.selected.values());
    const uses = d3.range(COLOURS).map((colour) => taken.filter((t) => t === colour).length);
    return uses.indexOf(Math.min(...uses));
  }

  function toggle(id) {
    if (!byId.has(id)) return;
    if (!state.selected.delete(id)) state.selected.set(id, freeColour());
    changed("selected");
  }

  function select(ids) {
    state.selected.clear();
    ids.forEach((id) => state.selected.set(id, freeColour()));
    changed("selected");
  }

  function show(ids) {
    state.shown = new Set(ids);
    changed("shown");
  }

  // Drawn last is seen: the active configuration over selected ones over the others.
  const order = (c) => (c.id === state.active ? 2 : state.selected.has(c.id) ? 1 : 0);
  const layered = (rows) => rows.slice().sort((a, b) => order(a) - order(b) || b.rank - a.rank);

  function mark(selection) {
    selection
      .classed("active", (c) => c.id === state.active)
      .classed("selected", (c) => state.selected.has(c.id))
      .classed("faded", (c) => !state.shown.has(c.id))
      .attr("data-colour", (c) => state.selected.get(c.id) ?? null);
    return selection;
  }

  // -- words ----------------------------------------------------------------------------------

  const text = (value) =>
    value === null || value === undefined ? "–" : d3.format(".4~g")(value).replace("−", "-");
  // With the digits that the uncertainty of the scores supports, as in the table.
  const fixed = (value) => {
    const { places } = data.measure;
    return places >= 0 && places <= 6 ? value.toFixed(places).replace("-", "−") : text(value);
  };
  const axisText = (axis, value) =>
    value === null ? "–" : axis.kind === "category" ? axis.values[value] : text(value);
  // What tells configurations apart, in few words.
  const values = (c) =>
    data.axes
      .map((axis, i) => axisText(axis, c.values[i]))
      .filter((value) => value !== "–")
      .join(" · ") || c.label;
  const score = (c) => `${data.measure.name} ${c.text} (${c.basis})`;
  const comparison = (c) => (c.p ? `p = ${c.p} against number 1`.replace("= <", "<") : "");

  function describe(c) {
    const chosen = state.selected.has(c.id) ? ", selected" : "";
    return `Number ${c.rank} of ${configurations.length}: ${c.label}; ${score(c)}${chosen}`;
  }

  const short = (words, most) =>
    words.length <= most ? words : `${words.slice(0, Math.max(1, most - 1))}…`;

  function announce(words) {
    document.getElementById("announcement").textContent = words;
  }

  // -- the page -------------------------------------------------------------------------------

  const starters = [];
  const ready = (start) => starters.push(start);

  // One chart that fails takes no other with it: its drawn figure stays.
  document.addEventListener("DOMContentLoaded", () => {
    document.documentElement.classList.add("js");
    starters.forEach((start) => {
      try {
        start();
      } catch (error) {
        console.error(error);
      }
    });
    if (configurations.length) select(configurations.slice(0, data.selected).map((c) => c.id));
  });

  ready(() => {
    const theme = document.getElementById("theme");
    const apply = () => (document.documentElement.dataset.theme = theme.value);
    theme.addEventListener("change", apply);
    apply();
  });

  return {
    data,
    configurations,
    byId,
    state,
    listeners,
    ready,
    activate,
    toggle,
    select,
    show,
    mark,
    layered,
    announce,
    describe,
    score,
    comparison,
    text,
    fixed,
    short,
    values,
    axisText,
  };
})();
