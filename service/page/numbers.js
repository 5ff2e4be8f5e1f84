/** Numbers as they are written on the page, each with the place in the API's answer that it was read from. */
import { html, svg } from "./dom.js";

const MINUS = "−";
const minus = (text) => text.replace("-", MINUS);

export function fixed(value, digits = 2) {
  const text = value.toFixed(digits);
  return minus(Number(text) === 0 ? text.replace("-", "") : text);
}

export function signed(value, digits = 2) {
  const text = fixed(value, digits);
  return text.startsWith(MINUS) ? text : `+${text}`;
}

export const percent = (value) => `${fixed(100 * value, 0)} %`;

export const power = (value) => minus(value.toExponential(1).replace("e", "e").replace("+", ""));

const FORMATS = { fixed, signed, percent, power };

/** Text, and where it comes from: `answer/pointer`, for readers of the page's source and for its tests. */
function described(value, from, format, digits) {
  const text = FORMATS[format](value, digits);
  return [{ "data-from": from, "data-format": format, "data-digits": format === "percent" ? 0 : digits }, text];
}

export function number(value, from, format = "fixed", digits = 2) {
  const [attributes, text] = described(value, from, format, digits);
  return html("span", { ...attributes, class: "number" }, text);
}

export function svgNumber(value, from, attributes, format = "fixed", digits = 2, name = "") {
  const [data, text] = described(value, from, format, digits);
  return svg("text", attributes, name ? svg("tspan", {}, `${name} `) : null, svg("tspan", data, text));
}

export function quantile(sorted, q) {
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
}

export const largest = (values) => values.reduce((best, value, n) => (value > values[best] ? n : best), 0);
