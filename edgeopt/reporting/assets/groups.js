"use strict";
/* The graph as it is shown: calls, and modules that are closed over theirs. */

const Groups = (() => {
  const FIRST = 40; // so many boxes at most are open at first

  /* Returns the paths of the modules around a layer, the outermost first. */
  function paths(layer) {
    const parts = layer.module ? layer.module.split(".") : [];
    return parts.map((_, at) => parts.slice(0, at + 1).join("."));
  }

  /* Returns each module's path to the places of its layers; a module of one call is no group. */
  function modules(layers) {
    const members = new Map();
    for (const layer of layers) {
      for (const path of paths(layer)) {
        if (!members.has(path)) members.set(path, []);
        members.get(path).push(layer.place);
      }
    }
    for (const [path, places] of members) {
      if (places.length < 2 || places.length === layers.length) members.delete(path);
    }
    return members;
  }

  /* Returns boxes and edges with the modules in `open` shown as their parts. */
  function visible(layers, members, open) {
    const boxes = [];
    const owner = new Map();
    const byPath = new Map();
    for (const layer of layers) {
      const closed = paths(layer).find((path) => members.has(path) && !open.has(path));
      if (closed === undefined) {
        owner.set(layer.place, boxes.length);
        boxes.push({ layer, path: null, members: [layer.place] });
        continue;
      }
      if (!byPath.has(closed)) {
        byPath.set(closed, boxes.length);
        boxes.push({ layer: null, path: closed, members: members.get(closed) });
      }
      owner.set(layer.place, byPath.get(closed));
    }
    const edges = new Map();
    for (const layer of layers) {
      for (const input of layer.inputs) {
        const [from, to] = [owner.get(input), owner.get(layer.place)];
        if (from !== to) edges.set(`${from} ${to}`, [from, to]);
      }
    }
    return { boxes, edges: [...edges.values()], owner };
  }

  /* Returns the modules to open at first: outer ones, while what is shown stays small. */
  function opened(layers, members) {
    let open = new Set();
    const depth = (path) => path.split(".").length;
    const deepest = Math.max(0, ...[...members.keys()].map(depth));
    for (let level = 1; level <= deepest; level += 1) {
      const next = new Set([...members.keys()].filter((path) => depth(path) <= level));
      if (visible(layers, members, next).boxes.length > FIRST) break;
      open = next;
    }
    return open;
  }

  return { paths, modules, visible, opened };
})();
