/** The answer: labels with their scores, or entities; each can be made the target. With edits: before and after. */
import { html } from "../dom.js";
import { colourOf } from "../frame.js";
import { labelName } from "../models.js";
import { number } from "../numbers.js";
import { phrase, words } from "../words.js";

const SHOWN = 6;

export function draw(part, target, state, onTarget) {
  const { prediction, model } = part;
  const name = model.name;
  const body = prediction.labels
    ? labels(part, target, state, onTarget)
    : entities(prediction.entities, `predict:${name}/entities`, target, onTarget, part);
  const isChanged = state.edits.length && part.edited;
  const change = isChanged ? [html("p", { class: "changed" }, words("edited", { count: state.edits.length }))] : [];
  if (isChanged && !prediction.labels)
    change.push(entities(part.edited.intervened.entities, `intervene:${name}/intervened/entities`, null, null, part));
  const problem = part.problems.intervene;
  if (problem) change.push(html("p", { class: "problem" }, problem.message));
  const known = number(prediction.known_fraction, `predict:${name}/known_fraction`, "percent", 0);
  return [body, ...change, html("p", { class: "known" }, ...phrase("known", { part: known }))];
}

function labels(part, target, state, onTarget) {
  const { prediction, model, edited } = part;
  const after = state.edits.length && edited ? scoresOf(edited.intervened) : null;
  let shown = prediction.labels.slice(0, SHOWN);
  const chosen = prediction.labels.find(({ label }) => label === target);
  if (chosen && !shown.includes(chosen)) shown = [...shown.slice(0, -1), chosen];
  if (prediction.labels.length === 2) shown = [...shown].sort((a, b) => model.labels.indexOf(a.label) - model.labels.indexOf(b.label));
  return html(
    "div",
    { class: "labels", role: "group", "aria-label": words("answer_of", { name: model.name }) },
    ...shown.map(({ label, score }) => {
      const index = prediction.labels.findIndex((other) => other.label === label);
      const changed = after?.get(label);
      return html(
        "button",
        {
          type: "button", class: "label", "aria-pressed": String(label === target), "data-focus": `label-${model.name}-${label}`,
          "data-label": label, title: words("target_help", { label }), click: () => onTarget({ target: label, at: null }),
        }, // prettier-ignore
        html("span", { class: "name" }, labelName(model, label, state.lang)),
        bar(changed?.score ?? score, colourOf(model, label, target), after ? score : null),
        after && html("span", { class: "old" }, number(score, `predict:${model.name}/labels/${index}/score`)),
        changed
          ? number(changed.score, `intervene:${model.name}/intervened/labels/${changed.index}/score`)
          : number(score, `predict:${model.name}/labels/${index}/score`),
      );
    }),
  );
}

const scoresOf = (prediction) => new Map(prediction.labels.map(({ label, score }, index) => [label, { score, index }]));

function bar(score, colour, before) {
  const fill = html("span", { class: `fill ${colour}` });
  fill.style.width = `${100 * score}%`;
  const track = html("span", { class: "bar", "aria-hidden": "true" }, fill);
  if (before !== null) {
    const mark = html("span", { class: "was" });
    mark.style.left = `${100 * before}%`;
    track.append(mark);
  }
  return track;
}

function entities(found, from, target, onTarget, part) {
  if (!found.length) return html("p", { class: "none" }, words("no_entities"));
  const chips = found.map(({ label, text, score, start }, n) => {
    const first = part.tokenList?.find((token) => token.start >= start);
    const content = [
      html("span", { class: "kind" }, label),
      html("span", { class: "what" }, text),
      number(score, `${from}/${n}/score`),
    ];
    if (!onTarget) return html("li", {}, html("span", { class: "entity" }, ...content));
    const choose = () => first && onTarget({ target: `B-${label}`, at: first.index });
    const attributes = { type: "button", class: "entity", click: choose, "data-focus": `chip-${n}` };
    const pressed = first && target?.timestep === first.index ? "true" : "false";
    return html("li", {}, html("button", { ...attributes, "aria-pressed": pressed }, ...content));
  });
  return html("ul", { class: "chips" }, ...chips);
}
