/** The tokens, each shaded by what it gives to the target; click or press Enter to go to its step. */
import { drawing, svg } from "../dom.js";
import { fitted, isWide } from "../axis.js";
import { push } from "../frame.js";
import { signed } from "../numbers.js";
import { words } from "../words.js";

const HEIGHT = 42;

export function draw(frame) {
  const { axis, tokens, part } = frame;
  const picture = drawing(axis.width, HEIGHT + 4, words("words_lane"), "group");
  for (const t of axis.timesteps) picture.append(token(frame, t, tokens[t]));
  picture.dataset.model = part.model.name;
  return [picture];
}

function token(frame, t, { text, known }) {
  const { axis } = frame;
  const { colour, strength, value } = push(frame, t);
  const target = frame.part.attribution?.target ?? "";
  const label = `${text}: ${frame.contributions ? `${words("contribution", { target })} ${signed(value)}` : ""}`;
  const shown = fitted(text);
  const isStrong = strength > 0.78; // where dark letters on the colour read better than light ones
  return svg(
    "g",
    {
      class: `token${isStrong ? " strong" : ""}${known ? "" : " unknown"}`,
      role: "button",
      tabindex: t === frame.step ? 0 : -1,
      "aria-label": label,
      "aria-pressed": t === frame.step ? "true" : "false",
      "data-t": t,
      "data-focus": `token-${frame.name}-${t}`,
    },
    svg("rect", {
      x: axis.left(t) + 1.5, y: 1, width: axis.span(t) - 3, height: HEIGHT, rx: 7,
      fill: `var(--${colour})`, "fill-opacity": (0.08 + 0.74 * strength).toFixed(3),
    }), // prettier-ignore
    svg("text", { x: axis.middle(t), y: HEIGHT / 2 + 7, class: isWide(text) ? "wide" : "narrow" }, shown),
  );
}

/** Marks another step without drawing anew. */
export function mark(body, frame) {
  for (const token of body.querySelectorAll(".token")) {
    const isHere = Number(token.dataset.t) === frame.step;
    token.setAttribute("aria-pressed", isHere);
    token.setAttribute("tabindex", isHere ? 0 : -1);
  }
}
