/** How much each token's x_t still moves the answer at the end, on one linear scale for all networks shown. */
import { drawing, svg } from "../dom.js";
import { words } from "../words.js";

const HEIGHT = 60;

/** The gradient's norm at timestep t, and where it stands in the answer. */
export function valueAt(frame, t) {
  const distance = frame.tokens.length - 1 - t;
  return { value: frame.part.fading.value[distance], from: `memory:${frame.name}/fading/value/${distance}` };
}

export function draw(frame) {
  const { axis, scale } = frame;
  const picture = drawing(axis.width, HEIGHT + 6, words("influence"));
  for (const t of axis.timesteps) {
    const height = (HEIGHT * (valueAt(frame, t).value ?? 0)) / scale;
    const bar = { x: axis.left(t) + 4, y: HEIGHT - height, width: Math.max(1, axis.span(t) - 8), rx: 2, class: "bar-of" };
    picture.append(svg("rect", { ...bar, height: Math.max(0.6, height), "data-t": t }));
  }
  picture.append(svg("line", { x1: 2, x2: axis.width - 10, y1: HEIGHT, y2: HEIGHT, class: "axis" }));
  return [picture];
}
