/** The lanes: a table of what each shows, put below one another over the shared axis, and scrolled together. */
import { find, html, replace } from "./dom.js";
import { push, tensorPath } from "./frame.js";
import { menuButton } from "./menu.js";
import { labelName } from "./models.js";
import { number, percent } from "./numbers.js";
import { hasBelt, isTagger, readsPrefixes } from "./questions.js";
import { hideTip, showTip } from "./tip.js";
import { has, phrase, words } from "./words.js";
import * as belt from "./views/belt.js";
import * as edits from "./views/edits.js";
import * as gates from "./views/gates.js";
import * as influence from "./views/influence.js";
import * as reading from "./views/reading.js";
import * as ribbon from "./views/ribbon.js";
import * as tags from "./views/tags.js";

const labelOf = ({ model, part }) => (model.labels.length === 2 ? model.labels[1] : part.prediction.labels?.[0].label);

/** id -> the lane: its title and note, the question it needs, how it is drawn, and what is said of a timestep. */
const VIEWS = {
  ribbon: {
    needs: "attribute",
    title: (frame) => (frame.isCompared ? frame.model.cell.toUpperCase() : words("words_lane")),
    note: ({ part, target, tokens, model, state }) => {
      if (!part.attribution) return "";
      const { target: label, method } = part.attribution;
      const token = target?.timestep === null ? "" : tokens[target?.timestep]?.text;
      return words(token ? "words_towards_tag" : "words_towards", { target: labelName(model, label, state.lang), token, method: method.replaceAll("_", " ") });
    },
    draw: (frame) => ribbon.draw(frame),
    tip: (frame, t) => contribution(frame, t),
  },
  entities: { needs: "inspect", draw: (frame, act) => tags.brackets(frame, act.target) },
  tags: {
    needs: "inspect",
    draw: (frame, act) => tags.draw(frame, act.target),
    tip: ({ part, model, tags: decoded, name, tokens }, t) => {
      const index = model.tags.indexOf(decoded[t]);
      const from = `inspect:${name}:0:forward/token_scores/marginals/${t}/${index}`;
      return [[`${tokens[t].text}  ${decoded[t]}  `, number(part.marginals.at(t, index), from, "fixed", 3)]];
    },
  },
  reading: {
    needs: "inspect",
    note: (frame) => words(frame.model.labels.length === 2 ? "reading_note" : "reading_best", { label: labelOf(frame) }),
    draw: (frame) =>
      frame.part.prefix ? reading.draw(frame) : [html("p", { class: "note" }, words("reading_missing"))],
    tip: ({ part, name }, t) => {
      if (!part.prefix) return [];
      const score = number(part.prefix.scores[t], `inspect:${name}/prefix/scores/${t}`, "fixed", 3);
      return [[`${part.prefix.labels[t]}  `, score]];
    },
  },
  belt: {
    needs: "memory",
    note: (frame) => [words(frame.direction === "reverse" ? "belt_reverse" : "belt_note"), ...position(frame)],
    draw: (frame) => [...belt.draw(frame, frame.isCompared ? 150 : belt.HEIGHT), composition(frame)],
    tip: (frame, t, event) => streamTip(frame, t, event),
  },
  influence: {
    needs: "memory",
    note: ({ model }) => [words("influence_note"), ...(hasBelt(model) ? [] : [words("rnn_no_belt")])],
    draw: (frame) => influence.draw(frame),
    tip: (frame, t) => {
      const { value, from } = influence.valueAt(frame, t);
      return [phrase("influence_tip", { token: frame.tokens[t].text, value: number(value, from, "fixed", 3) })];
    },
  },
  edit: {
    needs: "inspect",
    title: () => words("edit_lane"),
    note: ({ state }) => {
      const scope = state.unit === null ? words("edit_all") : words("edit_one", { unit: state.unit });
      return words("edit_note", { scope });
    },
    draw: (frame, act) => edits.draw(frame, act.edit),
  },
};
for (const name of Object.keys(gates.LANES)) {
  VIEWS[name] = {
    needs: "inspect",
    draw: (frame) => gates.draw(frame, name),
    legend: ({ view }) => gates.legend(name, view.palette),
    tip: (frame, t, event) => heatTip(frame, name, t, event),
  };
}

