// Heat map of a pair of hyperparameters, the two to be chosen.

gridfold.ready(() => {
  const { data, configurations, state, canvas, choice, text, fixed, short } = gridfold;
  const { axes } = data;
  if (axes.length < 2) return;
  const MOST_VALUES = 12;
  const BINS = 6;
  const better = data.measure.lower ? d3.ascending : d3.descending;
  // How far apart the means are: the pair that differs most is shown first.
  function effect(index) {
    const means = steps(axes[index], index)
      .map((step) =>
        d3.mean(
          configurations.filter((c) => step.holds(c.values[index])),
          (c) => c.mean,
        ),
      )
      .filter((mean) => mean !== undefined);
    return d3.max(means) - d3.min(means);
  }

  const brief = d3.format(".2~g");

  // Axes of different model families never meet.
  const meet = (pair) => {
    const both = configurations.filter((c) => pair.every((i) => c.values[i] !== null));
    return pair.every((i) => new Set(both.map((c) => c.values[i])).size > 1);
  };
  const effects = d3.range(axes.length).map(effect);
  const pairs = d3.cross(d3.range(axes.length), d3.range(axes.length)).filter(([x, y]) => x > y);
  const [first, second] =
    d3.greatest(pairs.filter(meet), ([x, y]) => effects[x] + effects[y]) ?? pairs[0];
  const chosen = { x: first, y: second, of: "best" };

  // The columns of a heat map: values, or ranges of them where there are too many.
  function steps(axis, index) {
    if (axis.kind === "category")
      return axis.values.map((name, i) => ({ name, holds: (v) => v === i }));
    if (axis.values.length <= MOST_VALUES) {
      return axis.values.map((value) => ({ name: text(value), holds: (v) => v === value }));
    }
    const values = configurations.map((c) => c.values[index]).filter((v) => v !== null);
    const cuts = d3.range(1, BINS).map((i) => d3.quantile(values, i / BINS));
    const edges = [d3.min(values), ...new Set(cuts), d3.max(values)];
    return d3.pairs(edges).map(([low, high], i, all) => ({
      name: `${brief(low)} to ${brief(high)}`,
      holds: (v) => v !== null && v >= low && (v < high || i === all.length - 1),
    }));
  }

  function cells() {
    const [columns, rows] = [steps(axes[chosen.x], chosen.x), steps(axes[chosen.y], chosen.y)];
    const made = [];
    rows.forEach((row, j) =>
      columns.forEach((column, i) => {
        const members = configurations
          .filter((c) => column.holds(c.values[chosen.x]) && row.holds(c.values[chosen.y]))
          .sort((a, b) => better(a.mean, b.mean));
        if (!members.length) return;
        const value = chosen.of === "best" ? members[0].mean : d3.mean(members, (c) => c.mean);
        made.push({ i, j, column, row, members, best: members[0], value });
      }),
    );
    return { columns, rows, made };
  }

  function words(cell) {
    const n = cell.members.length;
    const pair = `${axes[chosen.x].name} ${cell.column.name}, ${axes[chosen.y].name} ${cell.row.name}`;
    return [
      pair,
      n === 1
        ? "one configuration"
        : `${n} configurations, means from ${fixed(d3.min(cell.members, (c) => c.mean))} to ${fixed(d3.max(cell.members, (c) => c.mean))}`,
      `best: number ${cell.best.rank}, ${data.measure.name} ${cell.best.text} (${cell.best.basis})`,
    ];
  }

  function draw(plot, width) {
    const { columns, rows, made } = cells();
    const longest = d3.max(rows, (row) => row.name.length);
    const margin = {
      top: 30,
      right: 12,
      bottom: 46,
      left: Math.min(width * 0.3, 30 + 7 * longest),
    };
    const height = margin.top + margin.bottom + Math.max(2, rows.length) * 40;
    const frame = canvas(
      plot,
      Math.min(width, margin.left + margin.right + columns.length * 150),
      height,
      margin,
    );
    const { inner } = frame;
    const x = d3.scaleBand().domain(d3.range(columns.length)).range([0, frame.width]).padding(0.04);
    const y = d3.scaleBand().domain(d3.range(rows.length)).range([frame.height, 0]).padding(0.06);
    if (!made.length) {
      const words = "no configuration has both";
      inner.append("text").attr("x", 4).attr("y", frame.height / 2).text(words);
    }
    const [low, high] = d3.extent(made, (cell) => cell.value);
    const strength = (value) =>
      low === high
        ? 0.5
        : data.measure.lower
          ? (high - value) / (high - low)
          : (value - low) / (high - low);
    const axis = inner.append("g").attr("class", "axis");
    columns.forEach((column, i) =>
      axis
        .append("text")
        .attr("text-anchor", "middle")
        .attr("x", x(i) + x.bandwidth() / 2)
        .attr("y", frame.height + 18)
        .text(short(column.name, Math.floor(x.bandwidth() / 7))),
    );
    rows.forEach((row, j) =>
      axis
        .append("text")
        .attr("text-anchor", "end")
        .attr("dy", "0.32em")
        .attr("x", -8)
        .attr("y", y(j) + y.bandwidth() / 2)
        .text(short(row.name, Math.floor((margin.left - 12) / 7))),
    );
    inner
      .append("text")
      .attr("class", "title strong")
      .attr("text-anchor", "end")
      .attr("x", frame.width)
      .attr("y", frame.height + 38)
      .text(short(axes[chosen.x].name, 40));
    inner
      .append("text")
      .attr("class", "title strong")
      .attr("x", -margin.left + 4)
      .attr("y", -12)
      .text(short(axes[chosen.y].name, 40));
    const groups = inner
      .append("g")
      .selectAll("g")
      .data(made)
      .join("g")
      .attr("class", "cell")
      .attr("transform", (cell) => `translate(${x(cell.i)},${y(cell.j)})`);
    groups
      .append("rect")
      .attr("width", x.bandwidth())
      .attr("height", y.bandwidth())
      .attr("rx", 3)
      .each(function (cell) {
        this.style.setProperty("--strength", strength(cell.value));
      });
    groups
      .filter(() => x.bandwidth() >= 44)
      .append("text")
      .attr("text-anchor", "middle")
      .attr("dy", "0.35em")
      .attr("x", x.bandwidth() / 2)
      .attr("y", y.bandwidth() / 2)
      .text((cell) => fixed(cell.value));
    let current = null;
    const found = (cell) =>
      cell && { id: cell.best.id, lines: words(cell), words: words(cell).join("; ") };
    return {
      update() {
        groups
          .classed("active", (cell) => cell.members.some((c) => c.id === state.active))
          .classed("selected", (cell) => cell.members.some((c) => state.selected.has(c.id)));
      },
      hit(px, py) {
        const [left, top] = [px - margin.left, py - margin.top];
        return found(
          made.find(
            (cell) =>
              left >= x(cell.i) &&
              left < x(cell.i) + x.bandwidth() &&
              top >= y(cell.j) &&
              top < y(cell.j) + y.bandwidth(),
          ),
        );
      },
      key(key) {
        if ((key === "Enter" || key === " ") && current) gridfold.toggle(current.best.id);
        const move = {
          ArrowLeft: [-1, 0],
          ArrowRight: [1, 0],
          ArrowUp: [0, 1],
          ArrowDown: [0, -1],
        }[key];
        if (move) {
          const from = current ?? {
            i: move[0] > 0 ? -1 : columns.length,
            j: move[1] ? (move[1] > 0 ? -1 : rows.length) : rows.length - 1,
          };
          const ahead = made.filter((cell) =>
            move[0]
              ? cell.j === from.j && (cell.i - from.i) * move[0] > 0
              : cell.i === (current ? from.i : 0) && (cell.j - from.j) * move[1] > 0,
          );
          current =
            d3.least(ahead, (cell) => Math.abs(cell.i - from.i) + Math.abs(cell.j - from.j)) ??
            current ??
            made[0];
        } else if (key !== "Enter" && key !== " ") return null;
        return found(current);
      },
    };
  }

  function use(change) {
    return (value) => {
      change(value);
      handle.redraw();
    };
  }

  // The same axis twice would be a diagonal: the other one steps aside.
  const pick = (own, other) =>
    use((value) => {
      if (chosen[other] === Number(value)) {
        chosen[other] = chosen[own];
        document.getElementById(`pair-${other}`).value = String(chosen[other]);
      }
      chosen[own] = Number(value);
    });

  function controls() {
    const names = axes.map((axis, i) => [i, axis.name]);
    const shows = [
      ["best", "the best mean"],
      ["mean", "the mean of means"],
    ];
    return [
      gridfold.row(
        choice("pair-x", "Across", names, chosen.x, pick("x", "y")),
        choice("pair-y", "Up", names, chosen.y, pick("y", "x")),
        choice(
          "pair-of",
          "Shows",
          shows,
          chosen.of,
          use((value) => (chosen.of = value)),
        ),
      ),
    ];
  }

  const handle = gridfold.chart("pairs", {
    label: "Heat map of two hyperparameters",
    keys: "Arrow keys go from cell to cell, Enter selects the best configuration of a cell, Escape leaves.",
    draw,
    controls,
    table: () => {
      const { columns, rows, made } = cells();
      return {
        caption: `${data.measure.name} over ${axes[chosen.x].name} (across) and ${axes[chosen.y].name} (down)`,
        headings: [axes[chosen.y].name, ...columns.map((column) => column.name)],
        rows: rows.map((row, j) => [
          row.name,
          ...columns.map((column, i) => {
            const cell = made.find((c) => c.i === i && c.j === j);
            return cell ? `${fixed(cell.value)} (${cell.members.length})` : "–";
          }),
        ]),
      };
    },
  });
});
