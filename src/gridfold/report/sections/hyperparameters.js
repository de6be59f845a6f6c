// The search space: scores along each axis, pairs of axes as heat maps, all axes side by side.

gridfold.ready(() => {
  const { data, configurations, state, canvas, scoreScale, mark, layered, place, short } = gridfold;
  const { axes } = data;
  if (!axes.length) return;
  const HEIGHT = 260;
  const better = data.measure.lower ? d3.ascending : d3.descending;

  // Only as many tick labels as fit beside each other.
  function thinTicks(ticks, at, room) {
    let end = -Infinity;
    return ticks.filter(([value, text]) => {
      const half = Math.min(text.length, 14) * 3.4;
      if (at(value) - half < end + 6) return false;
      end = at(value) + half;
      return true;
    });
  }

  function drawPanel(plot, width, axis, index) {
    const margin = { top: 26, right: 12, bottom: 40, left: 54 };
    const frame = canvas(plot, width, HEIGHT, margin);
    const { inner, height } = frame;
    const rows = configurations.filter((c) => c.values[index] !== null);
    const y = scoreScale([height, 0]);
    gridfold.yAxis(inner, y, frame.width, data.measure.name);
    const x = place(axis, [0, frame.width]);
    const ticks = inner
      .append("g")
      .attr("class", "axis")
      .attr("transform", `translate(0,${height})`);
    ticks.append("line").attr("class", "domain").attr("x2", frame.width);
    thinTicks(x.ticks, x, frame.width).forEach(([value, text]) => {
      const tick = ticks.append("g").attr("transform", `translate(${x(value)},0)`);
      tick.append("line").attr("y2", 5);
      tick.append("text").attr("y", 18).attr("text-anchor", "middle").text(short(text, 14));
    });
    inner
      .append("text")
      .attr("class", "title strong")
      .attr("text-anchor", "end")
      .attr("x", frame.width)
      .attr("y", height + 35)
      .text(short(axis.name, Math.floor(frame.width / 7)));
    const best = bestAtEach(rows, index);
    if (axis.kind !== "category") {
      inner
        .append("path")
        .attr("class", "best-line")
        .attr(
          "d",
          d3
            .line()
            .x((c) => x(c.values[index]))
            .y((c) => y(c.mean))(best),
        );
    }
    const points = inner
      .append("g")
      .selectAll("circle")
      .data(layered(rows), (c) => c.id)
      .join("circle")
      .attr("class", (c) => `point${c.complete ? "" : " incomplete"}`)
      .attr("cx", (c) => x(c.values[index]))
      .attr("cy", (c) => y(c.mean))
      .attr("r", rows.length > 200 ? 2.5 : 4);
    inner
      .append("g")
      .selectAll("circle")
      .data(best)
      .join("circle")
      .attr("class", "ring")
      .attr("cx", (c) => x(c.values[index]))
      .attr("cy", (c) => y(c.mean))
      .attr("r", 7.5);
    return {
      update() {
        mark(points);
        points.filter((c) => state.selected.has(c.id)).raise();
        points.filter((c) => c.id === state.active).raise();
      },
      hit(px, py) {
        const far = (c) =>
          Math.hypot(x(c.values[index]) + margin.left - px, y(c.mean) + margin.top - py);
        const nearest = d3.least(
          rows.filter((c) => state.shown.has(c.id)),
          far,
        );
        return nearest && far(nearest) < 24 ? { id: nearest.id } : null;
      },
    };
  }

  function bestAtEach(rows, index) {
    const complete = rows.filter((c) => c.complete);
    const groups = d3.groups(complete.length ? complete : rows, (c) => c.values[index]);
    // With more values than this, each has too few configurations for a best of its own.
    if (groups.length > 12) return [];
    return groups
      .map(([, members]) => members.slice().sort((a, b) => better(a.mean, b.mean))[0])
      .sort((a, b) => a.values[index] - b.values[index]);
  }

  function draw(plot, width) {
    const columns = Math.max(1, Math.min(axes.length, 3, Math.floor(width / 280)));
    const each = Math.floor(width / columns);
    const views = axes.map((axis, i) => drawPanel(plot, Math.min(each, 560), axis, i));
    return {
      update: (what) => views.forEach((view) => view.update(what)),
      hit(px, py) {
        const drawings = Array.from(plot.children);
        const box = plot.getBoundingClientRect();
        const at = drawings.findIndex((svg) => {
          const own = svg.getBoundingClientRect();
          const [left, top] = [own.left - box.left, own.top - box.top];
          return px >= left && px < left + own.width && py >= top && py < top + own.height;
        });
        if (at < 0) return null;
        const own = drawings[at].getBoundingClientRect();
        return views[at].hit(px - own.left + box.left, py - own.top + box.top);
      },
    };
  }

  gridfold.chart("axes", {
    label: `Scores of ${configurations.length} configurations along ${axes.length === 1 ? "one hyperparameter" : `${axes.length} hyperparameters`}`,
    draw,
    table: gridfold.allValues,
  });
});
