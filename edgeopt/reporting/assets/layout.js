"use strict";
/* Where the boxes of a graph go: layers by the longest way from an input, each box below what it reads. */

const Layout = (() => {
  const WIDTH = 190;
  const HEIGHT = 58;
  const GAP_X = 26;
  const GAP_Y = 40;

  /* Places `nodes` (in an order in which each edge goes forward, else it is left out): sets x, y and rank.
     `edges` are pairs of places. Time grows with nodes and edges only. */
  function place(nodes, edges) {
    const sources = nodes.map(() => []);
    for (const [from, to] of edges) {
      if (from < to) sources[to].push(from);
    }
    const ranks = [];
    nodes.forEach((node, at) => {
      node.rank = sources[at].reduce((most, from) => Math.max(most, nodes[from].rank + 1), 0);
      (ranks[node.rank] ??= []).push(at);
    });
    for (const row of ranks) spread(row, nodes, sources);
    nodes.forEach((node) => (node.y = node.rank * (HEIGHT + GAP_Y)));
    return ranks;
  }

  /* Puts a row's boxes where the mean of what they read lies, and apart from each other. */
  function spread(row, nodes, sources) {
    const wanted = new Map(row.map((at) => [at, mean(sources[at].map((from) => nodes[from].x))]));
    row.sort((a, b) => wanted.get(a) - wanted.get(b) || a - b);
    const step = WIDTH + GAP_X;
    let least = -Infinity;
    for (const at of row) {
      nodes[at].x = Math.max(wanted.get(at), least);
      least = nodes[at].x + step;
    }
    const shift = mean(row.map((at) => wanted.get(at) - nodes[at].x));
    row.forEach((at) => (nodes[at].x += shift));
  }

  function mean(values) {
    return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;
  }

  return { place, WIDTH, HEIGHT };
})();
