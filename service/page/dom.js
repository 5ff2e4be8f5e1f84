/** Elements without strings of markup: the policy forbids inline scripts and styles, and user text is only ever text. */
const SVG = "http://www.w3.org/2000/svg";

/** An HTML element; attributes that are functions become listeners, null and false are left out. */
export function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const find = (selector, root = document) => root.querySelector(selector);

/** A drawing of this size in pixels; it may be wider than its room. */
export function drawing(width, height, label, role = "img") {
  const box = `0 0 ${Math.ceil(width)} ${Math.ceil(height)}`;
  return svg("svg", { width: Math.ceil(width), height: Math.ceil(height), viewBox: box, role, "aria-label": label });
}

/** Replaces what an element holds and gives the focus back to the child with the same `data-focus`. */
export function replace(element, ...children) {
  const active = element.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  element.replaceChildren(...children.filter((child) => child !== null && child !== undefined && child !== false));
  if (active) element.querySelector(`[data-focus="${CSS.escape(active)}"]`)?.focus({ preventScroll: true });
}