/** The views of a part, in the order in which they stand. */
export function viewsOf(frame, isLead) {
  const { model, part, state } = frame;
  const views = ["ribbon"];
  if (isTagger(model)) views.push("entities", "tags");
  else if (part.prefix || !readsPrefixes(model, part.tokens)) views.push("reading");
  if (hasBelt(model) && (part.mass || part.problems.memory)) views.push("belt");
  if (frame.isCompared || !hasBelt(model)) views.push("influence");
  if (isLead && state.editing && model.tensors.includes("forget_gate")) views.push("edit");
  if (isLead && (!frame.isCompared || state.gates)) views.push(...Object.keys(gates.LANES).filter((name) => model.tensors.includes(name)));
  return views;
}

function position({ model, layer, direction }) {
  if (model.layers === 1 && model.directions.length === 1) return [];
  return [words("belt_position", { layer, direction: words(direction) })];
}

/** What the belt is made of at the step: its largest streams and their shares. */
function composition(frame) {
  return html("p", { class: "note made" }, ...madeOf(frame, frame.step));
}

/** A sentence: what the belt is made of at a timestep. */
function madeOf(frame, t) {
  const { streams, total } = belt.madeOf(frame, t);
  const most = [...streams].sort((a, b) => b.mass - a.mass).slice(0, 4);
  const shares = most.flatMap(({ s, mass }, n) => {
    const share = number(mass / (total || 1), `share:${placeOf(frame)}/${t}/${s}`, "percent", 0);
    return [`${n ? "," : ""} “${frame.tokens[s].text}” `, html("b", {}, share)];
  });
  return [words("belt_made", { token: frame.tokens[t]?.text ?? "" }), ...shares];
}

const placeOf = ({ name, layer, direction }) => `${name}:${layer}:${direction}`;

function contribution(frame, t) {
  if (!frame.contributions) return [];
  const { target } = frame.part.attribution;
  const value = number(push(frame, t).value, `attribute:${frame.name}:${target}/contributions/${t}`, "signed", 3);
  return [[`${frame.tokens[t].text}  `, `${words("contribution", { target })} `, value]];
}

function streamTip(frame, t, event) {
  const s = Number(event.target.dataset?.s ?? NaN);
  if (Number.isNaN(s)) return [madeOf(frame, t)];
  const mass = frame.part.mass.at(t, s);
  if (!Number.isFinite(mass)) return [madeOf(frame, t)];
  const from = `memory:${placeOf(frame)}/measures/mass/${t}/${s}`;
  const left = percent(mass / Math.max(frame.part.mass.at(s, s), 1e-12));
  const share = percent(mass / (belt.madeOf(frame, t).total || 1));
  return [
    phrase("belt_tip", { token: frame.tokens[s].text, step: String(t + 1), mass: number(mass, from, "fixed", 3) }),
    words("belt_left", { part: left, share }),
    madeOf(frame, t),
  ];
}

function heatTip(frame, name, t, event) {
  if (!event.target.matches("canvas")) return [];
  const unit = gates.unitUnder(frame, event.offsetY);
  const value = unit === null ? undefined : frame.part.tensors.at(name, t, unit);
  if (value === undefined) return [];
  const shown = number(value, tensorPath(frame, name, t, unit), "fixed", 3);
  return [phrase("heat_tip", { name: words(name), unit: String(unit), token: frame.tokens[t].text, value: shown })];
}

/** The width of a lane's body: beside its header, on a narrow screen below it (as in the style sheet). */
export const laneRoom = (container) => container.clientWidth - (innerWidth <= 700 ? 20 : 162);

/** Draws all lanes; those that stay keep their element, so that scroll and focus stay too. */
export function drawLanes(frames, act) {
  const container = find("#lanes");
  const kept = new Map([...container.children].map((lane) => [lane.dataset.key, lane]));
  const { scroll, room } = frames[0].view;
  const lanes = frames.flatMap((frame) =>
    viewsOf(frame, frame.isLead).map((id) => {
      const key = `${id}:${frame.model.cell}`;
      const lane = kept.get(key) ?? html("section", { class: `view lane lane-${id}`, "data-key": key, "data-view": id });
      lane.dataset.model = frame.name;
      fill(lane, id, frame, act);
      return lane;
    }),
  );
  if (lanes.length !== container.children.length || lanes.some((lane, n) => container.children[n] !== lane))
    container.replaceChildren(...lanes);
  const isWider = frames[0].axis.width > room;
  for (const body of container.querySelectorAll(".lane-body")) {
    if (scroll) body.scrollLeft = scroll;
    if (isWider) body.tabIndex = 0; // so that the keyboard can scroll it
    else body.removeAttribute("tabindex");
  }
}

/** One lane of a frame anew. */
export function redrawLane(id, frame, act) {
  const lane = find(`#lanes [data-key="${id}:${frame.model.cell}"]`);
  if (lane) fill(lane, id, frame, act);
}

