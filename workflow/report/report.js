"use strict";

// The table sorts and filters; everything else works without this script.
(() => {
  document.documentElement.classList.add("js");
  const table = document.getElementById("ranking");
  const body = table.tBodies[0];
  const headers = Array.from(table.tHead.rows[0].cells);
  const rows = Array.from(body.rows);
  const texts = rows.map((row) => row.textContent.toLowerCase());

  const compare = (column, sign) => (a, b) => {
    const [x, y] = [a.cells[column].dataset.key, b.cells[column].dataset.key];
    // What has no value comes last in either direction.
    if (x === "" || y === "") return (x === "") - (y === "");
    const numeric = headers[column].classList.contains("number");
    return sign * (numeric ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true }));
  };

  headers.forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => {
      const descending = header.getAttribute("aria-sort") === "ascending";
      headers.forEach((other) => other.setAttribute("aria-sort", "none"));
      header.setAttribute("aria-sort", descending ? "descending" : "ascending");
      // From the original order each time, so that equal values keep their rank.
      body.append(...rows.slice().sort(compare(column, descending ? -1 : 1)));
    });
  });

  const filter = document.getElementById("filter");
  const count = document.getElementById("count");
  const applyFilter = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      row.hidden = !words.every((word) => texts[index].includes(word));
      shown += !row.hidden;
    });
    count.textContent = `${shown} of ${rows.length} shown`;
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

  // Paper can't be unfolded.
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((details) => (details.open = true));
  });
})();
