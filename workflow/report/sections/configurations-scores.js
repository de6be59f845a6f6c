// The ranking as a chart: mean and interval of each configuration, splits of those selected.

gridfold.ready(() => {
  const { data, configurations, state, canvas, scoreScale, mark, layered } = gridfold;
  if (!configurations.length) return;

  // Where the test score stands, before the first rank.
  const TEST = 16;

  function draw(plot, width) {
    const margin = { top: 26, right: 20, bottom: 40, left: 56 };
    const frame = canvas(plot, width, 320, margin);
    const { inner, height } = frame;
    const lowest = data.test
      ? [...configurations, { ...data.test, mean: data.test.score }]
      : configurations;
    const y = scoreScale([height, 0], lowest);
    gridfold.yAxis(
      inner,
      y,
      frame.width,
      `${data.measure.name} (${data.measure.lower ? "lower" : "higher"} is better)`,
    );
    const last = d3.max(configurations, (c) => c.rank);
    const x = d3
      .scaleLinear()
      .domain([0.5, last + 0.5])
      .range([data.test ? TEST + 14 : 0, frame.width]);
    const ticks = x
      .ticks(Math.min(last, Math.floor(frame.width / 50)))
      .filter((t) => t >= 1 && Number.isInteger(t));
    inner
      .append("g")
      .attr("class", "axis")
      .attr("transform", `translate(0,${height})`)
      .call(
        d3
          .axisBottom(x)
          .tickValues([...new Set([1, ...ticks])])
          .tickFormat(d3.format("d"))
          .tickSizeOuter(0),
      );
    inner
      .append("text")
      .attr("class", "title")
      .attr("text-anchor", "end")
      .attr("x", frame.width)
      .attr("y", height + 34)
      .text("rank");
    const step = x(2) - x(1);
    const groups = inner
      .append("g")
      .selectAll("g")
      .data(configurations, (c) => c.id)
      .join("g")
      .attr("class", "configuration");
    groups.attr("transform", (c) => `translate(${x(c.rank)},0)`);
    groups
      .filter((c) => c.low !== null)
      .append("line")
      .attr("class", "interval")
      .attr("y1", (c) => y(c.low))
      .attr("y2", (c) => y(c.high));
    groups
      .append("circle")
      .attr("class", "point")
      .attr("cy", (c) => y(c.mean))
      .attr("r", Math.max(2, Math.min(5, step / 3)));
    const dots = inner.append("g");
    if (data.test) {
      const diamond = d3.symbol(d3.symbolDiamond, 90)();
      const test = inner
        .append("g")
        .attr("class", "test")
        .attr("transform", `translate(${TEST},0)`);
      test
        .append("text")
        .attr("text-anchor", "middle")
        .attr("y", height + 19)
        .text("test");
      if (data.test.low !== null)
        test.append("line").attr("y1", y(data.test.low)).attr("y2", y(data.test.high));
      test
        .append("path")
        .attr("d", diamond)
        .attr("transform", `translate(0,${y(data.test.score)})`);
    }
    const apart = Math.min(9, step / 3);
    return {
      update() {
        mark(groups);
        layered(configurations)
          .filter((c) => c.id === state.active || state.selected.has(c.id))
          .forEach((c) => {
            groups.filter((other) => other.id === c.id).raise();
          });
        const open = configurations.filter(
          (c) => c.id === state.active || state.selected.has(c.id),
        );
        mark(
          dots
            .selectAll("g")
            .data(open, (c) => c.id)
            .join((enter) => {
              const group = enter.append("g").attr("class", "splits");
              group
                .selectAll("circle")
                .data((c) => c.splits.map((value) => [c, value]))
                .join("circle")
                .attr("cx", ([c]) => x(c.rank) + apart)
                .attr("cy", ([, value]) => y(value))
                .attr("r", 2.2);
              return group;
            }),
        );
      },
      hit(px, py) {
        const left = px - margin.left;
        if (data.test && Math.abs(left - TEST) < 12) {
          return {
            id: configurations[0].id,
            lines: [
              "Final model on the held-out test set",
              `${data.measure.name} ${data.test.text} (${data.test.basis})`,
            ],
          };
        }
        const nearest = d3.least(configurations, (c) => Math.abs(x(c.rank) - left));
        return Math.abs(x(nearest.rank) - left) < Math.max(12, step / 2)
          ? { id: nearest.id }
          : null;
      },
    };
  }

  gridfold.chart("scores", {
    label: `Ranking of ${configurations.length} configurations by ${data.measure.name}`,
    draw,
    table: () => ({
      caption: "Scores of the configurations",
      headings: ["Configuration", data.measure.name, "Interval", "Splits", "p"],
      rows: configurations.map((c) => [
        `${c.rank}: ${c.label}`,
        c.text,
        c.low === null ? "–" : `${gridfold.text(c.low)} to ${gridfold.text(c.high)}`,
        c.basis,
        c.p || "–",
      ]),
    }),
  });
});
