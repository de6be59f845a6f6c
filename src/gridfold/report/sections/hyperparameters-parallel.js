// Parallel coordinates: all axes side by side, and the score at the end.

gridfold.ready(() => {
  const { data, configurations, state, canvas, scoreScale, mark, layered, place, short } = gridfold;
  const { axes } = data;
  if (axes.length < 2) return;
  const NARROWEST = 96;

  function draw(plot, width) {
    const margin = { top: 44, right: 66, bottom: 16, left: 66 };
    // More axes than fit beside each other: the chart scrolls.
    const full = Math.max(width, margin.left + margin.right + axes.length * NARROWEST);
    const frame = canvas(plot, full, 360, margin);
    const { inner, height } = frame;
    const x = d3
      .scalePoint()
      .domain(d3.range(axes.length + 1))
      .range([0, frame.width]);
    const scales = axes.map((axis) => place(axis, [height, 0]));
    const names = [...axes.map((axis) => axis.name), data.measure.name];
    const step = frame.width / axes.length;
    const crowded = d3.pairs(names).some(([a, b]) => (a.length + b.length) * 4 > step);
    const score = scoreScale(data.measure.lower ? [0, height] : [height, 0]);
    const missing = height + 8;
    // A configuration without an axis passes below it.
    const corners = (c) => [
      ...axes.map((axis, i) => [x(i), c.values[i] === null ? missing : scales[i](c.values[i])]),
      [x(axes.length), score(c.mean)],
    ];
    const line = d3.line();
    const paths = inner
      .append("g")
      .selectAll("path")
      .data(layered(configurations), (c) => c.id)
      .join("path")
      .attr("class", "configuration")
      .attr("d", (c) => line(corners(c)));
    paths.each(function (c) {
      this.style.setProperty(
        "--strength",
        (1 - (c.rank - 1) / Math.max(1, configurations.length - 1)) ** 3,
      );
    });
    axes.forEach((axis, i) => {
      const group = inner
        .append("g")
        .attr("class", "axis upright")
        .attr("transform", `translate(${x(i)},0)`);
      group.append("line").attr("class", "domain").attr("y2", height);
      thin(scales[i].ticks, scales[i]).forEach(([value, text]) => {
        group
          .append("line")
          .attr("x1", -4)
          .attr("x2", 0)
          .attr("y1", scales[i](value))
          .attr("y2", scales[i](value));
        group
          .append("text")
          .attr("class", "halo")
          .attr("text-anchor", "end")
          .attr("x", -8)
          .attr("dy", "0.32em")
          .attr("y", scales[i](value))
          .text(short(text, 12));
      });
      name(group, axis.name, i);
    });
    const end = inner
      .append("g")
      .attr("class", "axis upright")
      .attr("transform", `translate(${x(axes.length)},0)`);
    end.append("line").attr("class", "domain").attr("y2", height);
    score.ticks(6).forEach((value) => {
      end.append("line").attr("x2", 4).attr("y1", score(value)).attr("y2", score(value));
      end
        .append("text")
        .attr("x", 8)
        .attr("dy", "0.32em")
        .attr("y", score(value))
        .text(gridfold.text(value));
    });
    name(end, data.measure.name, axes.length);

    // On two lines in turn where names beside each other would meet.
    function name(group, text, i) {
      group
        .append("text")
        .attr("class", "title strong")
        .attr("text-anchor", i === 0 ? "start" : i === axes.length ? "end" : "middle")
        .attr("x", i === 0 ? -margin.left + 6 : i === axes.length ? margin.right - 8 : 0)
        .attr("y", crowded && i % 2 ? -28 : -12)
        .text(short(text, Math.max(12, Math.floor((2 * frame.width) / axes.length / 8))));
    }
    return {
      update() {
        mark(paths);
        paths.filter((c) => state.selected.has(c.id)).raise();
        paths.filter((c) => c.id === state.active).raise();
      },
      hit(px, py) {
        const [left, top] = [px + plot.scrollLeft - margin.left, py - margin.top];
        const at = Math.max(0, Math.min(axes.length - 1, Math.floor(left / step)));
        const part = Math.max(0, Math.min(1, left / step - at));
        const far = (c) => {
          const points = corners(c);
          return Math.abs(points[at][1] * (1 - part) + points[at + 1][1] * part - top);
        };
        const nearest = d3.least(
          configurations.filter((c) => state.shown.has(c.id)),
          far,
        );
        return nearest && far(nearest) < 16 ? { id: nearest.id } : null;
      },
    };
  }

  function thin(ticks, at) {
    let last = null;
    return ticks.filter(([value]) => {
      if (last !== null && Math.abs(at(value) - last) < 15) return false;
      last = at(value);
      return true;
    });
  }

  gridfold.chart("parallel", {
    label: `Parallel coordinates of ${configurations.length} configurations over ${axes.length} hyperparameters`,
    draw,
    table: gridfold.allValues,
  });
});
