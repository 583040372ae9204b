"use strict";
/* Charts by uPlot: a curve, points, a histogram; below each its numbers as a table, for who does not see it. */

const Charts = (() => {
  const { element, number, colour, drawn } = Report;
  const LEVELS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

  /* Draws `options(width)` of uPlot into a box, again whenever its width or the theme changes. */
  function chart(mount, label, options, values) {
    const box = element("div", { className: "chart", role: "img", "aria-label": label });
    mount.append(box);
    let plot = null;
    const draw = () => {
      plot?.destroy();
      plot = new uPlot(options(Math.max(240, box.clientWidth)), values, box);
    };
    drawn(draw);
    let width = box.clientWidth;
    new ResizeObserver(() => {
      if (Math.abs(box.clientWidth - width) < 2) return;
      width = box.clientWidth;
      draw();
    }).observe(box);
    return box;
  }

  function axis(label, values, size = 60) {
    return {
      label,
      size,
      labelSize: 20,
      stroke: colour("text"),
      font: "12px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif",
      grid: { stroke: colour("line"), width: 1 },
      ticks: { stroke: colour("line"), width: 1 },
      ...(values ? { values } : {}),
    };
  }

  /* A table of the numbers, closed at first. */
  function numbers(mount, head, rows) {
    const body = element(
      "tbody",
      {},
      ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, String(cell))))),
    );
    const heads = head.map((cell) => element("th", { scope: "col" }, cell));
    const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body);
    const box = { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Numbers of the chart" };
    mount.append(
      element("details", { className: "numbers" }, element("summary", {}, "The numbers"), element("div", box, table)),
    );
  }

  /* Draws vertical lines at values of x, with a word each. */
  function marks(lines) {
    return (plot) => {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour("bad");
      ctx.lineWidth = 2 * devicePixelRatio;
      ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
      for (const { x, text, side } of lines) {
        const at = plot.valToPos(x, "x", true);
        ctx.beginPath();
        ctx.moveTo(at, bbox.top);
        ctx.lineTo(at, bbox.top + bbox.height);
        ctx.stroke();
        ctx.textAlign = side < 0 ? "left" : "right";
        ctx.fillText(text, at - side * 5 * devicePixelRatio, bbox.top + 12 * devicePixelRatio);
      }
      ctx.restore();
    };
  }

  /* The histogram of a value, with the ends of its grid. Heights are the root of the share, so that tails show. */
  function histogram(mount, layer) {
    if (!layer.histogram) return;
    const count = layer.histogram.length;
    const step = (layer.bin_high - layer.bin_low) / count;
    const xs = [...layer.histogram].map((_, at) => layer.bin_low + (at + 0.5) * step);
    const ys = [...layer.histogram].map((letter) => LEVELS.indexOf(letter) / (LEVELS.length - 1));
    const ends = [];
    if (layer.grid_low !== null) ends.push({ x: layer.grid_low, text: "clipped below", side: -1 });
    if (layer.grid_high !== null) ends.push({ x: layer.grid_high, text: "clipped above", side: 1 });
    const room = (layer.bin_high - layer.bin_low) * 0.03;
    const options = (width) => ({
      width,
      height: 190,
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false, range: [layer.bin_low - room, layer.bin_high + room] },
        y: { range: [0, 1.15] },
      },
      axes: [
        axis("value in float", (_, ticks) => ticks.map((tick) => number(tick)), 34),
        { ...axis("", null, 8), show: false },
      ],
      series: [
        {},
        {
          fill: colour("accent"),
          stroke: colour("accent"),
          paths: uPlot.paths.bars({ size: [0.92] }),
          points: { show: false },
        },
      ],
      hooks: { draw: [marks(ends)] },
    });
    const limits =
      layer.grid_low === null ? "no grid" : `grid from ${number(layer.grid_low)} to ${number(layer.grid_high)}`;
    const label = `Histogram of ${layer.makes}: ${Report.range(layer)}, ${limits}`;
    chart(mount, label, options, [xs, ys]);
  }

  /* Memory while each operator runs. */
  function memory(mount, moments, most) {
    const xs = moments.map((_, at) => at);
    const kib = moments.map((one) => one.size_bytes / 1024);
    const fullest = Math.max(...moments.map((one) => one.size_bytes));
    const isFar = most === null || most > 3 * fullest; // the curve would be flat below it
    const limit = isFar ? [] : [moments.map(() => most / 1024)];
    const line = element("output", { className: "point" });
    const say = (at) => {
      const one = moments[at];
      if (one)
        line.textContent = `${one.operator}: ${Report.bytes(one.size_bytes)}${one.largest ? `, the largest is ${one.largest}` : ""}`;
    };
    const options = (width) => ({
      width,
      height: 260,
      legend: { show: false },
      scales: { x: { time: false }, y: { range: (_, low, high) => [0, Math.max(high, 1) * 1.08] } },
      axes: [axis("operator, in order", null, 34), axis("KiB", (_, ticks) => ticks.map((tick) => number(tick)))],
      series: [
        {},
        {
          stroke: colour("accent"),
          width: 2,
          fill: colour("wash"),
          paths: uPlot.paths.stepped({ align: 1 }),
          points: { show: false },
        },
        ...limit.map(() => ({ stroke: colour("bad"), width: 2, dash: [6, 4], points: { show: false } })),
      ],
      hooks: { setCursor: [(plot) => say(plot.cursor.idx)] },
    });
    chart(mount, `Memory over time, ${Report.bytes(fullest)} at most`, options, [xs, kib, ...limit]);
    mount.append(line);
    say(moments.findIndex((one) => one.size_bytes === fullest));
    numbers(
      mount,
      ["Operator", "Size", "Largest"],
      moments.map((one) => [one.operator, Report.bytes(one.size_bytes), one.largest]),
    );
  }

  /* Every trial of a search: the score over latency or size, the front joined. */
  function search(mount, trials) {
    const axes = [
      ["latency_ms", "Latency in ms"],
      ["size_bytes", "Size in bytes"],
    ].filter(([name]) => trials.some((one) => one[name] !== null));
    if (!axes.length) return;
    const chooser = element(
      "select",
      { "aria-label": "What is drawn to the right" },
      ...axes.map(([name, text]) => element("option", { value: name }, text)),
    );
    const place = element("div");
    const line = element("output", { className: "point" }, "Point at a trial to see what it is.");
    mount.append(element("label", {}, "To the right: ", chooser), place, line);
    const draw = () => {
      place.replaceChildren();
      const name = chooser.value;
      const known = trials.filter((one) => one[name] !== null && one.score !== null).sort((a, b) => a[name] - b[name]);
      const values = [
        known.map((one) => one[name]),
        known.map((one) => one.score),
        known.map((one) => (one.front ? one.score : null)),
        known.map((one) => (one.best ? one.score : null)),
      ];
      const dots = (paint, size) => ({
        stroke: paint,
        paths: () => null,
        points: { show: true, size, fill: paint, stroke: paint },
      });
      const options = (width) => ({
        width,
        height: 320,
        legend: { show: false },
        scales: { x: { time: false } },
        axes: [
          axis(axes.find(([one]) => one === name)[1], (_, ticks) => ticks.map((tick) => number(tick)), 34),
          axis("Score", (_, ticks) => ticks.map((tick) => number(tick))),
        ],
        series: [
          {},
          dots(colour("muted"), 6),
          {
            stroke: colour("accent"),
            width: 2,
            spanGaps: true,
            points: { show: true, size: 9, fill: colour("accent") },
          },
          dots(colour("good"), 14),
        ],
        hooks: {
          setCursor: [
            (plot) => {
              const one = known[plot.cursor.idx];
              if (one)
                line.textContent = `${one.label}: score ${number(one.score)}, ${one.latency_ms === null ? "not timed" : number(one.latency_ms, "ms")}, ${one.size_bytes === null ? "" : Report.bytes(one.size_bytes)}`;
            },
          ],
        },
      });
      chart(place, `Score of ${known.length} trials over ${name}`, options, values);
    };
    chooser.addEventListener("change", draw);
    draw();
    const rows = trials.map((one) => [
      one.label,
      number(one.score),
      number(one.latency_ms),
      one.size_bytes === null ? "" : Report.bytes(one.size_bytes),
      one.best ? "best" : one.front ? "front" : "",
    ]);
    numbers(mount, ["Trial", "Score", "Latency in ms", "Size", "Mark"], rows);
  }

  /* Medians of measurements before, one curve a series, with their intervals. */
  function history(mount, points) {
    const names = [...new Set(points.map((one) => one.series))];
    const sorted = [...points].sort((a, b) => a.unix_s - b.unix_s);
    const column = (name, field) => sorted.map((one) => (one.series === name ? (one[field] ?? one.latency_ms) : null));
    const paints = ["accent", "good", "warning", "bad", "muted"];
    const values = [
      sorted.map((one) => one.unix_s),
      ...names.flatMap((name) => ["latency_ms", "low_ms", "high_ms"].map((field) => column(name, field))),
    ];
    const options = (width) => ({
      width,
      height: 280,
      axes: [axis("", null, 40), axis("ms", (_, ticks) => ticks.map((tick) => number(tick)))],
      series: [
        {},
        ...names.flatMap((name, at) => {
          const paint = colour(paints[at % paints.length]);
          const end = { stroke: paint, width: 1, dash: [3, 3], spanGaps: true, points: { show: false } };
          return [
            { label: name, stroke: paint, width: 2, spanGaps: true, points: { show: true, size: 7, fill: paint } },
            { ...end, label: "lower end" },
            { ...end, label: "upper end" },
          ];
        }),
      ],
    });
    chart(mount, `Latency of ${points.length} measurements over time`, options, values);
    numbers(
      mount,
      ["When", "Version", "Series", "Median in ms"],
      sorted.map((one) => [
        new Date(one.unix_s * 1000).toISOString().slice(0, 16).replace("T", " "),
        one.label,
        one.series,
        number(one.latency_ms),
      ]),
    );
  }

  return { histogram, memory, search, history };
})();
