/** The x-axis that every lane shares: a token is as wide as its text. */

const WIDE = /[⺀-鿿가-힯豈-﫿]/;
const LONGEST = 132;
const rulers = {};

export const isWide = (text) => WIDE.test(text);

function measured(text) {
  if (isWide(text) && text.length < 2) return 19;
  const size = isWide(text) ? 19 : 14;
  rulers[size] ??= rulerOf(size);
  return rulers[size].measureText(text).width;
}

function rulerOf(size) {
  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = `${size}px ${getComputedStyle(document.documentElement).fontFamily}`;
  return ruler;
}

const widthOf = (text) => Math.min(LONGEST, Math.max(30, measured(text) + 14));

/** A token's text; one that is longer than the widest token is cut with an ellipsis, between whole characters. */
export function fitted(text) {
  const characters = [...text];
  if (measured(text) + 14 <= LONGEST) return text;
  let length = Math.min(characters.length, 24);
  while (length > 1 && measured(`${characters.slice(0, length).join("")}…`) + 14 > LONGEST) length--;
  return `${characters.slice(0, length).join("")}…`;
}

/**
 * Tokens [first, last) of the text from `left` on, stretched where there is room to spare.
 * left(t), right(t), middle(t) and width(t) take timesteps of the whole text; at(x) gives one, or null.
 */
export function createAxis(tokens, first, last, room) {
  const wanted = tokens.slice(first, last).map((token) => widthOf(token.text));
  const sum = wanted.reduce((a, b) => a + b, 0);
  const scale = Math.max(1, Math.min(2.4, (room - 14) / Math.max(1, sum)));
  const edges = [2];
  for (const width of wanted) edges.push(edges.at(-1) + width * scale);
  const axis = {
    first,
    last,
    width: edges.at(-1) + 10,
    left: (t) => edges[t - first],
    right: (t) => edges[t - first + 1],
    middle: (t) => (edges[t - first] + edges[t - first + 1]) / 2,
    span: (t) => edges[t - first + 1] - edges[t - first],
    timesteps: Array.from({ length: last - first }, (_, n) => first + n),
    at(x) {
      if (x < edges[0] || x >= edges.at(-1)) return null;
      return first + edges.findIndex((edge, n) => x >= edge && x < edges[n + 1]);
    },
  };
  return axis;
}
