// Learning curves: all configurations in the background, selected ones in colour with bands.

gridfold.ready(() => {
  const { data, configurations, state, canvas, mark, layered, text, element } = gridfold;
  const { curves } = data;
  if (!configurations.length || !curves.epochs.length) return;
  const position = new Map(configurations.map((c, i) => [c.id, i]));
  const panels = [
    { name: "loss", title: "loss" },
    { name: "metric", title: data.metric },
  ];
  const HEIGHT = 300;
  let logarithmic = spread(curves.val_loss) > 10;

  function spread(rows) {
    const values = rows.flat().filter((v) => v !== null);
    return values.length && d3.min(values) > 0 ? d3.max(values) / d3.min(values) : 1;
  }

  const series = (quantity, c) => curves[quantity]?.[position.get(c.id)] ?? [];

  function scales(panel, log, width, height) {
    const values = [...curves[`val_${panel.name}`], ...curves[panel.name]].flat();
    const domain = extent(
      values.filter((v) => v !== null && (!log || v > 0)),
      log,
    );
    const [first, last] = d3.extent(curves.epochs);
    return {
      y: (log ? d3.scaleLog() : d3.scaleLinear())
        .domain(domain)
        .range([height, 0])
        .nice()
        .clamp(true),
      x: d3
        .scaleLinear()
        .domain(first === last ? [first - 1, last + 1] : [first, last])
        .range([0, width]),
    };
  }

  function epochAxis(inner, x, width, height) {
    const axis = d3
      .axisBottom(x)
      .ticks(Math.max(2, width / 70))
      .tickFormat((v) => (Number.isInteger(v) ? v : ""))
      .tickSizeOuter(0);
    inner.append("g").attr("class", "axis").attr("transform", `translate(0,${height})`).call(axis);
    inner
      .append("text")
      .attr("class", "title")
      .attr("text-anchor", "end")
      .attr("x", width)
      .attr("y", height + 34)
      .text("epoch");
  }

  function drawPanel(plot, width, panel) {
    const margin = { top: 26, right: 14, bottom: 38, left: 54 };
    const frame = canvas(plot, width, HEIGHT, margin);
    const { inner, height } = frame;
    const log = panel.name === "loss" && logarithmic;
    const { x, y } = scales(panel, log, frame.width, height);
    gridfold.yAxis(inner, y, frame.width, panel.title + (log ? " (log scale)" : ""));
    epochAxis(inner, x, frame.width, height);
    const line = d3
      .line()
      .defined((v) => v !== null)
      .x((v, i) => x(curves.epochs[i]))
      .y(y);
    const area = d3
      .area()
      .defined(([low, high]) => low !== null && high !== null)
      .x((pair, i) => x(curves.epochs[i]))
      .y0(([low]) => y(low))
      .y1(([, high]) => y(high));
    const validation = `val_${panel.name}`;
    const background = inner.append("path").attr("class", "others");
    const bands = inner.append("g");
    const lines = inner.append("g");

    function update(what) {
      if (what !== "active") {
        const others = configurations.filter((c) => state.shown.has(c.id));
        background.attr("d", others.map((c) => line(series(validation, c)) ?? "").join(""));
      }
      const open = layered(
        configurations.filter((c) => c.id === state.active || state.selected.has(c.id)),
      );
      const banded = open.filter((c) => series(`${validation}_min`, c).length);
      const ends = (c) => d3.zip(series(`${validation}_min`, c), series(`${validation}_max`, c));
      mark(
        bands
          .selectAll("path")
          .data(banded, (c) => c.id)
          .join("path")
          .attr("class", "band"),
      ).attr("d", (c) => area(ends(c)));
      const parts = open.flatMap(({ id, rank }) => [
        { id, rank, kind: "training", values: series(panel.name, { id }) },
        { id, rank, kind: "validation", values: series(validation, { id }) },
      ]);
      const drawn = lines
        .selectAll("path")
        .data(parts, (part) => part.id + part.kind)
        .join("path");
      mark(drawn.attr("class", (part) => `curve ${part.kind}`))
        .attr("d", (part) => line(part.values))
        .order();
    }

    function hit(px, py) {
      const [left, top] = [px - margin.left, py - margin.top];
      if (left < -10 || left > frame.width + 10 || top < -5 || top > height + 5) return null;
      const at = d3.minIndex(curves.epochs, (epoch) => Math.abs(x(epoch) - left));
      const candidates = configurations.filter(
        (c) => state.shown.has(c.id) && typeof series(`val_${panel.name}`, c)[at] === "number",
      );
      const far = (c) => Math.abs(y(series(`val_${panel.name}`, c)[at]) - top);
      const nearest = d3.least(candidates, far);
      if (!nearest || far(nearest) > 24) return null;
      const value = series(`val_${panel.name}`, nearest)[at];
      const training = series(panel.name, nearest)[at];
      const detail = `epoch ${curves.epochs[at]}: ${panel.title} ${text(value)} in validation, ${text(training)} in training`;
      return { id: nearest.id, lines: gridfold.lines(nearest, [detail]) };
    }
    return { update, hit };
  }

  function extent(values, log) {
    if (!values.length) return [log ? 0.1 : 0, 1];
    const [low, high] = [d3.min(values), d3.max(values)];
    return low === high ? [low * 0.9, high * 1.1 || 1] : [low, high];
  }

  function draw(plot, width) {
    const columns = width < 640 ? 1 : 2;
    const each = Math.floor(width / columns);
    const views = panels.map((panel) => drawPanel(plot, each, panel));
    return {
      update: (what) => views.forEach((view) => view.update(what)),
      hit(px, py) {
        const at = columns === 2 ? Math.floor(px / each) : Math.floor(py / HEIGHT);
        const view = views[Math.min(1, Math.max(0, at))];
        return columns === 2 ? view.hit(px - at * each, py) : view.hit(px, py - at * HEIGHT);
      },
    };
  }

  function controls() {
    if (spread(curves.val_loss) === 1) return [];
    const label = element("label", { class: "switch" });
    const box = element("input", { type: "checkbox", id: "log-loss" });
    box.checked = logarithmic;
    box.addEventListener("change", () => {
      logarithmic = box.checked;
      handle.redraw();
    });
    label.append(box, " Loss on a log scale");
    return [gridfold.row(label)];
  }

  const handle = gridfold.chart("curves", {
    label: `Learning curves of ${configurations.length} configurations`,
    draw,
    controls,
    table: () => {
      const chosen = configurations.filter((c) => state.selected.has(c.id));
      const columns = chosen.flatMap((c) =>
        panels.map((panel) => ({ c, panel, values: series(`val_${panel.name}`, c) })),
      );
      return {
        caption: "Validation curves of the selected configurations",
        headings: ["Epoch", ...columns.map(({ c, panel }) => `${c.rank}: ${panel.title}`)],
        rows: curves.epochs.map((epoch, i) => [
          String(epoch),
          ...columns.map(({ values }) => text(values[i])),
        ]),
      };
    },
  });
});
