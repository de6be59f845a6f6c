// The table sorts, filters and selects; what is selected stays in sight above all charts.

gridfold.ready(() => {
  const { state, element, toggle, activate, announce, byId } = gridfold;
  const table = document.getElementById("ranking");
  const body = table.tBodies[0];
  const headers = Array.from(table.tHead.rows[0].cells);
  const rows = Array.from(body.rows);
  const texts = rows.map((row) => row.textContent.toLowerCase());

  // -- sort -----------------------------------------------------------------------------------

  const compare = (column, sign) => (a, b) => {
    const [x, y] = [keys.get(a)[column], keys.get(b)[column]];
    // What has no value comes last in either direction.
    if (x === "" || y === "") return (x === "") - (y === "");
    const numeric = headers[column].classList.contains("number");
    return sign * (numeric ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true }));
  };
  const keys = new Map(rows.map((row) => [row, Array.from(row.cells, (c) => c.dataset.key)]));

  headers.forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => {
      const descending = header.getAttribute("aria-sort") === "ascending";
      headers.forEach((other) => other.setAttribute("aria-sort", "none"));
      header.setAttribute("aria-sort", descending ? "descending" : "ascending");
      // From the original order each time, so that equal values keep their rank.
      body.append(...rows.slice().sort(compare(column, descending ? -1 : 1)));
    });
  });

  // -- filter ---------------------------------------------------------------------------------

  const filter = document.getElementById("filter");
  const count = document.getElementById("count");
  const applyFilter = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, i) => (row.hidden = !words.every((word) => texts[i].includes(word))));
    const shown = rows.filter((row) => !row.hidden);
    count.textContent = `${shown.length} of ${rows.length} shown`;
    gridfold.show(shown.map((row) => row.dataset.id));
  };
  filter.addEventListener("input", applyFilter);
  // A browser may keep the text over a reload.
  if (filter.value) applyFilter();

  const extra = document.getElementById("extra");
  if (extra) {
    const applyExtra = () => table.classList.toggle("all", extra.checked);
    extra.addEventListener("change", applyExtra);
    applyExtra();
  }

  // -- select ---------------------------------------------------------------------------------

  const head = element("th", { scope: "col", class: "pick" });
  head.append(element("span", { class: "hidden" }, "Selected"));
  table.tHead.rows[0].prepend(head);
  const boxes = new Map();
  rows.forEach((row) => {
    const cell = element("td", { class: "pick" });
    row.prepend(cell);
    const configuration = byId.get(row.dataset.id);
    // One without any score has nothing to show in a chart.
    if (!configuration) return;
    const name = `Show number ${configuration.rank} in the charts`;
    const box = element("input", { type: "checkbox", "aria-label": name });
    box.addEventListener("change", () => toggle(configuration.id));
    cell.append(box);
    boxes.set(configuration.id, box);
    row.addEventListener("pointerenter", () => activate(configuration.id));
    row.addEventListener("pointerleave", () => activate(null));
    box.addEventListener("focus", () => activate(configuration.id));
    box.addEventListener("blur", () => activate(null));
  });

  gridfold.listeners.push((what) => {
    rows.forEach((row) => {
      const id = row.dataset.id;
      row.classList.toggle("active", id === state.active);
      if (what === "active") return;
      row.classList.toggle("selected", state.selected.has(id));
      if (state.selected.has(id)) row.dataset.colour = state.selected.get(id);
      else delete row.dataset.colour;
      if (boxes.has(id)) boxes.get(id).checked = state.selected.has(id);
    });
  });

  // -- what is selected, always in sight ------------------------------------------------------

  const bar = element("div", {
    class: "selection",
    role: "region",
    "aria-label": "Selected configurations",
  });
  const chips = element("ul");
  const best = element("button", { type: "button" }, "Best");
  const clear = element("button", { type: "button" }, "None");
  best.setAttribute("aria-label", "Select the best configurations");
  clear.setAttribute("aria-label", "Select no configuration");
  best.addEventListener("click", () => {
    gridfold.select(gridfold.configurations.slice(0, gridfold.data.selected).map((c) => c.id));
  });
  clear.addEventListener("click", () => gridfold.select([]));
  bar.append(element("span", { class: "name" }, "In colour"), chips, best, clear);
  if (gridfold.configurations.length > 1) {
    document.getElementById("configurations").before(bar);
    document.documentElement.classList.add("with-selection");
  }

  gridfold.listeners.push((what) => {
    if (what === "selected") {
      chips.replaceChildren(
        ...Array.from(state.selected, ([id, colour]) => {
          const { rank, label } = byId.get(id);
          const chip = element("button", { type: "button", "data-colour": colour, title: label });
          chip.append(
            element("span", { class: "hidden" }, `Take number ${rank} out: `),
            element("b", {}, `${rank}`),
            element("span", { class: "label" }, gridfold.values(byId.get(id))),
            element("span", { class: "cross", "aria-hidden": "true" }, "×"),
          );
          chip.addEventListener("click", () => {
            toggle(id);
            announce(`Number ${rank} is no longer selected`);
            (chips.querySelector("button") ?? best).focus();
          });
          chip.addEventListener("pointerenter", () => activate(id));
          chip.addEventListener("pointerleave", () => activate(null));
          const item = element("li");
          item.append(chip);
          return item;
        }),
      );
      if (!state.selected.size)
        chips.append(element("li", {}, "none: choose in the table or in a chart"));
    }
  });
});
