/** A tagger's tokens: entities as brackets above, and for each token its tag with the tag's marginal probability. */
import { drawing, svg } from "../dom.js";
import { svgNumber } from "../numbers.js";
import { words } from "../words.js";

const HEIGHT = 40;

/** Entities as brackets over their tokens. */
export function brackets(frame, onTarget) {
  const { axis, part, tokens } = frame;
  const picture = drawing(axis.width, 30, words("entities"), "group");
  (part.prediction.entities ?? []).forEach((entity, n) => {
    const inside = tokens.filter((token) => token.start >= entity.start && token.end <= entity.end);
    const first = Math.max(axis.first, inside[0]?.index ?? -1);
    const last = Math.min(axis.last - 1, inside.at(-1)?.index ?? -1);
    if (first > last) return;
    const [left, right] = [axis.left(first) + 3, axis.right(last) - 3];
    const room = right - left;
    const name = room > 34 + 6.5 * entity.label.length;
    const choose = () => onTarget({ target: `B-${entity.label}`, at: inside[0].index });
    const bracket = svg("g", {
      class: "bracket", role: "button", tabindex: 0, "data-focus": `entity-${n}`, click: choose,
      "aria-label": `${entity.label} ${entity.text}`,
      keydown: (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), choose()),
    }); // prettier-ignore
    bracket.append(
      svg("rect", { x: left, y: 2, width: room, height: 26, class: "hit" }),
      svg("path", { d: `M${left} 28V22Q${left} 19 ${left + 4} 19H${right - 4}Q${right} 19 ${right} 22V28` }),
      svgNumber(
        entity.score, `predict:${frame.name}/entities/${n}/score`,
        { x: (left + right) / 2, y: 14, class: "small middle" }, "fixed", 2, name ? entity.label : "",
      ),
    ); // prettier-ignore
    if (!name) bracket.append(svg("title", {}, entity.label));
    picture.append(bracket);
  });
  return [picture];
}

/** Bars of the decoded tag's marginal; a press makes the tag at that token the target. */
export function draw(frame, onTarget) {
  const { axis, part, tags, model } = frame;
  const picture = drawing(axis.width, HEIGHT + 20, words("tags"), "group");
  for (const t of axis.timesteps) {
    const tag = tags[t];
    const value = part.marginals.at(t, model.tags.indexOf(tag));
    const isTarget = frame.target?.timestep === t;
    const choose = () => onTarget({ target: tag, at: t });
    const bar = svg("g", {
      class: `tag${isTarget ? " chosen" : ""}`, role: "button", tabindex: isTarget ? 0 : -1, click: choose,
      "aria-label": `${frame.tokens[t].text}: ${tag} ${value.toFixed(2)}`, "data-focus": `tag-${t}`, "data-t": t,
      keydown: (event) => event.key === "Enter" && choose(),
    }); // prettier-ignore
    const height = HEIGHT * value;
    bar.append(
      svg("rect", { x: axis.left(t), y: 0, width: axis.span(t), height: HEIGHT + 20, class: "hit" }),
      svg("rect", {
        x: axis.left(t) + 3, y: HEIGHT - height, width: axis.span(t) - 6, height: Math.max(0.6, height), rx: 2,
        class: tag === "O" ? "outside" : "inside",
      }), // prettier-ignore
      svg("text", { x: axis.middle(t), y: HEIGHT + 14, class: "small middle muted" }, shortTag(tag, axis.span(t))),
    );
    picture.append(bar);
  }
  return [picture];
}

/** The whole tag, or its letter where there is no room: never a part of a kind's name. */
const shortTag = (tag, width) => (7.2 * tag.length > width - 4 ? tag[0] : tag);
