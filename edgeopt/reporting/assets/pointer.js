"use strict";
/* Drags, wheel, pinches and clicks on the explorer's canvas. */

const Pointer = (() => {
  const SLACK = 4; // pixels that a click may move

  function listen(view) {
    const { canvas } = view;
    const fingers = new Map();
    let moved = 0;

    const where = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };

    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, where(event));
      moved = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const now = where(event);
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const distance = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
        view.zoomAt(other[0], other[1], distance(now) / Math.max(1, distance(before)));
      } else view.move(now[0] - before[0], now[1] - before[1]);
      moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
      fingers.set(event.pointerId, now);
    });
    const end = (event) => fingers.delete(event.pointerId);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerup", (event) => {
      end(event);
      if (moved > SLACK) return;
      const place = view.boxAt(...where(event));
      if (place !== null) view.choose(place);
    });
    canvas.addEventListener("dblclick", (event) => {
      const place = view.boxAt(...where(event));
      if (place !== null) view.toggle(view.boxes[place]);
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && document.activeElement !== canvas) return; // the page scrolls until the graph is chosen
        event.preventDefault();
        view.zoomAt(...where(event), Math.exp(-event.deltaY / 400));
      },
      { passive: false },
    );
  }

  return { listen };
})();
