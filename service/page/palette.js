/** The theme's colours as numbers, for canvases: read once a drawing, since each reading makes the browser lay out anew. */

const NAMES = ["pos", "neg", "none", "forget", "input", "output", "candidate", "ink", "card"];

/** name -> [red, green, blue] */
export function readPalette() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, rgb(style.getPropertyValue(`--${name}`).trim())]));
}

function rgb(hex) {
  return [1, 3, 5].map((n) => parseInt(hex.slice(n, n + 2), 16));
}

export const css = ([red, green, blue], alpha = 1) => `rgb(${red} ${green} ${blue} / ${alpha.toFixed(3)})`;