function fill(lane, id, frame, act) {
  const view = VIEWS[id];
  const title = view.title?.(frame) ?? words(id);
  const notes = [view.note?.(frame) ?? (has(`${id}_note`) ? words(`${id}_note`) : "")].flat().filter(Boolean);
  lane.setAttribute("aria-label", frame.isCompared ? `${frame.model.cell.toUpperCase()}: ${title}` : title);
  const entry = () => ({ name: `${id}-${frame.name}`, part: frame.part, questions: questionsOf(frame.part, view.needs), hasKey: act.hasKey });
  let header = lane.querySelector("header");
  let body = lane.querySelector(".lane-body");
  if (!header) lane.append((header = html("header", {})), (body = html("div", { class: "lane-body" })));
  lane.entry = entry;
  const key = JSON.stringify([title, notes, frame.state.gates, frame.view.palette.ink, frame.isCompared]);
  if (header.dataset.key !== key) {
    header.dataset.key = key;
    const button = menuButton(lane.getAttribute("aria-label"), () => lane.entry());
    const texts = notes.map((note) => html("p", {}, note));
    replace(header, html("h3", {}, title), ...texts, frame.state.gates && view.legend?.(frame), button);
  }
  const problem = frame.part.problems[view.needs];
  const content = problem ? [html("p", { class: "problem note" }, problem.message)] : view.draw(frame, act);
  replace(body, ...content, html("div", { class: "now", "aria-hidden": "true" }));
  if (!body.onscroll) body.onscroll = () => scrollTogether(body);
  listen(body, view, frame, act);
  markStep(lane, frame);
  if (id === "belt") belt.emphasize(body, frame.state.hover);
}

const questionsOf = (part, needs) => [part.asked[needs], ...(needs === "inspect" && part.asked.window ? [part.asked.window] : [])].filter(Boolean);

function scrollTogether(body) {
  for (const other of find("#lanes").querySelectorAll(".lane-body"))
    if (other !== body && Math.abs(other.scrollLeft - body.scrollLeft) > 0.5) other.scrollLeft = body.scrollLeft;
}

/** Pointer: hover says what is there, a press goes to the step (on a heat map also to the unit). */
function listen(body, view, frame, act) {
  const timestep = (event) => frame.axis.at(event.clientX - body.getBoundingClientRect().left + body.scrollLeft);
  body.onpointermove = (event) => {
    const t = timestep(event);
    const s = event.target.dataset?.s;
    act.hover(s === undefined ? null : Number(s));
    if (t === null || frame.part.problems[view.needs]) return hideTip();
    showTip(event, view.tip?.(frame, t, event) ?? []);
  };
  body.onpointerleave = () => {
    act.hover(null);
    hideTip();
  };
  body.onclick = (event) => {
    const t = timestep(event);
    if (t === null || event.target.closest(".gate-slider, .bracket")) return;
    const unit = event.target.matches("canvas") ? gates.unitUnder(frame, event.offsetY) : null;
    act.step(t, unit);
  };
  body.onkeydown = (event) => {
    const token = event.target.closest(".token");
    if (token && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      act.step(Number(token.dataset.t), null);
    }
  };
}

function markStep(lane, frame) {
  const line = lane.querySelector(".now");
  const { first, last } = frame.axis;
  line.hidden = frame.step < first || frame.step >= last;
  if (!line.hidden) line.style.left = `${frame.axis.middle(frame.step)}px`;
}

/** Another step, without drawing the lanes anew. */
export function moveStep(frames, isFollowed) {
  for (const lane of find("#lanes").children) {
    const frame = frames.find(({ name }) => name === lane.dataset.model);
    if (!frame) continue;
    markStep(lane, frame);
    const body = lane.querySelector(".lane-body");
    if (lane.dataset.view === "ribbon") ribbon.mark(body, frame);
    if (lane.dataset.view === "belt") body.querySelector(".made")?.replaceWith(composition(frame));
  }
  if (isFollowed) follow(frames[0]);
}

/** Scrolls the lanes until the step is in sight. */
function follow({ axis, step }) {
  const body = find("#lanes .lane-body");
  if (!body || step < axis.first || step >= axis.last) return;
  const x = axis.middle(step);
  if (x < body.scrollLeft + 40 || x > body.scrollLeft + body.clientWidth - 40) body.scrollLeft = x - body.clientWidth / 2;
}

export function hoverStream(hover) {
  for (const body of find("#lanes").querySelectorAll(".lane-belt .lane-body")) belt.emphasize(body, hover);
}
