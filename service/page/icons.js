/** Icons of the buttons, drawn here: fonts differ in the size of such signs, or have none. */
import { svg } from "./dom.js";

const PATHS = {
  back: "M11 3 4 8l7 5z",
  play: "M5 3l8 5-8 5z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  next: "M4 3l6 5-6 5zM11 3h2v10h-2z",
  more: "M2 8a1.2 1.2 0 1 0 2.4 0 1.2 1.2 0 1 0-2.4 0M6.8 8a1.2 1.2 0 1 0 2.4 0 1.2 1.2 0 1 0-2.4 0M11.6 8a1.2 1.2 0 1 0 2.4 0 1.2 1.2 0 1 0-2.4 0",
};

export const icon = (name) =>
  svg("svg", { viewBox: "0 0 16 16", width: 14, height: 14, class: `icon icon-${name}`, "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
