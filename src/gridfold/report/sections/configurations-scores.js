// The ranking as a chart: mean and interval of each configuration, splits of those selected.

gridfold.ready(() => {
  const { data, configurations, state, canvas, scoreScale, mark } = gridfold;
  if (!configurations.length) return;

  // Where the test score stands, before the first rank.
  const TEST = 14;
  // With more beside each other the best can't be told apart.
  const MOST = 50;
  let most = configurations.length > 1.2 * MOST ? MOST : configurations.length;

  const tested = data.test && { ...data.test, mean: data.test.score };
  const isOpen = (c) => c.id === state.active || state.selected.has(c.id);

  function rankAxis(inner, x, width, height) {
    const count = Math.min(most, Math.floor(width / 50));
    const ticks = x.ticks(count).filter((rank) => rank > 1 && Number.isInteger(rank));
    if (!ticks.length || x(ticks[0]) - x(1) > 20) ticks.unshift(1);
    inner
      .append("g")
      .attr("class", "axis")
      .attr("transform", `translate(0,${height})`)
      .call(d3.axisBottom(x).tickValues(ticks).tickFormat(d3.format("d")).tickSizeOuter(0));
    inner
      .append("text")
      .attr("class", "title")
      .attr("text-anchor", "end")
      .attr("x", width)
      .attr("y", height + 34)
      .text("rank");
  }

  function drawTest(inner, y, height) {
    const test = inner.append("g").attr("class", "test").attr("transform", `translate(${TEST},0)`);
    test
      .append("text")
      .attr("text-anchor", "middle")
      .attr("y", height + 19)
      .text("test");
    if (tested.low !== null)
      test.append("line").attr("y1", y(tested.low)).attr("y2", y(tested.high));
    test
      .append("path")
      .attr("d", d3.symbol(d3.symbolDiamond, 90)())
      .attr("transform", `translate(0,${y(tested.mean)})`);
  }

  function drawPoints(inner, rows, x, y) {
    const groups = inner
      .append("g")
      .selectAll("g")
      .data(rows, (c) => c.id)
      .join("g")
      .attr("class", "configuration")
      .attr("transform", (c) => `translate(${x(c.rank)},0)`);
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
      .attr("r", Math.max(2, Math.min(5, (x(2) - x(1)) / 3)));
    return groups;
  }

  function drawSplits(layer, rows, x, y) {
    const apart = Math.min(9, (x(2) - x(1)) / 3);
    return layer
      .selectAll("g")
      .data(rows, (c) => c.id)
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
      });
  }

  function draw(plot, width) {
    const margin = { top: 26, right: 20, bottom: 40, left: 56 };
    const frame = canvas(plot, width, 320, margin);
    const { inner, height } = frame;
    const rows = configurations.slice(0, most);
    const y = scoreScale([height, 0], tested ? [...rows, tested] : rows);
    const direction = data.measure.lower ? "lower" : "higher";
    gridfold.yAxis(inner, y, frame.width, `${data.measure.name} (${direction} is better)`);
    const x = d3
      .scaleLinear()
      .domain([0.5, d3.max(rows, (c) => c.rank) + 0.5])
      .range([tested ? TEST + 20 : 0, frame.width]);
    rankAxis(inner, x, frame.width, height);
    if (tested) drawTest(inner, y, height);
    const groups = drawPoints(inner, rows, x, y);
    const layer = inner.append("g");
    return {
      update() {
        mark(groups).filter(isOpen).raise();
        mark(drawSplits(layer, rows.filter(isOpen), x, y));
      },
      hit(px) {
        const left = px - margin.left;
        if (tested && Math.abs(left - TEST) < 12) {
          const score = `${data.measure.name} ${tested.text} (${tested.basis})`;
          return { id: rows[0].id, lines: ["Final model on the held-out test set", score] };
        }
        const far = (c) => Math.abs(x(c.rank) - left);
        const nearest = d3.least(rows, far);
        return far(nearest) < Math.max(12, (x(2) - x(1)) / 2) ? { id: nearest.id } : null;
      },
    };
  }

  function controls() {
    if (configurations.length === most) return [];
    const options = [
      [MOST, `the best ${MOST}`],
      [configurations.length, `all ${configurations.length}`],
    ];
    const use = (value) => {
      most = Number(value);
      handle.redraw();
    };
    return [gridfold.row(gridfold.choice("scores-shown", "Shows", options, most, use))];
  }

  const interval = (c) =>
    c.low === null ? "–" : `${gridfold.fixed(c.low)} to ${gridfold.fixed(c.high)}`;

  const handle = gridfold.chart("scores", {
    label: `Ranking of ${configurations.length} configurations by ${data.measure.name}`,
    draw,
    controls,
    table: () => ({
      caption: "Scores of the configurations",
      headings: ["Configuration", data.measure.name, "Interval", "Splits", "p"],
      rows: configurations.map((c) => [
        `${c.rank}: ${c.label}`,
        c.text,
        interval(c),
        c.basis,
        c.p || "–",
      ]),
    }),
  });
});
