/** State <-> the address's fragment, which browsers never send: a text in a permalink stays with its reader. */
import { INITIAL } from "./store.js";

const SAVED = {
  lang: "lang", theme: "theme", model: "m", text: "x", compare: "c", step: "t", target: "k", at: "at", layer: "l",
  direction: "d", gates: "g", sort: "s", page: "p", gate: "gate", brush: "b", unit: "u", from: "w", editing: "edit",
  edits: "e", tour: "tour", stream: "stream",
}; // prettier-ignore
const ALLOWED = {
  lang: ["en", "zh"],
  theme: ["auto", "light", "dark"],
  direction: ["forward", "reverse"],
  sort: ["half_life", "contribution", "index"],
  gate: ["input_gate", "forget_gate", "output_gate", "cell_gate", "hidden_state"],
};
const COUNTS = ["step", "at", "layer", "page", "unit", "from", "tour"];

export function encode(state) {
  const query = new URLSearchParams();
  for (const [name, key] of Object.entries(SAVED)) {
    const value = state[name];
    if (JSON.stringify(value) === JSON.stringify(INITIAL[name])) continue;
    query.set(key, typeof value === "string" ? value : JSON.stringify(value));
  }
  return `#${query}`;
}

/** The part of the state that a fragment names; what is not valid there is left out. */
export function decode(fragment) {
  const query = new URLSearchParams(fragment.replace(/^#/, ""));
  const state = {};
  for (const [name, key] of Object.entries(SAVED)) {
    const text = query.get(key);
    if (text === null) continue;
    const value = typeof INITIAL[name] === "string" || name === "target" ? text : parsed(text);
    if (isValid(name, value)) state[name] = value;
  }
  return state;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isValid(name, value) {
  if (name in ALLOWED) return ALLOWED[name].includes(value);
  if (COUNTS.includes(name)) return Number.isSafeInteger(value) && value >= 0;
  if (name === "edits") return Array.isArray(value) && value.length <= 64 && value.every(isEdit);
  if (name === "brush") return Array.isArray(value) && value.length === 5 && value.slice(1).every(Number.isFinite);
  return typeof value === (typeof INITIAL[name] === "boolean" ? "boolean" : "string");
}

function isEdit(edit) {
  return edit !== null && typeof edit === "object" && typeof edit.target === "string" && Array.isArray(edit.timesteps);
}
