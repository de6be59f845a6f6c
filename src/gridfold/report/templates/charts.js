// What all charts share: tooltip, axes, pointer and keys, and the numbers as a table.

Object.assign(
  gridfold,
  (() => {
    const { data, configurations, byId, state, listeners } = gridfold;
    const { activate, toggle, announce, describe, score, comparison, text, axisText } = gridfold;

    // -- tooltip --------------------------------------------------------------------------------

    const tooltip = document.getElementById("tooltip");

    function showTooltip(lines, x, y) {
      const [title, ...rest] = lines.filter(Boolean);
      const head = document.createElement("strong");
      head.textContent = title;
      tooltip.replaceChildren(head);
      for (const line of rest) {
        const part = document.createElement("span");
        part.textContent = line;
        tooltip.append(part);
      }
      tooltip.hidden = false;
      const { width, height } = tooltip.getBoundingClientRect();
      const left = Math.min(x + 14, document.documentElement.clientWidth - width - 8);
      const top = y + 18 + height > window.innerHeight ? y - height - 12 : y + 18;
      tooltip.style.left = `${Math.max(8, left)}px`;
      tooltip.style.top = `${Math.max(8, top)}px`;
    }

    const hideTooltip = () => (tooltip.hidden = true);
    const lines = (c, extra = []) => [
      `${c.rank}: ${c.label}`,
      score(c),
      comparison(c),
      ...extra,
      state.selected.has(c.id) ? "selected" : "",
    ];

    // -- charts ---------------------------------------------------------------------------------

    function element(tag, attributes = {}, content = "") {
      const made = document.createElement(tag);
      Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
      made.textContent = content;
      return made;
    }

    // A line of controls above a chart, and one to choose from a list.
    function row(...parts) {
      const made = element("div", { class: "controls" });
      made.append(...parts);
      return made;
    }

    function choice(id, label, options, value, use) {
      const made = element("span", { class: "choice" });
      const select = element("select", { id });
      options.forEach(([key, name]) => select.append(element("option", { value: key }, name)));
      select.value = String(value);
      select.addEventListener("change", () => use(select.value));
      made.append(element("label", { for: id }, label), select);
      return made;
    }

    // An empty drawing of a given size, and the group inside its margins.
    function canvas(plot, width, height, margin) {
      const svg = d3
        .select(plot)
        .append("svg")
        .attr("viewBox", `0 0 ${width} ${height}`)
        .attr("width", width)
        .attr("height", height)
        .attr("aria-hidden", "true");
      return {
        svg,
        inner: svg.append("g").attr("transform", `translate(${margin.left},${margin.top})`),
        width: width - margin.left - margin.right,
        height: height - margin.top - margin.bottom,
      };
    }

    const onlyMeans = configurations.map(({ mean }) => ({ mean }));

    function scoreScale(range, rows = onlyMeans) {
      const bound = (end) => (c) => c[end] ?? c.mean;
      const low = d3.min(rows, bound("low"));
      const high = d3.max(rows, bound("high"));
      const logarithmic =
        d3.min(rows, (c) => c.mean) > 0 && logSpread(rows.map((c) => c.mean)) > 20;
      if (logarithmic) {
        const least = d3.min(rows, (c) => (c.low > 0 ? c.low : c.mean));
        return d3.scaleLog().domain([least, high]).range(range).nice().clamp(true);
      }
      const spare = low === high ? Math.abs(low) * 0.1 || 1 : 0;
      return d3
        .scaleLinear()
        .domain([low - spare, high + spare])
        .range(range)
        .nice();
    }

    // Where a value of an axis stands; for values without an order, side by side.
    function place(axis, range) {
      if (axis.kind === "category") {
        const scale = d3
          .scalePoint()
          .domain(d3.range(axis.values.length))
          .range(range)
          .padding(0.6);
        return Object.assign((value) => scale(value), {
          ticks: axis.values.map((text, i) => [i, text]),
        });
      }
      const scale = axis.kind === "log" ? d3.scaleLog() : d3.scaleLinear();
      const inset = Math.min(24, Math.abs(range[1] - range[0]) * 0.08);
      const sign = Math.sign(range[1] - range[0]);
      scale
        .domain(d3.extent(axis.values))
        .range([range[0] + sign * inset, range[1] - sign * inset]);
      const few = axis.values.length <= 8;
      const values = few ? axis.values : axis.kind === "log" ? decades(scale) : scale.ticks(5);
      return Object.assign((value) => scale(value), { ticks: values.map((v) => [v, text(v)]) });
    }

    function decades(scale) {
      const ticks = scale.ticks().filter((v) => Math.abs(Math.log10(v) % 1) < 1e-9);
      return ticks.length > 1 ? ticks : scale.domain();
    }

    const logSpread = (values) => d3.max(values) / d3.min(values);

    function yAxis(inner, scale, width, label) {
      const axis = d3.axisLeft(scale).tickSize(-width).tickPadding(6).ticks(5);
      if (scale.base) {
        const [low, high] = scale.domain();
        const leading = high / low > 1e4 ? /^1e/ : /^[125]e/;
        const ticks = scale.ticks().filter((value) => leading.test(value.toExponential()));
        axis.tickValues(ticks).tickFormat(text);
      }
      inner.append("g").attr("class", "axis grid").call(axis);
      inner.append("text").attr("class", "title").attr("x", 0).attr("y", -10).text(label);
    }

    function allValues() {
      return {
        caption: "Values and scores of the configurations",
        headings: [
          "Configuration",
          ...data.axes.map((axis) => axis.name),
          data.measure.name,
          "Splits",
        ],
        rows: configurations.map((c) => [
          String(c.rank),
          ...data.axes.map((axis, i) => axisText(axis, c.values[i])),
          c.text,
          c.basis,
        ]),
      };
    }
    // Draws now and after every change of width.
    function chart(name, options) {
      const figure = document.getElementById(`chart-${name}`);
      if (!figure) return;
      const plot = element("div", {
        class: "plot",
        tabindex: "0",
        role: "application",
        "aria-label": `${options.label}. ${options.keys ?? CONFIGURATION_KEYS}`,
      });
      figure.prepend(plot);
      (options.controls ? options.controls() : []).forEach((control) => figure.prepend(control));
      figure.hidden = false;
      let view;
      let drawnFor = 0;
      const redraw = () => {
        // On paper there is no figure on the screen to measure.
        drawnFor = plot.clientWidth || drawnFor || 900;
        plot.replaceChildren();
        view = options.draw(plot, drawnFor);
        view.update("all");
      };
      try {
        redraw();
        new ResizeObserver(() => {
          if (plot.clientWidth && plot.clientWidth !== drawnFor) requestAnimationFrame(redraw);
        }).observe(plot);
      } catch (error) {
        // The drawn figure stays.
        figure.hidden = true;
        throw error;
      }
      listeners.push((what) => view.update(what));
      follow(plot, () => view);
      if (options.table) addTable(figure, options.table);
      const thinned = [...data.thinned.all, ...(data.thinned[name] ?? [])];
      figure.querySelector(".thinned").textContent = thinned.join(" ");
      document.getElementById(figure.dataset.drawn)?.classList.add("replaced");
      return { redraw };
    }

    const CONFIGURATION_KEYS =
      "Arrow keys go through the configurations by rank, Enter selects, Escape leaves.";

    // The pointer finds what is nearest, keys go from rank to rank; both mean the same thing.
    function follow(plot, view) {
      plot.addEventListener("pointermove", (event) => {
        const box = plot.getBoundingClientRect();
        const found = view().hit(event.clientX - box.left, event.clientY - box.top);
        plot.classList.toggle("over", Boolean(found));
        activate(found ? found.id : null);
        if (found)
          showTooltip(found.lines ?? lines(byId.get(found.id)), event.clientX, event.clientY);
        else hideTooltip();
      });
      const leave = () => {
        activate(null);
        hideTooltip();
      };
      plot.addEventListener("pointerleave", leave);
      plot.addEventListener("blur", leave);
      plot.addEventListener("click", (event) => {
        const box = plot.getBoundingClientRect();
        const found = view().hit(event.clientX - box.left, event.clientY - box.top);
        if (found) toggle(found.id);
      });
      plot.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.altKey || event.metaKey) return;
        if (event.key === "Escape") return leave();
        const move = view().key ?? rankKey;
        const found = move(event.key);
        if (!found) return;
        event.preventDefault();
        activate(found.id);
        announce(found.words ?? describe(byId.get(found.id)));
        const at =
          plot.querySelector(".active")?.getBoundingClientRect() ?? plot.getBoundingClientRect();
        showTooltip(found.lines ?? lines(byId.get(found.id)), at.right, at.top + at.height / 2);
      });
    }

    function rankKey(key) {
      if (key === "Enter" || key === " ") {
        if (state.active) toggle(state.active);
        return state.active && { id: state.active };
      }
      const ids = configurations.map((c) => c.id).filter((id) => state.shown.has(id));
      const at = ids.indexOf(state.active);
      const last = ids.length - 1;
      const next = {
        ArrowRight: at + 1,
        ArrowDown: at + 1,
        ArrowLeft: at < 0 ? last : at - 1,
        ArrowUp: at < 0 ? last : at - 1,
        Home: 0,
        End: last,
      }[key];
      if (next === undefined || last < 0) return null;
      return { id: ids[Math.max(0, Math.min(last, next))] };
    }

    // The same numbers as a table, made when it is opened.
    function addTable(figure, makeTable) {
      const details = element("details", { class: "numbers" });
      details.append(element("summary", {}, "These numbers as a table"));
      const fill = () => {
        details.querySelector(".scroll")?.remove();
        if (!details.open) return;
        const { caption, headings, rows } = makeTable();
        const scroll = element("div", {
          class: "scroll tall",
          role: "region",
          tabindex: "0",
          "aria-label": caption,
        });
        const table = document.createElement("table");
        table.append(element("caption", { class: "hidden" }, caption));
        const head = table.createTHead().insertRow();
        headings.forEach((heading, i) => {
          head.append(element("th", { scope: "col", class: i ? "number" : "text" }, heading));
        });
        const body = table.createTBody();
        rows.forEach(([first, ...rest]) => {
          const row = body.insertRow();
          row.append(element("th", { scope: "row" }, first));
          rest.forEach((value) => row.append(element("td", { class: "number" }, value)));
        });
        scroll.append(table);
        details.append(scroll);
      };
      details.addEventListener("toggle", fill);
      listeners.push((what) => what === "selected" && fill());
      figure.append(details);
    }

    return { lines, element, row, choice, canvas, scoreScale, place, yAxis, chart, allValues };
  })(),
);
