/** The page's words: one table a language, chosen by the state. */
import en from "./words/en.js";
import zh from "./words/zh.js";

const TABLES = { en, zh };
let table = en;

export function speak(language) {
  table = TABLES[language];
}

/** The words of a key; `{name}` stands for a value. */
export function words(key, values = {}) {
  const text = table[key] ?? `?${key}`;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** The same as nodes, for values that are elements. */
export function phrase(key, values) {
  const parts = (table[key] ?? `?${key}`).split(/(\{\w+\})/);
  return parts.filter((part) => part !== "").map((part) => (part[0] === "{" ? values[part.slice(1, -1)] : part));
}

export const has = (key) => key in table;
